"""What the language allows and this release cannot run yet: refused by name, once all else is in order.

A definition that is refused here is right, so each remedy says how to do the same today.
"""

from collections.abc import Iterable, Iterator
from typing import Final

from etl_runner.asl.document import Node
from etl_runner.asl.draft import Report, ScopeDraft
from etl_runner.asl.validate import value_of

CODE: Final = "not-yet-supported"

_INPUT_TYPES: Final = {
    "PARQUET": "convert it to CSV or JSONL in a Task before it",
}


def check_not_yet(scopes: Iterable[ScopeDraft], report: Report) -> None:
    """Refuse what a Distributed Map may have and this release does not do."""
    for scope in scopes:
        for draft in scope.states.values():
            if draft.type != "Map":
                continue
            for node, what, remedy, at_key in _reading(draft.node):
                sentence = f"the Map state {draft.name!r} has {what}, which this release cannot run"
                report.fault(node, CODE, sentence, remedy, at_key=at_key)


def _reading(state: Node) -> Iterator[tuple[Node, str, str, bool]]:
    reader = state.get("ItemReader")
    if reader is None:
        return
    kind = reader.find("/ReaderConfig/InputType") if value_of(reader, "ReaderConfig", "InputType") else None
    if kind is not None and kind.value in _INPUT_TYPES:
        yield kind, f"an ItemReader with InputType {kind.value}", _INPUT_TYPES[kind.value], False
