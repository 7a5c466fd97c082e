"""What a mock answers for a task, and who gives the answers of one run."""

from dataclasses import dataclass
from typing import Protocol, TypeAlias

from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Returned:
    """The task succeeded."""

    output: Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Thrown:
    """The task failed."""

    error: str | None
    cause: str | None = None


Answer: TypeAlias = Returned | Thrown


class Unmocked(InvalidInput):
    """A run came to work for which no mock has an answer."""


class Mocks(Protocol):
    """Who answers for the tasks of one run; counts what it was asked."""

    def has(self, state: str) -> bool:
        """Whether this state is mocked at all: a Map or Parallel is then answered as a whole."""
        ...

    def as_left(self, state: str) -> bool:
        """Whether the answer for a Map or Parallel is what the state leaves, not what its work gives."""
        ...

    def answer(self, state: str, arguments: Json) -> Answer:
        """The answer for the next hand-out of a state. Raises Unmocked."""
        ...


class NoMocks:
    """Nobody answers: enough for machines without tasks."""

    def has(self, state: str) -> bool:  # noqa: ARG002 -- none is
        """No."""
        return False

    def as_left(self, state: str) -> bool:  # noqa: ARG002 -- none is
        """No."""
        return False

    def answer(self, state: str, arguments: Json) -> Answer:  # noqa: ARG002 -- there is no answer
        """Raise Unmocked."""
        raise Unmocked(f"the state {state!r} hands out work, and no mocks are given; give some with --mocks")
