"""Schedule expressions: text in, times out. Pure: the present is an argument, every node computes the same.

Forms:

- `0 4 * * 1-5`, cron's five fields with standard day numbers, and `@daily` and its kin;
- `cron(0 4 ? * MON-FRI *)`, the six fields of AWS;
- `rate(5 minutes)`, a fixed period of real time. Also seconds and weeks, which AWS has not;
- `at(2030-01-31T04:00:00)`, once.

Zones are IANA names; what happens at a clock change is decided in expression_wall.py. A rate counts from its
start when it has one, else from 1970-01-01T00:00Z, and takes no notice of the zone.
"""

import re
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from difflib import get_close_matches
from functools import lru_cache
from typing import Final, Literal, Protocol, TypeAlias
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from etl_runner.clock import to_iso
from etl_runner.errors import InvalidInput
from etl_runner.schedule.expression_fields import parse_aws_cron, parse_cron
from etl_runner.schedule.expression_wall import EARLIEST_MS, LATEST_MS, WallTicks, moment_of

Kind: TypeAlias = Literal["cron", "aws-cron", "rate", "at"]

LONGEST_EXPRESSION: Final = 256  # EventBridge's own bound on ScheduleExpression
_FORMS: Final = (
    "write five cron fields ('0 4 * * *'), 'cron(0 4 * * ? *)', 'rate(5 minutes)' or"
    " 'at(2030-01-31T04:00:00)'"
)
_MACROS: Final = {
    "@yearly": "0 0 1 1 *",
    "@annually": "0 0 1 1 *",
    "@monthly": "0 0 1 * *",
    "@weekly": "0 0 * * 0",
    "@daily": "0 0 * * *",
    "@midnight": "0 0 * * *",
    "@hourly": "0 * * * *",
}
_UNIT_MS: Final = {
    "second": 1_000,
    "minute": 60_000,
    "hour": 3_600_000,
    "day": 86_400_000,
    "week": 7 * 86_400_000,
}
_LONGEST_RATE_MS: Final = 100 * 366 * 86_400_000
_RATE: Final = re.compile(r"(\S+)\s+(\S+)", re.ASCII)
_AT: Final = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}", re.ASCII)
_NOT_ZONES: Final = frozenset({"localtime", "posixrules", "Factory"})


class _Ticks(Protocol):
    def next_after(self, after_ms: int) -> int | None: ...

    def between(self, after_ms: int, until_ms: int, limit: int) -> list[int]: ...


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScheduleExpression:
    """A parsed expression. `start_ms`, when set, is the first moment at which it may fire."""

    text: str
    timezone: str
    kind: Kind
    words: str
    ticks: _Ticks
    start_ms: int | None = None

    def next_after(self, after_ms: int) -> int | None:
        """The first tick strictly after `after_ms`, or None when there is none (left)."""
        return self.ticks.next_after(self._not_before_start(after_ms))

    def between(self, after_ms: int, until_ms: int, limit: int) -> list[int]:
        """The ticks t with after_ms < t <= until_ms, in order, at most the first `limit` of them."""
        return self.ticks.between(self._not_before_start(after_ms), until_ms, limit)

    def describe(self) -> str:
        """The expression in plain English, for operators: "At 04:00 every day (Europe/Berlin)"."""
        return self.words if self.kind == "rate" else f"{self.words} ({self.timezone})"

    def _not_before_start(self, after_ms: int) -> int:
        return after_ms if self.start_ms is None else max(after_ms, self.start_ms - 1)


def parse_expression(text: str, timezone: str = "UTC", *, start_ms: int | None = None) -> ScheduleExpression:
    """Read a schedule expression in the zone `timezone` (an IANA name).

    `start_ms` anchors a rate (its first tick is the start itself) and keeps the other kinds from firing
    before it. Raises InvalidInput for anything that cannot be read, never fires, or names no known zone.
    """
    zone = find_zone(timezone)
    stripped = text.strip()
    if len(stripped) > LONGEST_EXPRESSION:
        raise InvalidInput(
            f"the schedule expression {stripped[:40]!r}... has {len(stripped)} characters;"
            f" the most is {LONGEST_EXPRESSION}"
        )
    kind, words, ticks = _read(stripped, zone, start_ms)
    return ScheduleExpression(
        text=text, timezone=timezone, kind=kind, words=words, ticks=ticks, start_ms=start_ms
    )


@lru_cache(maxsize=256)
def find_zone(name: str) -> ZoneInfo:
    """The time zone of an IANA name. Raises InvalidInput with names like it."""
    folder = name.partition("/")[0]
    try:
        if name not in _NOT_ZONES and folder not in {"posix", "right"}:
            return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        pass  # a folder of zones is an OSError, a path that climbs out a ValueError
    raise InvalidInput(f"there is no time zone {name!r}; {_zones_like(name)}")


