"""Which states, choice rules, branches, catches and retries a run went through, of all that there are."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

from etl_runner.asl import model

KINDS = ("state", "choice", "branch", "catch", "retry")


@dataclass(frozen=True, slots=True, order=True)
class Part:
    """One part of a machine. `place` counts from 0; -1 is a Choice's Default, and a state itself."""

    kind: str
    state: str
    place: int = -1

    def __str__(self) -> str:
        """`Fetch`, `Check/Choices[1]`, `Check/Default`, `Both/Branches[0]`, `Fetch/Catch[0]`."""
        fields = {"choice": "Choices", "branch": "Branches", "catch": "Catch", "retry": "Retry"}
        if self.kind == "state":
            return self.state
        return (
            f"{self.state}/Default" if self.place < 0 else f"{self.state}/{fields[self.kind]}[{self.place}]"
        )


@dataclass(slots=True)
class Coverage:
    """What was gone through so far."""

    hit: set[Part] = field(default_factory=set)

    def add(self, kind: str, state: str, place: int = -1) -> None:
        """Note a part."""
        self.hit.add(Part(kind, state, place))

    def merge(self, other: "Coverage") -> None:
        """Add what another run went through."""
        self.hit |= other.hit

    def missed(self, parts: Iterable[Part]) -> list[Part]:
        """The parts that were not gone through, in their order."""
        return [part for part in parts if part not in self.hit]


def parts_of(machine: model.StateMachine) -> list[Part]:
    """All parts of a machine, in document order."""
    return [part for scope in machine.scopes for state in scope.states.values() for part in _parts(state)]


def _parts(state: model.State) -> Iterator[Part]:
    yield Part("state", state.name)
    if isinstance(state, model.ChoiceState):
        yield from (Part("choice", state.name, place) for place in range(len(state.choices)))
        if state.default is not None:
            yield Part("choice", state.name)
    if isinstance(state, model.ParallelState):
        yield from (Part("branch", state.name, place) for place in range(len(state.branches)))
    if isinstance(state, model.MapState):
        yield Part("branch", state.name, 0)
    if isinstance(state, model.WorkState):
        yield from (Part("retry", state.name, place) for place in range(len(state.retry)))
        yield from (Part("catch", state.name, place) for place in range(len(state.catch)))
