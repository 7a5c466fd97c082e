"""What a Map makes of its input before any iteration: items, selection, batches, and its numbers."""

from collections.abc import Callable
from typing import Final

from etl_runner.asl import model
from etl_runner.asl.dataflow import Env, JsonataExpression, JsonataPayload, PathNotFound, Selector
from etl_runner.errors import RUNTIME, QueryEvaluationError, StatesError
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.machine.map_plan import MapItem, batched, item_context, jsonata_number, not_a_number
from etl_runner.offline.watching import Note, Seen, View

_COUNT: Final = "ToleratedFailureCount"
_PERCENTAGE: Final = "ToleratedFailurePercentage"


class MapInput:
    """The Map's Parameters, so to say: evaluates all that comes before the iterations, and gives the items.

    `reader_data` is what its ItemReader read, where that is known. Items that nobody knows (an ItemReader
    whose data is not given, and an input that is no array) are not looked at.
    """

    __slots__ = ("_note", "_reader_data", "_state", "_take", "_view")

    constant: Final = False
    text: Final = "$"

    def __init__(
        self,
        state: model.MapState,
        *,
        note: Note,
        take: Callable[[list[Json]], None],
        view: View,
        reader_data: list[Json] | None,
    ) -> None:
        self._state = state
        self._note = note
        self._take = take
        self._view = view
        self._reader_data = reader_data

    def evaluate(self, env: Env, expected: str | None = None) -> Json:  # noqa: ARG002 -- as payloads have it
        """Give the items. Raises StatesError for what a Map cannot run with."""
        seen = self._view(env)
        items = self._items(seen)
        if items is not None:
            self._take(items)
            self._shape(seen, items)
        self._numbers(seen)
        return items

    def _items(self, env: Env) -> list[Json] | None:
        state = self._state
        found: Json
        if self._reader_data is not None:
            found = self._reader_data
            if state.item_reader is not None and "ItemsPointer" in state.item_reader.config:
                self._note("afterItemsPointer", found)
            return self._reader_data
        if state.query_language is model.QueryLanguage.JSONATA:
            return self._jsonata_items(env)
        try:
            found = state.items_path.evaluate(env)
        except PathNotFound as miss:
            if state.item_reader is not None:
                return None  # the items come from there
            raise StatesError(RUNTIME, f"Invalid path '{state.items_path.text}' : {miss}") from miss
        items = self._checked(found, state.items_path.path.text, read=state.item_reader is not None)
        if items is not None:
            self._note("afterItemsPath", items)
        return items

    def _jsonata_items(self, env: Env) -> list[Json] | None:
        payload = self._state.items
        found = payload.evaluate(env, "array") if isinstance(payload, JsonataPayload) else env.input
        if isinstance(found, list):
            return found
        if self._state.item_reader is not None:
            return None
        raise QueryEvaluationError(f"Map state input must be an array but was: {dumps_text(found)}")

    def _checked(self, found: Json, path: str, *, read: bool) -> list[Json] | None:
        if isinstance(found, list):
            return found
        if read:
            return None
        raise StatesError(RUNTIME, f'Reference path "{path}" must point to array.')

    def _shape(self, env: Env, items: list[Json]) -> None:
        state = self._state
        if state.item_selector is not None:
            distributed = state.mode is model.MapMode.DISTRIBUTED
            items = [
                state.item_selector.evaluate(_of_item(env, MapItem(index, item), distributed=distributed))
                for index, item in enumerate(items)
            ]
            self._note("afterItemSelector", items)
        batcher = state.item_batcher
        if batcher is not None:
            batch: dict[str, Json] = {}
            if batcher.max_items is not None:
                batch["items"] = _number(batcher.max_items, env, "MaxItemsPerBatch")
            if batcher.max_input_bytes is not None:
                batch["bytes"] = _number(batcher.max_input_bytes, env, "MaxInputBytesPerBatch")
            if batcher.batch_input is not None:
                batch["input"] = batcher.batch_input.evaluate(env)
            self._note("afterItemBatcher", [child.input for child in batched({"batch": batch}, items)])

    def _numbers(self, env: Env) -> None:
        state = self._state
        self._note("maxConcurrency", _number(state.max_concurrency, env, "MaxConcurrency"))
        if state.tolerated_failure_count is not None:
            self._note("toleratedFailureCount", _number(state.tolerated_failure_count, env, _COUNT))
        if state.tolerated_failure_percentage != 0.0:
            percentage = _number(state.tolerated_failure_percentage, env, _PERCENTAGE)
            self._note("toleratedFailurePercentage", percentage)


def _of_item(env: Env, item: MapItem, *, distributed: bool) -> Env:
    shown = item_context(item) if distributed else {"Index": item.number, "Value": item.value}

    def with_item(context: Json) -> Json:
        return {**context, "Map": {"Item": shown}}

    return Seen(env, context=with_item)


def _number(given: float | Selector | JsonataExpression, env: Env, field: str) -> Json:
    percentage = field == _PERCENTAGE
    most = 100 if percentage else float("inf")
    if isinstance(given, JsonataExpression):
        return jsonata_number(given, env, field, least=0, most=most, whole=not percentage)
    if not isinstance(given, Selector):
        return given
    try:
        found = given.evaluate(env)
    except PathNotFound as miss:
        raise StatesError(RUNTIME, f"Invalid path '{given.text}' : {miss}") from miss
    if isinstance(found, bool) or not isinstance(found, int | float if percentage else int):
        raise StatesError(RUNTIME, not_a_number(given, f"{field}Path", found))
    if not 0 <= found <= most:
        raise StatesError(RUNTIME, f"{field} must be between 0 and {most}.")
    return found
