"""Mocked results held to the API model of what the task would have called (fieldValidationMode)."""

import re
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from etl_runner.api.sfn.errors import AwsError, validation_error
from etl_runner.jsontypes import Json
from etl_runner.tasks.aws_models import actions, service_model, services
from etl_runner.tasks.aws_naming import member

STRICT: Final = "STRICT"
NONE: Final = "NONE"

_RESOURCE: Final = re.compile(
    r"arn:[a-z-]+:states:[^:]*:[^:]*:(?P<sdk>aws-sdk:)?(?P<service>[\w-]+):(?P<action>\w+)(?P<form>\.[\w:]+)?"
)
_BOTO3: Final = {
    # The services of optimised integrations, where boto3 has another name for them.
    "states": "stepfunctions",
    "elasticmapreduce": "emr",
    "bedrock": "bedrock-runtime",
    "aws-sdk": "",
}
_POLLED: Final = {
    # A `.sync` result is what the service answers to whoever asks how the job is.
    ("states", "startExecution"): "describeExecution",
    ("codebuild", "startBuild"): "batchGetBuilds",
    ("athena", "startQueryExecution"): "getQueryExecution",
    ("sagemaker", "createTrainingJob"): "describeTrainingJob",
    ("sagemaker", "createTransformJob"): "describeTransformJob",
    ("sagemaker", "createProcessingJob"): "describeProcessingJob",
    ("bedrock", "createModelCustomizationJob"): "getModelCustomizationJob",
}
_UNCHECKED: Final = frozenset({"http", "apigateway", "eks"})
"""Integrations whose mocks AWS does not look at (developer guide, "Mock validation modes")."""

_FREE: Final = {("lambda", "invoke"): ("Payload",), ("bedrock", "invokeModel"): ("Body",)}
"""Members that an optimised integration reads as JSON, whatever kind they have in the API."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Check:
    """How an answer is looked at: `named` gives a member's name in it, `free` names what may be anything."""

    named: Callable[[str], str]
    free: tuple[str, ...]
    strict: bool


def check_mock(resource: str, result: Json, mode: str) -> None:
    """Raise AwsError ValidationException for a mocked result that the API could not have answered."""
    match = _RESOURCE.fullmatch(resource)
    shape = None if mode == NONE or match is None else _output_shape(match)
    if match is None or shape is None:
        return
    if not isinstance(result, dict):
        raise validation_error("Mocked result must be a JSON object.")
    check = _Check(
        named=member if match["sdk"] else _with_a_capital,
        free=() if match["sdk"] else _FREE.get((match["service"], match["action"]), ()),
        strict=mode == STRICT,
    )
    for broken in _faults(shape, result, check):
        raise _refused(broken)


def _with_a_capital(name: str) -> str:
    """A member as optimised integrations show it, which keep the API's casing otherwise: MD5OfMessageBody."""
    return name[:1].upper() + name[1:]


def _refused(what: str) -> AwsError:
    return validation_error(f"Mock result schema validation error: {what}")


def _output_shape(match: re.Match[str]) -> Any:
    """The shape of what the resource's action answers; None where nobody can say."""
    if match["service"] in _UNCHECKED:
        return None
    service, action, form = match["service"], match["action"], match["form"] or ""
    if form == ".waitForTaskToken":
        return None  # the result is what the caller of SendTaskSuccess says
    if form.startswith(".sync"):
        polled = _POLLED.get((service, action))
        if polled is None:
            return None
        action = polled
    name = services().get(service) if match["sdk"] else _BOTO3.get(service, service)
    if not name or name not in services().values():
        return None
    known = actions(name)
    api_name = known.get(action) or next(
        (each for each in known.values() if each.lower() == action.lower()), ""
    )
    return service_model(name).operation_model(api_name).output_shape if api_name else None


def _faults(shape: Any, value: Mapping[str, Json], check: _Check) -> Iterator[str]:
    names = {check.named(name): inner for name, inner in shape.members.items()}
    if check.strict:
        for name in map(check.named, shape.required_members):
            if name not in value:
                yield f"Required field '{name}' is missing"
    for name, inner in names.items():
        if name in value and name not in check.free and value[name] is not None:
            yield from _field(name, inner, value[name], check)


def _field(name: str, shape: Any, value: Json, check: _Check) -> Iterator[str]:
    if getattr(shape, "is_document_type", False):
        return
    kind = _KINDS.get(shape.type_name, "a string")
    if not _is_of(kind, value):
        yield f"Field '{name}' must be {kind}"
        return
    match shape.type_name:
        case "structure":
            yield from _faults(shape, value, check)
        case "list":
            for item in value:
                yield from _field(name, shape.member, item, check)
        case "map":
            for key, item in value.items():
                yield from _field(key, shape.value, item, check)
        case _:
            yield from _bounds(name, shape, value)


_KINDS: Final = {
    "structure": "an object",
    "map": "an object",
    "list": "an array",
    "boolean": "a boolean",
    "integer": "a number",
    "long": "a number",
    "float": "a number",
    "double": "a number",
}
_TYPES: Final[Mapping[str, type | tuple[type, ...]]] = {
    "an object": dict,
    "an array": list,
    "a boolean": bool,
    "a number": (int, float),
    "a string": str,
}


def _is_of(kind: str, value: Json) -> bool:
    return isinstance(value, _TYPES[kind]) and (kind == "a boolean" or not isinstance(value, bool))


def _bounds(name: str, shape: Any, value: Json) -> Iterator[str]:
    about: Mapping[str, Any] = shape.metadata
    numeric = not isinstance(value, str | bool)
    size = value if numeric else len(value) if isinstance(value, str) else None
    if size is None:
        return
    what = "value" if numeric else "length"
    if "min" in about and size < about["min"]:
        yield f"Field '{name}' is less than the minimum {what}"
    if "max" in about and size > about["max"]:
        yield f"Field '{name}' is greater than the maximum {what}"
    if about.get("enum") and value not in about["enum"]:
        yield f"Field '{name}' is not one of the allowed values"
