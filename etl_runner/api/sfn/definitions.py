"""Definitions as they come with a call: taken, or refused with everything that is wrong with them."""

from collections.abc import Iterator

from etl_runner.api.rooms import Rooms
from etl_runner.api.sfn.diagnostics import faults_of_resources, invalid_definition
from etl_runner.asl.model import MapState, ParallelState, StateMachine, TaskState
from etl_runner.asl.parse import parse_definition
from etl_runner.errors import DefinitionError
from etl_runner.jsontypes import Json, dumps_text, loads


def accept_definition(rooms: Rooms, text: str, *, express: bool) -> StateMachine:
    """A definition that AWS would take and that can be run here. Raises AwsError InvalidDefinition."""
    try:
        machine = parse_definition(text, express=express, bounds=rooms.limits.bounds)
    except DefinitionError as error:
        raise invalid_definition(text, error.faults) from None
    faults = faults_of_resources(tasks_of(machine), rooms.router.invokable)
    if faults:
        raise invalid_definition(text, faults)
    return machine


def tasks_of(machine: StateMachine, scope: int = 0, path: str = "") -> Iterator[tuple[str, str]]:
    """The resources that tasks name, each with the JSON pointer of its state."""
    for name, state in machine.scopes[scope].states.items():
        place = f"{path}/States/{name.replace('~', '~0').replace('/', '~1')}"
        match state:
            case TaskState():
                yield state.resource, place
            case ParallelState():
                for number, branch in enumerate(state.branches):
                    yield from tasks_of(machine, branch, f"{place}/Branches/{number}")
            case MapState():
                yield from tasks_of(machine, state.processor, f"{place}/ItemProcessor")
            case _:
                pass


def labelled(text: str, label: str) -> str | None:
    """The definition of the Distributed Map state of a label, out of that of its state machine."""
    found = _find(loads(text), label)
    return None if found is None else dumps_text(found)


def _find(definition: Json, label: str) -> Json:
    for state in definition.get("States", {}).values():
        processor = state.get("ItemProcessor") or state.get("Iterator")
        if processor is not None and state.get("Label") == label:
            return {name: value for name, value in processor.items() if name != "ProcessorConfig"}
        for inner in [*state.get("Branches", ()), *([processor] if processor else ())]:
            found = _find(inner, label)
            if found is not None:
                return found
    return None


def state_names(text: str) -> set[str]:
    """The names of all states of a definition, inner ones too."""
    return set(_names(loads(text)))


def _names(definition: Json) -> Iterator[str]:
    for name, state in definition.get("States", {}).items():
        yield name
        processor = state.get("ItemProcessor") or state.get("Iterator")
        for inner in [*state.get("Branches", ()), *([processor] if processor else ())]:
            yield from _names(inner)
