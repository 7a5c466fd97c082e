"""Entries of PutEvents: what EventBridge refuses of them, and the event that becomes of the rest. Pure.

Codes and sentences are EventBridge's own where it has them (PutEventsResultEntry).
"""

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Final

from etl_runner.clock import from_datetime, to_datetime
from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json, dumps, dumps_text, loads

ENTRY_LIMIT_BYTES: Final = 262_144
"""The most that the entries of a request may have together; here it is held against each entry."""

EVENT_LIMIT_BYTES: Final = 1_048_576
"""The most that a full event may have as JSON: as much as the largest message of SQS."""

EVENT_ID_LIMIT: Final = 256

_FIELDS: Final = frozenset(
    {"Source", "DetailType", "Detail", "Time", "Resources", "EventBusName", "TraceHeader"}
)
_TEXT_LIMITS: Final = {"Source": 256, "DetailType": 128}
_SECONDS_LIMIT: Final = 253_402_300_800  # the year 10000


class EntryRefused(InvalidInput):
    """An entry that EventBridge would refuse; `code` is its ErrorCode."""

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        super().__init__(message)


def event_of_entry(entry: Json, *, event_id: str, now_ms: int, account: str, region: str) -> Json:
    """The event that an entry of PutEvents stands for. Raises EntryRefused."""
    if not isinstance(entry, Mapping):
        raise EntryRefused("InvalidArgument", "An entry is a JSON object.")
    if unknown := sorted(set(entry) - _FIELDS):
        raise _not_valid(unknown[0], f"there is no such parameter; there are {', '.join(sorted(_FIELDS))}.")
    source, detail_type = _text(entry, "Source"), _text(entry, "DetailType")
    text = entry.get("Detail")
    if not text:
        raise _not_valid("Detail", "Detail is a required argument.")
    if not isinstance(text, str):
        raise _not_valid("Detail", "Detail is a JSON object as a string.")
    if source.startswith("aws."):
        raise EntryRefused("NotAuthorizedForSourceException", "Not authorized for the source.")
    bus = entry.get("EventBusName") or "default"
    if bus != "default" and not str(bus).endswith(":event-bus/default"):
        raise _not_valid("EventBusName", f"there is no event bus {bus!r}; there is only 'default'.")
    resources = _resources(entry.get("Resources"))
    size = entry_size(entry)
    if size > ENTRY_LIMIT_BYTES:
        raise EntryRefused(
            "InvalidArgument", f"The entry has {size:,} bytes; the most is {ENTRY_LIMIT_BYTES:,}."
        )
    when_ms = _time(entry.get("Time"), now_ms)
    return {
        "version": "0",
        "id": event_id,
        "detail-type": detail_type,
        "source": source,
        "account": account,
        "time": event_time(when_ms),
        "region": region,
        "resources": resources,
        "detail": _detail(text),
    }


def entry_size(entry: Mapping[str, Json]) -> int:
    """The size of an entry in bytes as EventBridge counts it: 14 for the time, UTF-8 for the rest."""
    texts = [str(entry.get(name) or "") for name in ("Source", "DetailType", "Detail")]
    texts += [str(each) for each in entry.get("Resources") or ()]
    return (14 if entry.get("Time") is not None else 0) + sum(len(text.encode()) for text in texts)


def event_time(ms: int) -> str:
    """A time as events carry it: 2026-01-31T04:05:06Z."""
    return to_datetime(ms).strftime("%Y-%m-%dT%H:%M:%SZ")


def _amiss(event: Mapping[str, Json], name: str) -> str:
    if name not in event:
        return f"the event has no {name!r}"
    return f"the {name!r} of the event is {dumps_text(event[name])[:60]}"


def checked_event(event: Json, *, event_id: str, now_ms: int, account: str, region: str) -> dict[str, Json]:
    """Complete a full event (`source`, `detail-type` and `detail` are needed); its own `id` stays.

    Fields beyond the envelope are kept: patterns may ask for them. Raises InvalidInput.
    """
    if not isinstance(event, Mapping):
        raise InvalidInput(f"an event is a JSON object; this one is of type {type(event).__name__}")
    for name in ("source", "detail-type"):
        if not isinstance(event.get(name), str) or not event[name]:
            raise InvalidInput(f"{_amiss(event, name)}; it must be a string that is not empty")
    if not isinstance(event.get("detail"), Mapping):
        raise InvalidInput(f"{_amiss(event, 'detail')}; it must be a JSON object")
    whole = {
        "version": "0",
        "id": event_id,
        "account": account,
        "time": event_time(now_ms),
        "region": region,
        "resources": [],
    } | dict(event)
    for name in ("id", "account", "time", "region"):
        if not isinstance(whole[name], str) or not whole[name]:
            raise InvalidInput(f"the event's {name!r} must be a string that is not empty")
    if len(whole["id"]) > EVENT_ID_LIMIT:
        raise InvalidInput(
            f"the event's 'id' has {len(whole['id'])} characters; the most is {EVENT_ID_LIMIT}"
        )
    if not isinstance(whole["resources"], list):
        raise InvalidInput("the event's 'resources' must be a list")
    size = len(dumps(whole))
    if size > EVENT_LIMIT_BYTES:
        raise InvalidInput(f"the event has {size:,} bytes as JSON; the most is {EVENT_LIMIT_BYTES:,}")
    return whole


def _not_valid(name: str, reason: str) -> EntryRefused:
    return EntryRefused("InvalidArgument", f"Parameter {name} is not valid. Reason: {reason}")


def _text(entry: Mapping[str, Json], name: str) -> str:
    value = entry.get(name)
    if not value:
        raise _not_valid(name, f"{name} is a required argument.")
    if not isinstance(value, str) or len(value) > _TEXT_LIMITS[name]:
        raise _not_valid(name, f"{name} is a string of at most {_TEXT_LIMITS[name]} characters.")
    return value


def _resources(value: Json) -> list[Json]:
    if value is None:
        return []
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise _not_valid("Resources", "Resources is a list of strings.")
    return value


def _time(value: Json, now_ms: int) -> int:
    """AWS's JSON protocol writes times as seconds since the epoch; ISO 8601 with a zone is taken as well."""
    if value is None:
        return now_ms
    if isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < _SECONDS_LIMIT:
        return int(value * 1000)
    if isinstance(value, str):
        try:
            when = datetime.fromisoformat(value)
        except ValueError:
            pass
        else:
            return from_datetime(when if when.tzinfo else when.replace(tzinfo=UTC))
    raise _not_valid("Time", "Time is a number of seconds since 1970 or an ISO 8601 text.")


def _detail(text: str) -> Json:
    try:
        detail = loads(text)
    except (ValueError, RecursionError):
        detail = None
    if not isinstance(detail, dict):
        raise EntryRefused("MalformedDetail", "Detail is malformed.")
    return detail
