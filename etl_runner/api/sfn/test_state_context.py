"""The context object of a state under test: given by the caller and checked, or made up."""

import copy
from collections.abc import Callable, Mapping
from typing import Final

from etl_runner.api.sfn.errors import AwsError, validation_error
from etl_runner.jsontypes import Json

_STRING: Final = "a string"
_NUMBER: Final = "a number"
_ANY: Final = ""

_SHAPE: Final[Mapping[str, Mapping[str, str]]] = {
    "Execution": {
        "Id": _STRING,
        "Input": _ANY,
        "Name": _STRING,
        "RoleArn": _STRING,
        "StartTime": _STRING,
        "RedriveCount": _NUMBER,
        "RedriveTime": _STRING,
    },
    "State": {"EnteredTime": _STRING, "Name": _STRING, "RetryCount": _NUMBER},
    "StateMachine": {"Id": _STRING, "Name": _STRING},
    "Task": {"Token": _STRING},
}


def check_context(context: Json) -> None:
    """Raise AwsError ValidationException for a context object that no execution could have."""
    if not isinstance(context, dict):
        raise _refused("Context must be a JSON object")
    for part, value in context.items():
        if part == "Map":
            raise _refused("'Map' field is not supported when mocking a Context object")
        fields = _SHAPE.get(part)
        if fields is None:
            raise _refused(f"Field '{part}' is not allowed")
        if not isinstance(value, dict):
            raise _refused(f"{part} must be an object")
        for name, inner in value.items():
            if name not in fields:
                raise _refused(f"Field '{part}.{name}' is not allowed")
            if not _is_of(fields[name], inner):
                raise _refused(f"{part}.{name} must be {fields[name]}")


def _is_of(kind: str, value: Json) -> bool:
    if kind == _STRING:
        return isinstance(value, str)
    if kind == _NUMBER:
        return isinstance(value, int) and not isinstance(value, bool)
    return True


def _refused(what: str) -> AwsError:
    return validation_error(f"Invalid Context object provided: {what}")


def context_maker(given: Json, *, item: Json, role_arn: str, retried: int) -> Callable[[Json], Json]:
    """What gives the context object, from the machine's own.

    A given one stands as it is. `item` is what stands under Map.Item, None for a state in no Map.
    """

    def make(own: Json) -> Json:
        if given is not None:
            return given
        made = copy.deepcopy({key: value for key, value in own.items() if key != "Execution"})
        execution = {key: value for key, value in own["Execution"].items() if key != "RedriveCount"}
        if not role_arn:
            execution.pop("RoleArn", None)
        if retried and "RetryCount" in made.get("State", {}):
            made["State"]["RetryCount"] = retried
        if item is not None and "Map" not in made:
            made["Map"] = {"Item": item}
        return {"Execution": execution, **made}

    return make
