"""From a source's own rows to rows that look alike. Pure: no clock, no network, no file.

VERSION is part of the name of every refined part. Raise it when a change here changes what comes out.
"""

from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import Any, Final

VERSION: Final = "1"


class RowRejected(Exception):  # noqa: N818 -- read where it is caught: a row was rejected, the import was not
    """A row cannot be refined; the text says why, without the row itself."""


_MICROS: Final = {"units": Decimal(1_000_000), "cents": Decimal(10_000), "micros": Decimal(1)}
_NOT_THERE: Final = {"", "NA"}


def ads_row(row: Mapping[str, Any], source: Mapping[str, Any], _day: str) -> dict[str, Any]:
    """`{source, account, campaign, date, impressions, clicks, cost_micros, currency}`.

    Raises RowRejected.
    """
    columns = source["columns"]
    value = {field: _text(row, column) for field, column in columns.items()}
    try:
        day = (
            datetime.strptime(value["date"], source.get("dateFormat", "%Y-%m-%d")).replace(tzinfo=UTC).date()
        )
    except ValueError as error:
        raise RowRejected(f"{columns['date']} is not a date") from error
    impressions = _count(value["impressions"], columns["impressions"])
    clicks = _count(value["clicks"], columns["clicks"])
    if clicks > impressions:
        raise RowRejected("more clicks than impressions")
    currency = value["currency"].upper()
    if len(currency) != 3 or not currency.isalpha():
        raise RowRejected(f"{columns['currency']} is not a currency code")
    return {
        "source": source["name"],
        "account": value["account"],
        "campaign": " ".join(value["campaign"].split()),
        "date": day.isoformat(),
        "impressions": impressions,
        "clicks": clicks,
        "cost_micros": _cost_micros(value["cost"], source),
        "currency": currency,
    }


def flight_row(row: Mapping[str, Any], source: Mapping[str, Any], day: str) -> dict[str, Any]:
    """One flight; `date` is the day it is imported as, `flown` the day in the data. NA becomes null.

    Raises RowRejected.
    """
    try:
        flown = date(*(int(_text(row, name)) for name in ("year", "month", "day"))).isoformat()
        numbers = {
            name: _number_or_none(row, name)
            for name in ("dep_delay", "arr_delay", "air_time", "distance", "sched_dep_time", "sched_arr_time")
        }
    except ValueError as error:
        raise RowRejected(f"not a number where one belongs: {error}") from error
    return {
        "source": source["name"],
        "date": day,
        "flown": flown,
        "carrier": _text(row, "carrier"),
        "flight": _text(row, "flight"),
        "tailnum": None if row.get("tailnum") in _NOT_THERE else row.get("tailnum"),
        "origin": _text(row, "origin"),
        "dest": _text(row, "dest"),
        "sched_dep_time": numbers["sched_dep_time"],
        "sched_arr_time": numbers["sched_arr_time"],
        "dep_delay_minutes": numbers["dep_delay"],
        "arr_delay_minutes": numbers["arr_delay"],
        "air_time_minutes": numbers["air_time"],
        "distance_miles": numbers["distance"],
        "cancelled": row.get("dep_time") in _NOT_THERE,
    }


Refiner = Callable[[Mapping[str, Any], Mapping[str, Any], str], dict[str, Any]]
KINDS: Final[Mapping[str, Refiner]] = {"ads": ads_row, "flights": flight_row}
"""What a source's `kind` may be, and how its rows are refined."""


def _text(row: Mapping[str, Any], column: str) -> str:
    value = row.get(column)
    if value is None or value == "":
        raise RowRejected(f"{column} is missing")
    return str(value)


def _count(text: str, column: str) -> int:
    if not (text.isascii() and text.isdecimal()):
        raise RowRejected(f"{column} is not a count")
    return int(text)


def _cost_micros(text: str, source: Mapping[str, Any]) -> int:
    unit = source.get("costUnit", "units")
    try:
        micros = Decimal(text.replace(source.get("decimal", "."), ".")) * _MICROS[unit]
    except InvalidOperation as error:
        raise RowRejected(f"{source['columns']['cost']} is not an amount") from error
    if not micros.is_finite() or micros != micros.to_integral_value():
        raise RowRejected(f"{source['columns']['cost']} is finer than a millionth of the currency")
    return int(micros)


def _number_or_none(row: Mapping[str, Any], name: str) -> int | None:
    text = row.get(name)
    return None if text is None or text in _NOT_THERE else int(text)