def _zones_like(name: str) -> str:
    zones = {zone.lower(): zone for zone in available_timezones()}
    cities = {zone.rpartition("/")[2]: zone for zone in sorted(zones)}
    wanted = name.strip().lower().replace(" ", "_")
    near = [zones[found] for found in get_close_matches(wanted, zones, n=3, cutoff=0.7)]
    near += [zones[cities[found]] for found in get_close_matches(wanted, cities, n=2, cutoff=0.8)]
    if near:
        return f"did you mean {' or '.join(dict.fromkeys(near))}?"
    return "use a name of the IANA database such as 'Europe/Berlin' or 'UTC'"


def _read(text: str, zone: ZoneInfo, start_ms: int | None) -> tuple[Kind, str, _Ticks]:
    if text.startswith("@"):
        fields = parse_cron(text, _macro(text))
        return "cron", fields.words, WallTicks(fields.calendar, zone)
    name, bracket, rest = text.partition("(")
    if not bracket and len(text.split()) > 1:
        fields = parse_cron(text, text)
        return "cron", fields.words, WallTicks(fields.calendar, zone)
    if not bracket or name not in {"cron", "rate", "at"}:
        raise InvalidInput(f"{text!r} is no schedule expression; {_FORMS}")
    if not rest.endswith(")"):
        raise InvalidInput(f"the schedule expression {text!r} must end with a closing bracket; {_FORMS}")
    inside = rest[:-1]
    if name == "rate":
        return "rate", *_rate(text, inside, start_ms)
    if name == "at":
        return "at", *_at(text, inside, zone)
    fields = parse_aws_cron(text, inside, offset=len("cron("))
    return "aws-cron", fields.words, WallTicks(fields.calendar, zone)


def _macro(text: str) -> str:
    try:
        return _MACROS[text.lower()]
    except KeyError:
        raise InvalidInput(
            f"the schedule expression {text!r} is no known short form; there are {', '.join(_MACROS)}"
        ) from None


def _rate(text: str, inside: str, start_ms: int | None) -> tuple[str, _Ticks]:
    match = _RATE.fullmatch(inside.strip())
    if match is None:
        raise InvalidInput(
            f"the schedule expression {text!r} must hold a number and a unit, as in 'rate(5 minutes)'"
        )
    number, unit = match.groups()
    if not (number.isascii() and number.isdecimal()) or int(number) < 1:
        raise InvalidInput(
            f"the schedule expression {text!r} has {number!r} as its number; it must be a whole number from 1"
        )
    value = int(number)
    singular = unit.removesuffix("s")
    if singular not in _UNIT_MS:
        raise InvalidInput(
            f"the schedule expression {text!r} has {unit!r} as its unit; there are seconds, minutes, hours,"
            " days and weeks"
        )
    wanted = singular if value == 1 else f"{singular}s"
    if unit != wanted:
        raise InvalidInput(
            f"the schedule expression {text!r} has {unit!r} after {value}; write 'rate({value} {wanted})'"
        )
    period_ms = value * _UNIT_MS[singular]
    if period_ms > _LONGEST_RATE_MS:
        raise InvalidInput(f"the schedule expression {text!r} has a period of more than a hundred years")
    words = f"Every {singular}" if value == 1 else f"Every {value} {unit}"
    if start_ms is not None:
        words += f", counted from {to_iso(start_ms)}"
    return words, _Rate(period_ms=period_ms, anchor_ms=start_ms or 0)


def _at(text: str, inside: str, zone: ZoneInfo) -> tuple[str, _Ticks]:
    wall = inside.strip()
    when = None
    if _AT.fullmatch(wall):
        with suppress(ValueError):  # a 31st of February
            when = datetime.fromisoformat(wall)
    if when is None or when.year < 1970:
        raise InvalidInput(
            f"the schedule expression {text!r} has {wall!r} as its time; it must be a date and time from 1970"
            " on, written as in 'at(2030-01-31T04:00:00)', in the schedule's own time zone"
        )
    return f"Once, at {wall.replace('T', ' ')}", _Once(moment_of(when, zone))


@dataclass(frozen=True, slots=True)
class _Rate:
    period_ms: int
    anchor_ms: int

    def next_after(self, after_ms: int) -> int | None:
        after_ms = max(after_ms, EARLIEST_MS)
        tick = after_ms + self.period_ms - (after_ms - self.anchor_ms) % self.period_ms
        return tick if tick <= LATEST_MS else None

    def between(self, after_ms: int, until_ms: int, limit: int) -> list[int]:
        first = self.next_after(after_ms)
        if first is None:
            return []
        ticks = range(first, min(until_ms, LATEST_MS) + 1, self.period_ms)
        return list(ticks[: max(limit, 0)])


@dataclass(frozen=True, slots=True)
class _Once:
    moment_ms: int

    def next_after(self, after_ms: int) -> int | None:
        return self.moment_ms if self.moment_ms > after_ms else None

    def between(self, after_ms: int, until_ms: int, limit: int) -> list[int]:
        return [self.moment_ms] if after_ms < self.moment_ms <= until_ms and limit > 0 else []
