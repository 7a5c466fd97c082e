"""The fields of a cron expression, in both dialects: the five of cron and the six of AWS.

cronsim and aws-croniter know the days; here every field is checked by itself first, so that an error names
the field, its place and what it may hold, and the faults of aws-croniter 2.1.1 are kept away from callers:
`LW` crashes it, a lone `L` as day-of-week never fires, and its search gives up after eleven steps (the fifth
Monday of a February is up to 28 years away).
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Any, Final, NoReturn

from aws_croniter import AwsCroniter
from aws_croniter.exceptions import AwsCroniterExpressionError
from cronsim import CronSim, CronSimError

from etl_runner.errors import InvalidInput
from etl_runner.schedule.expression_wall import Calendar

CRON_FIELDS: Final = ("minute", "hour", "day-of-month", "month", "day-of-week")
AWS_FIELDS: Final = (*CRON_FIELDS, "year")

_CRON_RANGES: Final = (
    "0 to 59",
    "0 to 23",
    "1 to 31, L (last day) or LW (last weekday)",
    "1 to 12 or JAN to DEC",
    "0 to 7 or SUN to SAT (0 and 7 are Sunday), 5L (last Friday), 1#2 (second Monday)",
)
_AWS_RANGES: Final = (
    "0 to 59",
    "0 to 23",
    "1 to 31, L, LW, L-3 or 15W",
    "1 to 12 or JAN to DEC",
    "1 to 7 or SUN to SAT (1 is Sunday), L (Saturday), 6L (last Friday), 2#1 (first Monday)",
    "1970 to 2199",
)
_HORIZON_YEARS: Final = 50  # the calendar of leap days and weekdays repeats within 40 (over 2100 too)
_RESTART_DAYS: Final = 270  # eleven steps of aws-croniter's search reach ten months at the least
_FIRST_DAY: Final = date(1970, 1, 1)
_SECOND: Final = timedelta(seconds=1)
_aws_library: Callable[[str], Any] = AwsCroniter  # it has no types of its own


@dataclass(frozen=True, slots=True, kw_only=True)
class Fields:
    """A checked cron expression: its calendar, and its meaning in plain words (without the zone)."""

    calendar: Calendar
    words: str


def parse_cron(text: str, fields: str, offset: int = 0) -> Fields:
    """Read the five fields of a cron expression in the standard dialect.

    0 and 7 are Sunday. When day-of-month and day-of-week are both restricted, a day that matches either one
    fires (POSIX crontab). `offset` is where `fields` begins in `text`, for the place in an error.
    Raises InvalidInput.
    """
    parts = _split(text, fields, offset, CRON_FIELDS)
    for index, (at, part) in enumerate(parts):
        probe = ["*"] * 5
        probe[index] = part
        if not _is_cron(" ".join(probe)):
            _refuse(text, index, at, part, CRON_FIELDS, _cron_reason(index, part))
    values = [part for _, part in parts]
    days = f"0 0 {' '.join(values[2:])}"
    if not _is_cron(days):
        _never(text, "no month has such a day")
    parsed = CronSim(" ".join(values), datetime.combine(_FIRST_DAY, time()))
    calendar = _calendar(_cron_search(days), parsed.hours, parsed.minutes, values[1])
    if calendar.search(_FIRST_DAY) is None:
        _never(text, "no day matches its day-of-month, month and day-of-week together")
    # The library says "and" for both of its ways to join the two day fields.
    words = parsed.explain() if parsed.day_and else parsed.explain().replace(" and on ", " or on ")
    return Fields(calendar=calendar, words=words)


def parse_aws_cron(text: str, fields: str, offset: int = 0) -> Fields:
    """Read the six fields of an AWS cron expression: minute hour day-of-month month day-of-week year.

    1 is Sunday; one of the two day fields is `?`. Source: "Cron expressions" in the user guide of Amazon
    EventBridge Scheduler. Raises InvalidInput.
    """
    parts = _split(text, fields, offset, AWS_FIELDS)
    for index, (at, part) in enumerate(parts):
        probe = ["*", "*", "?" if index == 4 else "*", "*", "?", "*"]
        probe[index] = part
        if part != "?" and _aws_or_none(probe) is None:
            _refuse(text, index, at, part, AWS_FIELDS, f"it takes {_AWS_RANGES[index]}")
        if part == "?" and index not in {2, 4}:
            _refuse(text, index, at, part, AWS_FIELDS, "? is for day-of-month or day-of-week only")
    values = [part for _, part in parts]
    if (values[2] == "?") == (values[4] == "?"):
        raise InvalidInput(
            f"the schedule expression {text!r} has {values[2]!r} as day-of-month and {values[4]!r} as"
            " day-of-week; exactly one of the two must be ?"
        )
    times = _aws_library(f"{values[0]} {values[1]} * * ? *")
    calendar = _calendar(_aws_search(values), times.hours, times.minutes, values[1])
    if calendar.search(_FIRST_DAY) is None:
        _never(text, "no date matches its day, month and year together")
    return Fields(calendar=calendar, words=_aws_words(values))


def _split(text: str, fields: str, offset: int, names: Sequence[str]) -> list[tuple[int, str]]:
    """The fields in capitals, each with its place in the whole text (from 1)."""
    parts: list[tuple[int, str]] = []
    at = 0
    for part in fields.split():
        at = fields.index(part, at)
        parts.append((offset + at + 1, part.upper()))
        at += len(part)
    if len(parts) != len(names):
        remedy = f"write {' '.join(names)}"
        if names is CRON_FIELDS and len(parts) == 6:
            remedy += (
                "; there is no field for seconds (use 'rate(10 seconds)') and no year"
                " (use the AWS form, 'cron(0 12 * * ? 2030)')"
            )
        raise InvalidInput(
            f"the schedule expression {text!r} has {len(parts)} fields where {len(names)} are needed;"
            f" {remedy}"
        )
    return parts


def _refuse(text: str, index: int, at: int, found: str, names: Sequence[str], reason: str) -> NoReturn:
    raise InvalidInput(
        f"the schedule expression {text!r} has {found!r} as its {names[index]} (field {index + 1} of"
        f" {len(names)}, character {at}); {reason}"
    )


def _never(text: str, why: str) -> NoReturn:
    raise InvalidInput(f"the schedule expression {text!r} never fires: {why}; change its day or month")


def _cron_reason(index: int, part: str) -> str:
    if "?" in part:
        return "? belongs to the AWS form; write * here"
    if "W" in part.replace("WED", "") and index == 2:
        return "the weekday nearest to a day exists in the AWS form only: 'cron(0 9 15W * ? *)'"
    if part.startswith("L-") and index == 2:
        return "days before the last one exist in the AWS form only: 'cron(0 9 L-3 * ? *)'"
    low, dash, high = part.partition("-")
    if dash and low.isdecimal() and high.isdecimal() and int(low) > int(high):
        return f"a range runs upwards; write the two parts with a comma. It takes {_CRON_RANGES[index]}"
    return f"it takes {_CRON_RANGES[index]}, with , - * and /"


def _is_cron(expression: str) -> bool:
    try:
        CronSim(expression, datetime.combine(_FIRST_DAY, time()))
    except (CronSimError, ValueError):
        return False
    return True


def _aws_or_none(values: Sequence[str]) -> Any:
    """None for what the library refuses, in whichever way."""
    day, weekday = values[2], values[4]
    if weekday.startswith("L-"):
        return None  # the library reads L-3 as the last Tuesday; AWS knows no such thing
    try:
        return _aws_library(
            " ".join([*values[:2], "L" if day == "LW" else day, values[3], _weekday(weekday), values[5]])
        )
    except (AwsCroniterExpressionError, ValueError):
        return None


def _weekday(value: str) -> str:
    return "7" if value == "L" else value


def _calendar(
    search: Callable[[date], date | None],
    hours: Sequence[int] | set[int],
    minutes: Sequence[int] | set[int],
    hour: str,
) -> Calendar:
    stepped = "/" in hour and "-" not in hour and "," not in hour
    return Calendar(
        search=search,
        minutes=tuple(sorted({60 * an_hour + minute for an_hour in hours for minute in minutes})),
        hourly=hour.startswith("*") or stepped or len(set(hours)) == 24,
    )


def _cron_search(days: str) -> Callable[[date], date | None]:
    if days == "0 0 * * *":
        return lambda day: day

    def search(day: date) -> date | None:
        try:
            return next(CronSim(days, datetime.combine(day, time()) - _SECOND)).date()
        except StopIteration:
            return None

    return lru_cache(maxsize=64)(search)


def _aws_search(values: Sequence[str]) -> Callable[[date], date | None]:
    """The first matching day on or after a day, through the library, past its faults."""
    _, _, day_field, months, weekday, years = values
    if (day_field, months, weekday, years) in {("*", "*", "?", "*"), ("?", "*", "*", "*")}:
        return lambda day: day if day.year < 2200 else None
    parsed = _aws_library(
        f"0 0 {'*' if day_field == 'LW' else day_field} {months} {_weekday(weekday)} {years}"
    )
    allowed = sorted(set(parsed.years))
    last_weekday = CronSim("0 0 LW * *", datetime.combine(_FIRST_DAY, time()))

    def library(day: date) -> date | None:
        start = datetime.combine(day, time(), tzinfo=UTC) - _SECOND
        found: datetime | None = parsed.get_next(start)[0]
        return None if found is None else found.date()

    def candidates(day: date) -> Iterator[date]:
        start = max(day, date(allowed[0], 1, 1))
        end = min(date(allowed[-1], 12, 31), date(min(start.year + _HORIZON_YEARS, 9998), 12, 31))
        while start <= end:
            found = library(start)
            if found is not None:
                yield found
                start = found + timedelta(days=1)
            else:
                start += timedelta(days=_RESTART_DAYS)

    def search(day: date) -> date | None:
        for found in candidates(day):
            if day_field != "LW" or last_weekday.match_dom(found):
                return found
        return None

    return lru_cache(maxsize=64)(search)


def _aws_words(values: Sequence[str]) -> str:
    minute, hour, day, month, weekday, year = values
    note = "" if year == "*" else f", in the year {year}"
    if day.endswith("W") and day != "LW":
        note = f", on the weekday nearest to day {day[:-1]} of the month{note}"
    elif day.startswith("L-"):
        note = f", {day[2:]} days before the last day of the month{note}"
    elsewhere = day == "?" or day.startswith("L-") or (day.endswith("W") and day != "LW")
    plain_day = "*" if elsewhere else day
    try:
        words = CronSim(
            " ".join([minute, hour, plain_day, month, _standard_weekday(weekday)]),
            datetime.combine(_FIRST_DAY, time()),
        ).explain()
    except (CronSimError, ValueError):  # a range that wraps, such as FRI-MON
        return (
            f"When minute is {minute}, hour {hour}, day {day}, month {month}, weekday {weekday}, year {year}"
        )
    if elsewhere and day != "?":
        words = words.replace(" every day", "", 1)
    return words + note


def _standard_weekday(value: str) -> str:
    """AWS's weekday, 1 for Sunday, in cron's numbers, 0 for Sunday; names stay."""
    if value == "?":
        return "*"
    if value == "L":
        return "6"
    head, mark, tail = value.partition("#")
    return "".join(str(int(char) - 1) if char.isdecimal() else char for char in head) + mark + tail
