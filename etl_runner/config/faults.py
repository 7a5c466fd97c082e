"""What pydantic says of a file, in our sentences and at the place in the file."""

from collections.abc import Iterable, Iterator, Sequence
from contextlib import suppress
from difflib import get_close_matches
from typing import Any, TypeVar, get_args, get_origin

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_core import ErrorDetails

from etl_runner.asl.document import Document, Node, kind_of
from etl_runner.config.models import (
    FUNCTION_NAME_PATTERN,
    HANDLER_PATTERN,
    NAME_PATTERN,
    VARIABLE_PATTERN,
)
from etl_runner.config.yaml_source import node_at
from etl_runner.errors import Fault

ModelT = TypeVar("ModelT", bound=BaseModel)

_PATTERNS = {
    NAME_PATTERN: "a name has 1 to 64 letters, digits, dots, underscores and hyphens",
    FUNCTION_NAME_PATTERN: "a function's name has 1 to 64 letters, digits, underscores and hyphens",
    HANDLER_PATTERN: "write MODULE.FUNCTION, as in tasks.download",
    VARIABLE_PATTERN: "a variable's name has letters, digits and underscores",
}
_WANTED = {
    "string_type": "a string",
    "bool_type": "true or false",
    "int_type": "a whole number",
    "float_type": "a number",
    "list_type": "a list",
    "dict_type": "a mapping",
    "model_type": "a mapping",
    "model_attributes_type": "a mapping",
}
_TEXT_IS_NO_BOOLEAN = {"no", "yes", "on", "off", "y", "n"}


def shape_faults(model: type[BaseModel], document: Document) -> list[Fault]:
    """Everything that keeps a document from being what the model describes."""
    if document.root is None:
        return list(document.faults)
    try:
        model.model_validate(document.root.value)
    except ValidationError as error:
        details = error.errors(include_url=False)
        found = [_fault(model, document.root, detail) for detail in details]
        return [*document.faults, *dict.fromkeys(found)]
    return list(document.faults)


def sound_entries(model: type[ModelT], nodes: Iterable[Node]) -> Iterator[tuple[ModelT, Node]]:
    """The nodes that are what the model describes; the others have been shape_faults' business."""
    for node in nodes:
        with suppress(ValidationError):
            yield model.model_validate(node.value), node


def near(wanted: str, names: Sequence[str] | set[str], otherwise: str) -> str:
    """A remedy for an unknown name: those like it, else `otherwise`."""
    found = get_close_matches(wanted, sorted(names), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(repr(name) for name in found)}?" if found else otherwise


def fault_at(node: Node, what: str, remedy: str, code: str, *, at_key: bool = False) -> Fault:
    """A fault at a node of a file."""
    return node.source.fault(node.key_at if at_key else node.at, code, what, remedy, path=node.path)


def _fault(model: type[BaseModel], root: Node, detail: ErrorDetails) -> Fault:
    is_key = bool(detail["loc"]) and detail["loc"][-1] == "[key]"
    path = _path_in_file(root, detail["loc"])
    node = node_at(root, path)
    last = str(path[-1]) if path else ""
    match detail["type"]:
        case "extra_forbidden":
            names = _fields_at(model, path[:-1])
            remedy = near(last, names, f"there are {', '.join(sorted(names))}")
            return fault_at(node, f"there is no field {last!r} here", remedy, "unknown-field", at_key=True)
        case "missing":
            name = str(detail["loc"][-1])
            example = _describe(model, (*path, name) if last != name else path)
            what = f"the field {name!r} is missing"
            return root.source.fault(node.at, "missing-field", what, example, path=node.path)
        case _:
            what, remedy = _wrong_value(node, last, detail, is_key=is_key, hidden=_is_secret(model, path))
            return fault_at(node, what, remedy, "invalid-value", at_key=is_key)


def _wrong_value(
    node: Node, name: str, detail: ErrorDetails, *, is_key: bool, hidden: bool
) -> tuple[str, str]:
    context: dict[str, Any] = detail.get("ctx", {})
    if is_key:
        return f"the name {name!r} cannot be used", _PATTERNS.get(context.get("pattern", ""), detail["msg"])
    # What stands in an environment may be a secret.
    if "environment" in node.path[:-1]:
        found = "not a string"
    else:
        found = "not a usable string" if hidden else kind_of(node.value)
    subject = f"the field {name!r} is {found}" if name and not name.isdecimal() else f"this is {found}"
    wanted = _WANTED.get(detail["type"])
    if wanted == "true or false" and str(node.value).lower() in _TEXT_IS_NO_BOOLEAN:
        return subject, "write true or false: in YAML 1.2 the words yes, no, on and off are text"
    if wanted == "a string":
        return subject, "it must be a string: put it in quotes"
    if wanted is not None:
        return subject, f"it must be {wanted}"
    if "min_length" in context and (hidden or isinstance(node.value, str)):
        return subject, f"it must have at least {context['min_length']} characters"
    if "pattern" in context:
        return subject, _PATTERNS.get(context["pattern"], f"it must match {context['pattern']}")
    return subject, detail["msg"].removeprefix("Input ").replace("should be", "it must be")


def _path_in_file(root: Node, loc: Sequence[str | int]) -> tuple[str | int, ...]:
    """The location that pydantic gives, less what is not in the file: "[key]" and names of types."""
    path: list[str | int] = []
    node: Node | None = root
    for step in loc:
        if node is None:
            break
        inner: Node | None
        if isinstance(step, int):
            elements = list(node.elements())
            inner = elements[step] if step < len(elements) else None
        else:
            inner = node.get(step)
        if inner is not None:
            path.append(step)
            node = inner
    return tuple(path)


def _model_at(model: type[BaseModel], path: Sequence[str | int]) -> type[BaseModel] | None:
    kind: Any = model
    for step in path:
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            field = kind.model_fields.get(str(step))
            kind = field.annotation if field is not None else None
        elif get_origin(kind) in {list, dict}:
            kind = get_args(kind)[-1]
        else:
            return None
    return kind if isinstance(kind, type) and issubclass(kind, BaseModel) else None


def _is_secret(model: type[BaseModel], path: Sequence[str | int]) -> bool:
    parent = _model_at(model, path[:-1])
    field = parent.model_fields.get(str(path[-1])) if parent is not None and path else None
    return field is not None and SecretStr in {field.annotation, *get_args(field.annotation)}


def _fields_at(model: type[BaseModel], path: Sequence[str | int]) -> set[str]:
    found = _model_at(model, path)
    return set(found.model_fields) if found is not None else set()


def _describe(model: type[BaseModel], path: Sequence[str | int]) -> str:
    parent = _model_at(model, path[:-1])
    field = parent.model_fields.get(str(path[-1])) if parent is not None and path else None
    return f"add it: {field.description}" if field is not None and field.description else "add it"
