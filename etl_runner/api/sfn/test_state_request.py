"""What TestState was asked for, checked in AWS's words."""

from dataclasses import dataclass, field
from typing import Any, Final

from etl_runner.api.sfn.diagnostics import invalid_definition
from etl_runner.api.sfn.errors import AwsError, validation_error
from etl_runner.api.sfn.jackson import NotJson, read
from etl_runner.api.sfn.starting import read_input
from etl_runner.api.sfn.test_state_context import check_context
from etl_runner.api.sfn.test_state_mock import STRICT, check_mock
from etl_runner.api.sfn.test_state_reader import read_items
from etl_runner.asl import model
from etl_runner.asl.parse import parse_definition
from etl_runner.errors import DefinitionError, NotFound
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.machine.limits import Limits
from etl_runner.offline.one_state import Found, find_state

ONLY_STATE: Final = "StateName"
"""What AWS calls a state that is given without a machine around it."""

_MOCKABLE: Final = (model.TaskState, model.MapState, model.ParallelState)
_WITH_MOCK_ONLY: Final = {
    "context": "Context",
    "mapIterationFailureCount": "MapIterationFailureCount",
    "retrierRetryCount": "RetrierRetryCount",
    "errorCausedByState": "ErrorCausedByState",
    "mapItemReaderData": "MapItemReaderData",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Mock:
    """What the state's work gives: a result as text and value, or an error."""

    result_text: str = ""
    result: Json = None
    fails: bool = False
    error: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """A checked request."""

    definition: str
    machine: model.StateMachine
    found: Found
    given: Json
    given_text: str
    level: str
    mock: Mock | None
    role_arn: str
    variables: dict[str, Json] = field(default_factory=dict)
    context: Json = None
    retried: int = 0
    failed_iterations: int | None = None
    reader_data: list[Json] | None = None

    @property
    def name(self) -> str:
        """The state's name."""
        return self.found.state.name


def read_request(given: dict[str, Json], limits: Limits) -> Asked:
    """Check a request. Raises AwsError."""
    mock = _mock(given.get("mock"))
    definition, machine, found = _machine(given["definition"], given.get("stateName"), limits)
    configuration = given.get("stateConfiguration", {})
    _check_together(given, configuration, found.state, mock)
    text = given.get("input", "{}")
    value = read_input(text, limits)
    context = _json(given["context"], "Context") if "context" in given else None
    if context is not None:
        check_context(context)
    if mock is not None and not mock.fails:
        _check_result(found.state, mock, given["mock"].get("fieldValidationMode", STRICT))
    _check_cause(machine, found, configuration)
    return Asked(
        definition=definition,
        machine=machine,
        found=found,
        given=value,
        given_text=text,
        level=given.get("inspectionLevel", "INFO"),
        mock=mock,
        role_arn=given.get("roleArn", ""),
        variables=_variables(given.get("variables")),
        context=context,
        retried=configuration.get("retrierRetryCount", 0),
        failed_iterations=configuration.get("mapIterationFailureCount"),
        reader_data=_reader_data(found.state, configuration),
    )


# --- the mock -----------------------------------------------------------------------------------------------


def _mock(given: dict[str, Json] | None) -> Mock | None:
    if given is None:
        return None
    if ("result" in given) == ("errorOutput" in given):
        raise validation_error(
            "A test mock should have only one of the following fields: [result, errorOutput]."
        )
    if "errorOutput" in given:
        error = given["errorOutput"]
        return Mock(fails=True, error=error.get("error"), cause=error.get("cause"))
    return Mock(result_text=given["result"], result=_json(given["result"], "Mocked result"))


def _json(text: str, what: str) -> Json:
    try:
        return read(text)
    except NotJson as fault:
        why = f": {fault}" if str(fault) else ""
        raise validation_error(f"{what} must be valid JSON{why}") from None


def _check_result(state: model.State, mock: Mock, mode: str) -> None:
    if isinstance(state, model.TaskState):
        check_mock(state.resource, mock.result, mode)
    elif isinstance(state, model.MapState) and state.result_writer and state.result_writer.resource:
        if not isinstance(mock.result, dict):
            raise validation_error("Mocked result must be a JSON object.")
    elif not isinstance(mock.result, list):
        raise validation_error("Mocked result must be an array.")
    elif isinstance(state, model.ParallelState) and len(mock.result) != len(state.branches):
        raise validation_error("Mocked result must have one element for each branch of the Parallel state.")


# --- the state ----------------------------------------------------------------------------------------------


def _machine(text: str, name: str | None, limits: Limits) -> tuple[str, model.StateMachine, Found]:
    if name is None:
        text = _around(text)
        name = ONLY_STATE
    try:
        machine = parse_definition(text, bounds=limits.bounds)
        return text, machine, find_state(machine, name)
    except DefinitionError as error:
        raise invalid_definition(text, error.faults) from None
    except NotFound:
        raise validation_error(f"State '{name}' not found in the state machine definition") from None


def _around(text: str) -> str:
    """A machine around a single state, with a stand-in for each state that it leads to."""
    try:
        state = read(text)
    except NotJson:
        return text  # parsing says what is wrong with it
    if not isinstance(state, dict):
        return text
    others = {target: {"Type": "Succeed"} for target in _targets(state) if target != ONLY_STATE}
    return dumps_text({"StartAt": ONLY_STATE, "States": {ONLY_STATE: state, **others}})


def _targets(state: dict[str, Json]) -> list[str]:
    rules = [each for key in ("Catch", "Choices") for each in _objects(state.get(key))]
    found = [state.get("Next"), state.get("Default"), *(rule.get("Next") for rule in rules)]
    return [target for target in found if isinstance(target, str)]


def _objects(value: Json) -> list[dict[str, Json]]:
    return [each for each in value if isinstance(each, dict)] if isinstance(value, list) else []


def _kind(state: model.State) -> str:
    return type(state).__name__.removesuffix("State")


def _check_together(
    given: dict[str, Json], configuration: dict[str, Json], state: model.State, mock: Mock | None
) -> None:
    """What may only be there with a mock, or without, or for some types of states."""
    kind = _kind(state)
    if mock is not None:
        if not isinstance(state, _MOCKABLE):
            raise validation_error(f"State type '{kind}' is not supported when a mock is specified")
        if given.get("revealSecrets"):
            raise validation_error("TestState does not support RevealSecrets when a mock is specified.")
        if "mapIterationFailureCount" in configuration and not isinstance(state, model.MapState):
            raise validation_error("MapIterationFailureCount is only supported for Map states.")
        return
    for field_name, told in _WITH_MOCK_ONLY.items():
        if field_name in configuration or field_name in given:
            raise validation_error(f"TestState does not support {told} when a mock is not specified.")
    if isinstance(state, model.MapState | model.ParallelState):
        raise AwsError(
            "InvalidDefinition",
            "TestState API does not support Map or Parallel states. Supported state types include: "
            "[Task, Wait, Pass, Succeed, Fail, Choice]",
        )
    if isinstance(state, model.TaskState):
        _check_task(state)
        if "roleArn" not in given:
            raise validation_error("RoleArn must be specified when testing a Task state")


def _check_task(state: model.TaskState) -> None:
    form = next(
        (form for form in (".sync", ".sync:2", ".waitForTaskToken") if state.resource.endswith(form)), ""
    )
    if ":activity:" in state.resource:
        form = "Activity"
    if form:
        raise validation_error(f"{form} tasks are not supported when a mock is not specified")


def _check_cause(machine: model.StateMachine, found: Found, configuration: dict[str, Json]) -> None:
    """The state that is said to have failed is one inside of the Map or Parallel."""
    name = configuration.get("errorCausedByState")
    if name is None:
        return
    if not isinstance(found.state, model.MapState | model.ParallelState):
        raise validation_error("ErrorCausedByState is only supported for Map and Parallel states.")
    if name not in _states_within(machine, found.state):
        raise validation_error(f"State '{name}' not found in the definition of state '{found.state.name}'")


def _states_within(machine: model.StateMachine, state: model.State) -> set[str]:
    scopes = state.branches if isinstance(state, model.ParallelState) else ()
    if isinstance(state, model.MapState):
        scopes = (state.processor,)
    names: set[str] = set()
    for scope in scopes:
        for name, inner in machine.scopes[scope].states.items():
            names |= {name} | _states_within(machine, inner)
    return names


# --- what comes with it -------------------------------------------------------------------------------------


def _variables(text: str | None) -> dict[str, Json]:
    if text is None:
        return {}
    found: Any = _json(text, "Variables")
    if not isinstance(found, dict):
        raise validation_error("Variables must be a JSON object")
    return found


def _reader_data(state: model.State, configuration: dict[str, Json]) -> list[Json] | None:
    text = configuration.get("mapItemReaderData")
    if text is None:
        return None
    if not isinstance(state, model.MapState) or state.item_reader is None:
        raise validation_error("MapItemReaderData is only supported for Map states with an ItemReader.")
    try:
        return read_items(text, state.item_reader.config)
    except ValueError as fault:
        raise AwsError("ValidationException", f"MapItemReaderData cannot be read: {fault}") from None
