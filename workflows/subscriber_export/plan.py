"""What an execution is to do, settled once at its start."""

from collections.abc import Mapping
from datetime import date, datetime, timedelta
from typing import Any, Final
from zoneinfo import ZoneInfo

from workflows.subscriber_export.errors import InvalidRequest
from workflows.subscriber_export.queries import HOME_DELIVERY, WEEKDAYS, WEEKLY
from workflows.subscriber_export.settings import required, seconds

ZONE: Final = "Europe/London"
"""The supplier's. The delivery date counts from today there, not from today in UTC."""


def prepare(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """Settle the delivery date, the waits and the places.

    Takes `{input, startedAt}`: the execution's input and the RFC 3339 time at which it started, which stays
    the same however often a state is tried. The input is `{type, deliveryDate?, deliveryDateDaysFromNow?,
    deliveryDayOfWeek?, minDaysInAdvance?, today?, waitSeconds?, maxWaitSeconds?, patienceSeconds?}`. Gives
    `{type, deliveryDate, today, submittedAt, waitSeconds, maxWaitSeconds, patienceSeconds, bucket,
    topicArn}`. Raises InvalidRequest and InvalidConfiguration.
    """
    wanted, started = event["input"], datetime.fromisoformat(event["startedAt"])
    if not isinstance(wanted, Mapping) or wanted.get("type") not in {HOME_DELIVERY, WEEKLY}:
        raise InvalidRequest(f"the input needs `type`, which is {HOME_DELIVERY!r} or {WEEKLY!r}")
    today = _date(wanted, "today") or started.astimezone(ZoneInfo(ZONE)).date()
    return {
        "type": wanted["type"],
        "deliveryDate": _delivery_date(wanted, today).isoformat(),
        "today": today.isoformat(),
        "submittedAt": started.astimezone(ZoneInfo("UTC")).strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "waitSeconds": _seconds(wanted, "waitSeconds", "ETL_EXPORT_WAIT_SECONDS", 30),
        "maxWaitSeconds": _seconds(wanted, "maxWaitSeconds", "ETL_EXPORT_MAX_WAIT_SECONDS", 180),
        "patienceSeconds": _seconds(wanted, "patienceSeconds", "ETL_EXPORT_PATIENCE_SECONDS", 7200),
        "bucket": required("ETL_EXPORT_BUCKET"),
        "topicArn": required("ETL_TOPIC_ARN"),
    }


def _delivery_date(wanted: Mapping[str, Any], today: date) -> date:
    given = _date(wanted, "deliveryDate")
    if given is not None:
        return given
    if wanted["type"] == HOME_DELIVERY:
        return today + timedelta(days=_days(wanted, "deliveryDateDaysFromNow"))
    name = wanted.get("deliveryDayOfWeek")
    if not isinstance(name, str) or name.lower() not in WEEKDAYS:
        raise InvalidRequest(f"a weekly export needs `deliveryDayOfWeek`, such as 'friday'; found {name!r}")
    first = today + timedelta(days=_days(wanted, "minDaysInAdvance"))
    return first + timedelta(days=(WEEKDAYS.index(name.lower()) - first.weekday()) % 7)


def _date(wanted: Mapping[str, Any], name: str) -> date | None:
    text = wanted.get(name)
    if text is None:
        return None
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError) as error:
        raise InvalidRequest(f"`{name}` must be YYYY-MM-DD; found {text!r}") from error


def _days(wanted: Mapping[str, Any], name: str) -> int:
    value = wanted.get(name)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 366:
        raise InvalidRequest(f"the input needs `deliveryDate`, or `{name}` from 0 to 366; found {value!r}")
    return value


def _seconds(wanted: Mapping[str, Any], name: str, variable: str, default: int) -> int:
    value = wanted.get(name, seconds(variable, default))
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value <= 86_400:
        raise InvalidRequest(f"`{name}` must be whole seconds from 0 to 86400; found {value!r}")
    return value
