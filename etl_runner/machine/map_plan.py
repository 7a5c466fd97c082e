"""What a map run needs to know of its Map state, and how a child's input comes from it.

A plan is made when the state is entered. It is JSON, kept in MapRunStarted:
`{"input", "context", "items" | "reader": {"resource", "parameters", "config", "refusal"}, "concurrency",
"batch": {"items", "bytes", "input"}, "tolerated": {"percentage", "count"}, "writer": {"resource",
"parameters", "config"}, "label", "type", "variables", "at_ms"}`. Absent keys mean the field is absent; a
writer without Resource has "" there. "concurrency" and "tolerated" are what the map run begins with.
`type` is ExecutionType: EXPRESS children are as durable as STANDARD ones. `refusal` is why the map run fails
before it reads anything. `variables` are those that ItemSelector reads, and `at_ms` is the time that its
$now() gives.
"""

import hashlib
import random
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Final, NamedTuple
from uuid import UUID

from etl_runner.arn import map_run_arn
from etl_runner.asl import model
from etl_runner.asl.dataflow import Env, JsonataExpression, PathNotFound, Selector, invalid_path
from etl_runner.asl.rules import MAX_LABEL_LENGTH
from etl_runner.errors import RUNTIME, QueryEvaluationError, StatesError
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES, Json, dumps, dumps_text

STATE_DATA: Final = "STATE_DATA"
"""Map.Item.Source of an item that comes from the state's own input."""

_BAD_IN_LABEL: Final = re.compile(r"[^A-Za-z0-9._-]")
_FRACTION: Final = "ToleratedFailurePercentagePath"
_MAX_ITEMS: Final = "MaxItemsPath"


class NumberError(StatesError):
    """A `...Path` field leads to something else than the number that it needs."""


def run_arn(execution_arn: str, plan: Json, token: int) -> str:
    """The ARN of the map run that a token of an execution stands for; the same whenever it is asked."""
    digest = hashlib.sha256(f"{execution_arn} {token}".encode()).digest()
    return map_run_arn(execution_arn, plan["label"], str(UUID(bytes=digest[:16], version=4)))


def make_plan(state: model.MapState, env: Env, *, items: Json, reads: Sequence[str] = ()) -> Json:
    """Resolve a Distributed Map's fields. `reads` are the variables that its fields read.

    `items` is the array or object in the state's input; None where an ItemReader brings the items.

    Raises StatesError for a path that leads nowhere, an expression that fails, or a number out of range.
    """
    plan: dict[str, Json] = {
        "input": env.input,
        "context": env.context,
        "concurrency": _number(state.max_concurrency, env, "MaxConcurrencyPath"),
        "label": state.label or _label_of(state.name),
        "type": state.execution_type,
        "tolerated": _tolerated(state, env),
    }
    if state.item_selector is not None:
        plan["at_ms"] = env.now_ms
        if reads:
            plan["variables"] = {name: env.variables[name] for name in reads if name in env.variables}
    reader = state.item_reader
    if reader is None:
        plan["items"] = items
    else:
        plan["reader"] = _reader(reader, env)
    if state.item_batcher is not None:
        plan["batch"] = _batch(state.item_batcher, env)
    if state.result_writer is not None:
        writer = state.result_writer
        plan["writer"] = {
            "resource": writer.resource,
            "parameters": {} if writer.parameters is None else writer.parameters.evaluate(env),
            "config": dict(writer.config),
        }
    return plan


def _reader(reader: model.ItemReader, env: Env) -> Json:
    """What to read and how.

    A MaxItemsPath that leads to no number is not refused here: AWS begins a map run all the same, which fails
    with the "refusal".
    """
    plan: dict[str, Json] = {
        "resource": reader.resource,
        "parameters": {} if reader.parameters is None else reader.parameters.evaluate(env),
        "config": dict(reader.config),
    }
    if reader.max_items_path is not None:
        try:
            plan["config"]["MaxItems"] = _number(reader.max_items_path, env, _MAX_ITEMS)
        except NumberError as wrong:
            plan["refusal"] = wrong.cause
    return plan


def _label_of(name: str) -> str:
    """A label for a Map without one: AWS draws it, here it tells the state, in what an ARN can hold."""
    return _BAD_IN_LABEL.sub("_", name)[:MAX_LABEL_LENGTH]


def _tolerated(state: model.MapState, env: Env) -> Json:
    tolerated: dict[str, Json] = {
        "percentage": _number(state.tolerated_failure_percentage, env, "ToleratedFailurePercentagePath", 100)
    }
    if state.tolerated_failure_count is not None:
        tolerated["count"] = _number(state.tolerated_failure_count, env, "ToleratedFailureCountPath")
    return tolerated


def _batch(batcher: model.ItemBatcher, env: Env) -> Json:
    batch: dict[str, Json] = {}
    if batcher.max_items is not None:
        batch["items"] = _number(batcher.max_items, env, "MaxItemsPerBatchPath", least=1)
    if batcher.max_input_bytes is not None:
        batch["bytes"] = _number(batcher.max_input_bytes, env, "MaxInputBytesPerBatchPath", least=1)
    if batcher.batch_input is not None:
        batch["input"] = batcher.batch_input.evaluate(env)
    return batch


