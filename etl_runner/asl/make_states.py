"""From the fields of a state or a part of one, read and compiled, to its model."""

from collections.abc import Callable, Mapping
from typing import Any, Final

from etl_runner.asl.draft import StateDraft
from etl_runner.asl.jsonata import JsonataExpression
from etl_runner.asl.model import (
    Catcher,
    ChoiceState,
    FailState,
    ItemBatcher,
    ItemReader,
    Jitter,
    MapMode,
    MapState,
    ParallelState,
    PassState,
    QueryLanguage,
    ResultWriter,
    Retrier,
    State,
    SucceedState,
    TaskState,
    WaitState,
)
from etl_runner.asl.validate import is_distributed, value_of


def make_state(draft: StateDraft, values: dict[str, Any], language: QueryLanguage) -> State:
    """Make the model of a state of which all fields could be read. `values` are those, by model names."""
    values["query_language"] = language
    if draft.type == "Map":
        values["mode"] = MapMode.DISTRIBUTED if is_distributed(draft.node) else MapMode.INLINE
        config = (draft.node.get("ItemProcessor") or draft.node.get("Iterator")) or draft.node
        values["execution_type"] = value_of(config, "ProcessorConfig", "ExecutionType") or "STANDARD"
    if draft.type in {"Pass", "Task", "Wait", "Parallel", "Map"}:
        values["next"] = None if draft.terminal else values["next"]
    state: State = MODELS[draft.type](name=draft.name, place=draft.node.key_place, **values)
    return state


def _make_retrier(values: dict[str, Any]) -> Retrier:
    if "jitter" in values:
        values["jitter"] = Jitter(values["jitter"])
    return Retrier(**values)


def _make_item_reader(values: dict[str, Any]) -> ItemReader:
    config = dict(values.pop("config", {}))
    path = config.pop("MaxItemsPath", None)
    if isinstance(config.get("MaxItems"), JsonataExpression):
        path = config.pop("MaxItems")
    return ItemReader(config=config, max_items_path=path, **values)


MODELS: Final[Mapping[str, Callable[..., Any]]] = {
    "Task": TaskState,
    "Wait": WaitState,
    "Pass": PassState,
    "Succeed": SucceedState,
    "Fail": FailState,
    "Choice": ChoiceState,
    "Parallel": ParallelState,
    "Map": MapState,
}
"""The model of each type of state."""

PART_MAKERS: Final[Mapping[str, Callable[[dict[str, Any]], Any]]] = {
    "Retry": _make_retrier,
    "Catch": lambda values: Catcher(**values),
    "ItemReader": _make_item_reader,
    "ItemBatcher": lambda values: ItemBatcher(**values),
    "ResultWriter": lambda values: ResultWriter(**values),
    "ReaderConfig": lambda values: values,
    "WriterConfig": lambda values: values,
    "ProcessorConfig": lambda values: values,
}
"""How each part of a state is made from its fields; some stay a dictionary within what holds them."""
