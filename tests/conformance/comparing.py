"""Puts what was answered and what was recorded into forms that can be compared."""

import itertools
import json
from collections.abc import Callable
from typing import Any, Final

Json = Any

_ENCRYPTION_SHOWN: Final = "2024-08"
"""Since then AWS shows the encryption of every state machine that it describes."""

_LEFT_OUT: Final = frozenset({"ParallelStateSucceeded", "ParallelStateFailed"})


def comparable(expected: Json, actual: Json, *, month: str) -> tuple[Json, Json]:
    """The pair with what is chance (the order of chains that ran side by side) or has changed put right."""
    if "definition" in expected and month < _ENCRYPTION_SHOWN:
        actual = {key: value for key, value in actual.items() if key != "encryptionConfiguration"}
    theirs, ours = expected.get("events"), actual.get("events")
    if not isinstance(theirs, list) or not isinstance(ours, list):
        return expected, actual
    theirs = _as_today(theirs)
    if not all(isinstance(event.get("id"), int) for event in theirs):
        # Recorded without numbers, sorted, without the event that comes before or after the last branch.
        ours = [event for event in ours if event["type"] not in _LEFT_OUT]
        theirs, ours = _sorted(theirs), _sorted(ours)
    elif _shape(theirs) != _shape(ours):
        theirs, ours = _in_tree_order(theirs), _in_tree_order(ours)
    return {**expected, "events": theirs}, {**actual, "events": ours}


def nearest_order(
    expected: list[Json], found: list[Json], probe: Callable[[Json, Json], list[Any]]
) -> list[Json]:
    """Messages come in any order: that in which they are the recorded ones, if there is one."""
    if len(found) != len(expected) or len(found) > 5:
        return found
    orders = (list(order) for order in itertools.permutations(found))
    return next((order for order in orders if not probe(expected, order)), found)


def _shape(events: list[Json]) -> list[Json]:
    return [(event["type"], event["id"], event["previousEventId"]) for event in events]


def _as_today(events: list[Json]) -> list[Json]:
    """Before November 2024 a Map's exit followed MapRunSucceeded, in later recordings MapRunStarted."""
    changed = list(events)
    for place in range(2, len(events)):
        kinds = [event.get("type") for event in events[place - 2 : place + 1]]
        if kinds == ["MapRunSucceeded", "MapStateSucceeded", "MapStateExited"]:
            changed[place] = {**events[place], "previousEventId": events[place - 2]["previousEventId"]}
    return changed


def _unnumbered(event: Json) -> Json:
    return {key: value for key, value in event.items() if key not in {"id", "previousEventId", "timestamp"}}


def _sorted(events: list[Json]) -> list[Json]:
    return sorted((_unnumbered(event) for event in events), key=_step)


def _step(event: Json) -> str:
    """What an event is, without what only placeholders tell apart."""
    details: Json = next((item for key, item in event.items() if key.endswith("EventDetails")), {})
    return json.dumps(
        [event["type"], details.get("name"), details.get("index"), _value(details.get("output"))]
    )


def _value(text: Json) -> Json:
    if not isinstance(text, str):
        return text
    try:
        return json.loads(text)
    except ValueError:
        return None


def _in_tree_order(events: list[Json]) -> list[Json]:
    """Events in the order of their ways from the beginning, which tells nothing of how chains took turns."""
    ways: dict[int, list[str]] = {0: []}
    for event in events:
        ways[event["id"]] = [*ways.get(event["previousEventId"], []), _step(event)]
    ordered = sorted(events, key=lambda event: ways[event["id"]])
    return [{**_unnumbered(event), "way": len(ways[event["id"]])} for event in ordered]