def _number(
    given: float | Selector | JsonataExpression,
    env: Env,
    field: str,
    most: float = float("inf"),
    *,
    least: float = 0,
) -> float:
    if isinstance(given, JsonataExpression):
        whole = field != _FRACTION
        return jsonata_number(given, env, field.removesuffix("Path"), least=least, most=most, whole=whole)
    if not isinstance(given, Selector):
        return given
    try:
        found = given.evaluate(env)
    except PathNotFound as miss:
        raise invalid_path(given, miss) from miss
    accepted = int | float if field == _FRACTION else int
    if isinstance(found, bool) or not isinstance(found, accepted):
        raise NumberError(RUNTIME, not_a_number(given, field, found))
    if not least <= found <= most:
        raise NumberError(RUNTIME, _out_of_bounds(field, least, most))
    return found


def _out_of_bounds(field: str, least: float, most: float) -> str:
    """AWS's sentence for a percentage (recorded), and ours after it where there is no upper bound."""
    wanted = f"at least {least}" if most == float("inf") else f"between {least} and {most}"
    return f"{field.removesuffix('Path')} must be {wanted}."


def jsonata_number(
    given: JsonataExpression, env: Env, field: str, *, least: float, most: float, whole: bool = True
) -> float:
    """The number that a JSONata field gives. Raises QueryEvaluationError for anything else."""
    found: float = given.evaluate(env, "number")
    if whole and found != int(found):
        raise QueryEvaluationError(f"The {field} field must be a whole number, but was: {found}", field)
    if not least <= found <= most:
        bound = f"between {least} and {most}" if most != float("inf") else f"{least} or more"
        raise QueryEvaluationError(f"The {field} field must be {bound}, but was: {found}", field)
    return int(found) if whole else found


def not_a_number(given: object, field: str, found: Json) -> str:
    """AWS's sentence for a `...Path` field of a Map that leads to something else than the number it needs."""
    kind = "float" if field == _FRACTION else "integer"
    shown = found if isinstance(found, str) else dumps_text(found)
    text = given.text if isinstance(given, Selector) else given
    return f'The {field} field refers to value "{shown}" which is not a valid {kind}: {text}'


class MapItem(NamedTuple):
    """One item: its number, its value, its name where it is a pair of an object, and where it is from."""

    number: int
    value: Json
    key: str | None = None
    source: str = STATE_DATA


class Child(NamedTuple):
    """The input of one child, and how many items are in it."""

    input: Json
    items: int


class _ItemEnv:
    """What ItemSelector sees for one item: the Map state's input, context and variables, and the item."""

    __slots__ = ("context", "input", "now_ms", "rng", "states", "variables")

    def __init__(self, plan: Json, item: MapItem, rng: random.Random) -> None:
        self.input = plan["input"]
        self.variables: dict[str, Json] = plan.get("variables") or {}
        self.states = {"input": plan["input"]}
        self.now_ms: int = plan.get("at_ms", 0)
        self.context = plan["context"] | {"Map": {"Item": item_context(item)}}
        self.rng = rng


def item_context(item: MapItem) -> dict[str, Json]:
    """Map.Item of the context object. Source: developer guide, "Context object data for Map states"."""
    key = {} if item.key is None else {"Key": item.key}
    return {"Index": item.number, **key, "Value": item.value, "Source": item.source}


def default_input(value: Json, key: str | None) -> Json:
    """What a child gets of an item without ItemSelector: the item itself, of a pair both halves."""
    return value if key is None else {"Key": key, "Value": value}


def select_item(state: model.MapState, plan: Json, item: MapItem, rng: random.Random) -> Json:
    """What becomes of one item on its way to a child. Raises StatesError when ItemSelector fails."""
    if state.item_selector is None:
        return default_input(item.value, item.key)
    return state.item_selector.evaluate(_ItemEnv(plan, item, rng))


def batched(
    plan: Json, items: Iterable[Json], *, first: int = 0, limit_bytes: int = PAYLOAD_LIMIT_BYTES
) -> Iterator[Child]:
    """Put items together into the inputs of children. Source: developer guide, "ItemBatcher".

    `first` is the number of the first item, `limit_bytes` what the input of a child may have. Raises
    StatesError States.ItemReaderFailed for an item that is larger, naming it.
    """
    batch = plan.get("batch")
    if batch is None:
        for number, item in enumerate(items, first):
            _fits(len(dumps(item)), limit_bytes, number, limit_bytes)
            yield Child(item, 1)
        return
    most_items = batch.get("items") or float("inf")
    most_bytes = min(batch.get("bytes") or limit_bytes, limit_bytes)
    extra = {"BatchInput": batch["input"]} if "input" in batch else {}
    frame_bytes = len(dumps({**extra, "Items": []}))
    held: list[Json] = []
    size = frame_bytes
    for number, item in enumerate(items, first):
        item_bytes = len(dumps(item)) + 1
        _fits(item_bytes, most_bytes, number, limit_bytes, frame_bytes)
        if held and (len(held) >= most_items or size + item_bytes > most_bytes):
            yield Child({**extra, "Items": held}, len(held))
            held, size = [], frame_bytes
        held.append(item)
        size += item_bytes
    if held:
        yield Child({**extra, "Items": held}, len(held))


def _fits(item_bytes: int, most_bytes: int, number: int, limit_bytes: int, frame_bytes: int = 0) -> None:
    if frame_bytes + item_bytes <= most_bytes:
        return
    around = f", and the batch around it {frame_bytes:,}" if frame_bytes else ""
    remedy = "Raise MaxInputBytesPerBatch or select" if frame_bytes and most_bytes < limit_bytes else "Select"
    raise StatesError(
        "States.ItemReaderFailed",
        f"The item {number} (the first is 0) has {item_bytes:,} bytes{around}, which is more than the "
        f"{most_bytes:,} that the input of a child may have. {remedy} less of it with ItemSelector.",
    )
