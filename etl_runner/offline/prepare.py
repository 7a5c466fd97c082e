"""A machine made ready to run offline: mocked Maps stand as tasks, choices tell, a path is cut out."""

from collections.abc import Callable
from dataclasses import replace

from etl_runner.asl import model
from etl_runner.asl.dataflow import WHOLE, JsonataExpression, ReferencePath
from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json
from etl_runner.offline.answers import Mocks
from etl_runner.offline.map_input import MapInput
from etl_runner.offline.one_state import as_task, find_state
from etl_runner.offline.watching import Watch, WatchedExpression, WatchedRule, plain_view

Chosen = Callable[[str, int], None]
"""Is told the state and the place of each choice rule that held."""


def prepare(
    machine: model.StateMachine,
    *,
    mocks: Mocks,
    chosen: Chosen,
    first: str | None = None,
    last: str | None = None,
) -> tuple[model.StateMachine, int]:
    """The machine to run, and the scope to start in.

    `first` and `last` name the ends of a path through one scope: whatever follows `last` is cut off. Raises
    NotFound for a state that is not there, InvalidInput for two that are not in one scope.
    """
    scopes = [
        replace(
            scope,
            states={name: _ready(machine, state, mocks, chosen) for name, state in scope.states.items()},
        )
        for scope in machine.scopes
    ]
    start = 0
    if first is not None or last is not None:
        start = (
            find_state(machine, first or last or "").scope if first else find_state(machine, str(last)).scope
        )
        if last is not None and find_state(machine, last).scope != start:
            raise InvalidInput(
                f"the states {first!r} and {last!r} are not in the same scope, so no path joins them"
            )
        scope = scopes[start]
        states = dict(scope.states)
        if last is not None:
            states = _cut(states, last)
        scopes[start] = replace(scope, start_at=first or scope.start_at, states=states)
    return replace(machine, scopes=tuple(scopes)), start


def _ready(machine: model.StateMachine, state: model.State, mocks: Mocks, chosen: Chosen) -> model.State:
    if isinstance(state, model.MapState | model.ParallelState) and mocks.has(state.name):
        return _mocked(machine, state, mocks)
    if isinstance(state, model.ChoiceState):
        branches = [_told(state.name, place, branch, chosen) for place, branch in enumerate(state.choices)]
        return replace(state, choices=tuple(branches))
    return state


def _mocked(
    machine: model.StateMachine, state: model.MapState | model.ParallelState, mocks: Mocks
) -> model.State:
    """A Map or Parallel that is answered as a whole."""
    given: object = state.parameters
    if isinstance(state, model.MapState):
        given = MapInput(state, note=_unheard, take=_untaken, view=plain_view, reader_data=None)
    if not mocks.as_left(state.name):
        return as_task(state, given)
    if isinstance(state, model.MapState) and not _needs_answers(machine, state):
        return state  # run, it tells more
    return replace(
        as_task(state, given),
        result_selector=None,
        result_path=ReferencePath.whole(),
        output_path=WHOLE,
        output=None,
    )


def _needs_answers(machine: model.StateMachine, state: model.MapState) -> bool:
    writes = state.result_writer is not None and state.result_writer.resource
    return state.item_reader is not None or bool(writes) or _works(machine, state)


def _works(machine: model.StateMachine, state: model.State) -> bool:
    """Whether there is a Task in a state, however deep."""
    scopes = state.branches if isinstance(state, model.ParallelState) else ()
    if isinstance(state, model.MapState):
        scopes = (state.processor,)
    inner = [each for scope in scopes for each in machine.scopes[scope].states.values()]
    return isinstance(state, model.TaskState) or any(_works(machine, each) for each in inner)


def _unheard(_stage: str, _value: Json) -> None:
    pass


def _untaken(_items: list[Json]) -> None:
    pass


def _told(name: str, place: int, branch: model.ChoiceBranch, chosen: Chosen) -> model.ChoiceBranch:
    """A choice branch whose rule tells when it holds. A constant rule cannot: it is found by what follows."""

    def note(_stage: str, value: Json) -> None:
        if value is True:
            chosen(name, place)

    watch = Watch(note)
    if isinstance(branch.rule, JsonataExpression):
        return replace(branch, rule=WatchedExpression(branch.rule, watch, "rule"))
    if isinstance(branch.rule, bool):
        return branch
    rule: object = WatchedRule(branch.rule, watch, "rule")
    return replace(branch, rule=rule)  # type: ignore[arg-type] # matches as rules do


def _cut(states: dict[str, model.State], last: str) -> dict[str, model.State]:
    """Let every way out of the state `last` end there."""
    ends: dict[str, model.State] = {}

    def end(to: str) -> str:
        name = f"(on to {to})"
        ends[name] = model.SucceedState(name=name)
        return name

    state = states[last]
    if isinstance(state, model.ChoiceState):
        branches = tuple(replace(branch, next=end(branch.next)) for branch in state.choices)
        default = None if state.default is None else end(state.default)
        state = replace(state, choices=branches, default=default)
    elif not isinstance(state, model.SucceedState | model.FailState):
        if isinstance(state, model.WorkState):
            state = replace(
                state, catch=tuple(replace(catcher, next=end(catcher.next)) for catcher in state.catch)
            )
        state = replace(state, next=None if state.next is None else end(state.next))
    return {**states, last: state, **ends}
