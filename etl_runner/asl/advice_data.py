"""Data that is not there when it is read, and data that is too large to be passed on."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Final

from etl_runner.asl.advising import Odd, language_of
from etl_runner.asl.choice import Comparison
from etl_runner.asl.dataflow import JsonataPayload, Selector, Template
from etl_runner.asl.document import Node
from etl_runner.asl.draft import ScopeDraft, StateDraft
from etl_runner.asl.intrinsics import IntrinsicCall
from etl_runner.asl.model import (
    ChoiceState,
    FailState,
    MapState,
    ParallelState,
    PassState,
    State,
    TaskState,
    WaitState,
    WorkState,
)
from etl_runner.asl.validate import is_distributed, value_of
from etl_runner.jsontypes import Json, dumps

_SDK: Final = frozenset({"SdkHttpMetadata", "SdkResponseMetadata"})
_RESULTS: Final[Mapping[str, frozenset[str]]] = {
    ":states:::lambda:invoke": frozenset(
        {"ExecutedVersion", "FunctionError", "LogResult", "Payload", "StatusCode"} | _SDK
    ),
    ":states:::sns:publish": frozenset({"MessageId", "SequenceNumber"} | _SDK),
    ":states:::sqs:sendMessage": frozenset(
        {
            "MD5OfMessageAttributes",
            "MD5OfMessageBody",
            "MD5OfMessageSystemAttributes",
            "MessageId",
            "SequenceNumber",
        }
        | _SDK
    ),
}
"""What optimised integrations give, by the end of their Resource: all fields that there may be."""


_FAR: Final = 50
"""How many states a shape is followed; a hostile definition could else have each state follow all others."""


@dataclass(frozen=True, slots=True)
class _Shape:
    """What is known of the data between two states: its fields, and which state gave it."""

    keys: frozenset[str]
    by: str
    is_array: bool = False


def lost_reads(scopes: list[ScopeDraft]) -> Iterator[Odd]:
    """Give the states that read a field which a state before them has replaced.

    Only where the result that replaced it is known field by field, and only along Next: a Choice may know
    better than this where each of its ways comes from.
    """
    for scope in scopes:
        for draft in scope.states.values():
            shape = _after(draft, scopes, None)
            if shape is not None:
                yield from _along(draft, shape, scope, scopes)


def _along(first: StateDraft, known: _Shape, scope: ScopeDraft, scopes: list[ScopeDraft]) -> Iterator[Odd]:
    """Follow Next from a state for as long as something is known of the data."""
    seen = {first.name}
    shape: _Shape | None = known
    at = _next(first, scope)
    while shape is not None and at is not None and at.name not in seen and len(seen) < _FAR:
        if language_of(scopes, at) != "JSONPath":
            return
        yield from _missing(at, shape)
        if at.type == "Choice" or _gives_its_own(at):
            return
        seen.add(at.name)
        shape, at = _after(at, scopes, shape), _next(at, scope)


def _next(draft: StateDraft, scope: ScopeDraft) -> StateDraft | None:
    after = value_of(draft.node, "Next")
    return scope.states.get(after) if isinstance(after, str) else None


def _gives_its_own(draft: StateDraft) -> bool:
    """Whether its result takes the place of the whole data: what follows is then held against that."""
    state = draft.state
    return (
        isinstance(state, WorkState | PassState)
        and state.result_path is not None
        and (state.result_path.text == "$" and (not isinstance(state, PassState) or _makes(state)))
    )


def _makes(state: PassState) -> bool:
    return state.result is not None or state.parameters is not None


def _after(draft: StateDraft, scopes: list[ScopeDraft], before: _Shape | None) -> _Shape | None:
    """Give what is known of the data after a state, None when that is nothing."""
    state = draft.state
    if state is None or language_of(scopes, draft) != "JSONPath":
        return None
    if state.input_path is None or state.input_path.text != "$":
        return None
    if state.output_path is None or state.output_path.text != "$":
        return None
    if not isinstance(state, PassState | WorkState) or (isinstance(state, PassState) and not _makes(state)):
        return before
    path = state.result_path
    if path is None:
        return before
    if path.text == "$":
        return _result(draft, state)
    head = path.head
    if before is None or before.is_array or head is None:
        return None
    return _Shape(before.keys | {head}, before.by)


def _result(draft: StateDraft, state: PassState | WorkState) -> _Shape | None:
    if isinstance(state, WorkState) and state.result_selector is not None:
        return _of_value(value_of(draft.node, "ResultSelector"), draft.name, template=True)
    if isinstance(state, PassState):
        if state.result is not None:
            return _of_value(state.result[0], draft.name, template=False)
        return _of_value(value_of(draft.node, "Parameters"), draft.name, template=True)
    if isinstance(state, ParallelState):
        return _Shape(frozenset(), draft.name, is_array=True)
    if isinstance(state, TaskState):
        for end, keys in _RESULTS.items():
            if state.resource.endswith(end):
                return _Shape(keys, draft.name)
    return None


def _of_value(value: Json, by: str, *, template: bool) -> _Shape | None:
    if not isinstance(value, dict):
        return None
    return _Shape(frozenset(key.removesuffix(".$") if template else key for key in value), by)


def _missing(draft: StateDraft, shape: _Shape) -> Iterator[Odd]:
    """Give the paths of a state that cannot be there in data of this shape."""
    for selector in _reads(draft.state):
        head = selector.path.head
        if selector.variable is not None or selector.of_context or not selector.definite or head is None:
            continue
        if head in shape.keys:
            continue
        fields = ", ".join(sorted(shape.keys)) or "an empty object"
        what = (
            f"the state {draft.name!r} reads {selector.text!r}, and the result of the state {shape.by!r} has "
            f"taken the place of all data: it is {'an array' if shape.is_array else fields}"
        )
        remedy = f"give {shape.by!r} a ResultPath that keeps the input, or read what is there"
        yield Odd(draft.node, "reads-what-was-replaced", what, remedy, at_key=True)


def _reads(state: State | None) -> Iterator[Selector]:
    """Give the paths that a state evaluates over its whole input for certain."""
    if state is None or state.input_path is None:
        return
    if state.input_path.text != "$":
        yield state.input_path
    elif isinstance(state, ChoiceState):
        first = state.choices[0].rule
        if isinstance(first, Comparison):
            yield first.variable
    else:
        for part in _parts(state):
            yield from _selectors(part)


def _parts(state: State) -> list[object]:
    match state:
        case TaskState():
            return [state.parameters, state.timeout_seconds, state.heartbeat_seconds, state.credentials]
        case MapState():
            return [state.items_path, state.max_concurrency]
        case ParallelState() | PassState():
            return [state.parameters]
        case WaitState():
            return [state.seconds, state.timestamp]
        case FailState():
            return [state.error, state.cause]
        case _:
            return []


def _selectors(part: object) -> Iterator[Selector]:
    expressions: tuple[object, ...] = part.expressions if isinstance(part, Template) else (part,)
    for expression in expressions:
        if isinstance(expression, Selector):
            yield expression
        elif isinstance(expression, IntrinsicCall):
            yield from expression.selectors()


_GET_OBJECT: Final = ":states:::aws-sdk:s3:getObject"


def too_large(scopes: list[ScopeDraft], most: float) -> Iterator[Odd]:
    """Give what is over the limit of a payload, `most` bytes: literals, branches of them, objects of S3."""
    for scope in scopes:
        for draft in scope.states.values():
            yield from _literal(draft, most)
            yield from _branches(draft, most)
            yield from _objects(draft, most)


def _literal(draft: StateDraft, most: float) -> Iterator[Odd]:
    for key in ("Result", "Parameters", "Arguments", "Output"):
        node = draft.node.get(key)
        size = _constant_bytes(draft.state, node) if node is not None else 0
        if node is not None and size > most:
            yield _over(node, f"{key} of the state {draft.name!r} has {size:,} bytes", most)


def _constant_bytes(state: State | None, node: Node) -> int:
    """Give the size of a field that is the same in every run; 0 for any other."""
    held: object = None
    if node.name == "Result":
        return len(dumps(node.value)) if isinstance(state, PassState) else 0
    if node.name == "Output" and state is not None:
        held = state.output
    elif isinstance(state, PassState | WorkState):
        held = state.parameters
    constant = isinstance(held, Template | JsonataPayload) and held.constant
    return len(dumps(node.value)) if constant else 0


def _over(node: Node, what: str, most: float) -> Odd:
    return Odd(
        node,
        "payload-too-large",
        f"{what}, and {most:,} are allowed",
        "put it into an object of S3 and pass on its bucket and key",
        at_key=True,
    )


def _branches(draft: StateDraft, most: float) -> Iterator[Odd]:
    """Give a Parallel state whose branches end with literals that are too large together."""
    state = draft.state
    if not isinstance(state, ParallelState) or not _keeps_result(state):
        return
    size = 0
    for scope in draft.inner:
        ends = [inner for inner in scope.states.values() if inner.terminal]
        results = [_end_bytes(inner) for inner in ends]
        size += min(results, default=0)
    if size > most:
        node = draft.node.get("Branches") or draft.node
        yield _over(node, f"the branches of the state {draft.name!r} give {size:,} bytes together", most)


def _end_bytes(draft: StateDraft) -> int:
    """Give the size of the literal that a state ends its scope with, 0 when it is none."""
    state = draft.state
    if not isinstance(state, PassState) or state.result is None:
        return 0
    whole = state.result_path is not None and state.result_path.text == "$"
    untouched = state.output_path is not None and state.output_path.text == "$"
    return len(dumps(state.result[0])) if whole and untouched else 0


def _objects(draft: StateDraft, most: float) -> Iterator[Odd]:
    """Give an inline Map that puts whole objects of S3, of any size, together into one result."""
    state = draft.state
    if not isinstance(state, MapState) or is_distributed(draft.node) or not _keeps_result(state):
        return
    for inner in draft.inner[0].states.values():
        task = inner.state
        if not isinstance(task, TaskState) or not inner.terminal or not _keeps_result(task):
            continue
        arguments = value_of(inner.node, "Parameters") or value_of(inner.node, "Arguments") or {}
        ranged = isinstance(arguments, dict) and {"Range", "Range.$", "PartNumber"} & arguments.keys()
        if task.resource.endswith(_GET_OBJECT) and not ranged:
            yield Odd(
                inner.node,
                "payload-may-be-too-large",
                f"the Map state {draft.name!r} puts the whole objects of S3 that {inner.name!r} reads into "
                f"one result, and {most:,} bytes are allowed",
                "pass on their buckets and keys, or make it a Distributed Map with a ResultWriter",
                at_key=True,
            )


def _keeps_result(state: WorkState) -> bool:
    """Whether a state passes its result on as it is."""
    return state.result_path is not None and state.result_selector is None and state.output is None
