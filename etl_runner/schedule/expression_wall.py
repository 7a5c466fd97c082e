"""From days and minutes of a wall clock to moments: where the clock changes of a time zone are decided.

The rules, the same for cron and AWS cron:

- A time of day that does not exist (the clock jumps over it) fires once, at the first moment after the jump.
  So a night's work is never skipped; Amazon EventBridge Scheduler would skip it.
- A time of day that comes twice (the clock is set back) fires once, the first time.
- An expression for every hour or every n-th hour follows real time instead: it fires at each moment whose
  wall clock matches, twice where the clock shows the time twice, and never at a time that was jumped over.
- Two ticks that fall on the same moment are one tick.
"""

from bisect import bisect_left, bisect_right
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

from etl_runner.clock import from_datetime, to_datetime

_DAY: Final = timedelta(days=1)
_MINUTE_MS: Final = 60_000
# Python's dates end in 9999 and the libraries look decades ahead; nobody waits that long.
EARLIEST_MS: Final = from_datetime(datetime(1900, 1, 1, tzinfo=UTC))
LATEST_MS: Final = from_datetime(datetime(9000, 1, 1, tzinfo=UTC))


@dataclass(frozen=True, slots=True, kw_only=True)
class Calendar:
    """What an expression says of the wall clock.

    `search` gives the first matching day on or after a day, None when there is none left. `minutes` are the
    matching minutes since midnight, in order. `hourly` marks those that follow real time.
    """

    search: Callable[[date], date | None]
    minutes: tuple[int, ...]
    hourly: bool


class WallTicks:
    """The moments of a calendar in a zone, as epoch milliseconds."""

    def __init__(self, calendar: Calendar, zone: ZoneInfo) -> None:
        self._calendar = calendar
        self._zone = zone
        # A year of days and some days of moments stay at hand: the next tick is nearly always close by.
        self._days_of = lru_cache(maxsize=4)(self._list_days)
        self._moments_of = lru_cache(maxsize=4)(self._list_moments)

    def next_after(self, after_ms: int) -> int | None:
        """The first tick strictly after, or None."""
        found = self.between(after_ms, LATEST_MS, 1)
        return found[0] if found else None

    def between(self, after_ms: int, until_ms: int, limit: int) -> list[int]:
        """The ticks after the one and up to the other (included), at most `limit`, in order."""
        after_ms, until_ms = max(after_ms, EARLIEST_MS), min(until_ms, LATEST_MS)
        if after_ms >= until_ms or limit <= 0:
            return []
        # Moments of neighbouring days may interleave where a clock is set back over midnight, hence one day
        # before, one day after, and a sort.
        last = to_datetime(until_ms).astimezone(self._zone).date() + _DAY
        found: list[int] = []
        enough: date | None = None
        for day in self._days_from(to_datetime(after_ms).astimezone(self._zone).date() - _DAY):
            if day > (enough or last):
                break
            moments = self._moments_of(day)
            found.extend(moments[bisect_right(moments, after_ms) : bisect_right(moments, until_ms)])
            if enough is None and len(found) >= limit and len(set(found)) >= limit:
                enough = day + _DAY
        return sorted(set(found))[:limit]

    def _days_from(self, day: date) -> Iterator[date]:
        current: date | None = day
        while current is not None:
            days = self._days_of(current.year)
            yield from days[bisect_left(days, current) :]
            current = self._calendar.search(date(current.year + 1, 1, 1))

    def _list_days(self, year: int) -> tuple[date, ...]:
        days = []
        day = self._calendar.search(date(year, 1, 1))
        while day is not None and day.year == year:
            days.append(day)
            day = self._calendar.search(day + _DAY)
        return tuple(days)

    def _list_moments(self, day: date) -> tuple[int, ...]:
        midnight = datetime.combine(day, time())
        before, after = self._offset_ms(midnight, 0), self._offset_ms(midnight + _DAY, 0)
        if before == self._offset_ms(midnight, 1) == after:
            start = from_datetime(midnight.replace(tzinfo=UTC)) - before
            return tuple([start + minute * _MINUTE_MS for minute in self._calendar.minutes])
        resolve = self._all_moments if self._calendar.hourly else self._one_moment
        moments: set[int] = set()
        for minute in self._calendar.minutes:
            moments.update(resolve(midnight + timedelta(minutes=minute)))
        return tuple(sorted(moments))

    def _one_moment(self, wall: datetime) -> tuple[int, ...]:
        return (moment_of(wall, self._zone),)

    def _all_moments(self, wall: datetime) -> tuple[int, ...]:
        first, second = self._offset_ms(wall, 0), self._offset_ms(wall, 1)
        as_utc = from_datetime(wall.replace(tzinfo=UTC))
        if first < second:
            return ()
        return (as_utc - first, as_utc - second)

    def _offset_ms(self, wall: datetime, fold: int) -> int:
        return _offset_ms(wall, self._zone, fold)


def moment_of(wall: datetime, zone: ZoneInfo) -> int:
    """The one moment of a naive wall time: the first of two, or the first one after a jump over it."""
    first, second = _offset_ms(wall, zone, 0), _offset_ms(wall, zone, 1)
    as_utc = from_datetime(wall.replace(tzinfo=UTC))
    if first >= second:
        return as_utc - first
    # The jump lies between the two readings of a time that does not exist.
    low, high = (as_utc - second) // 1000, (as_utc - first) // 1000
    while high - low > 1:
        middle = (low + high) // 2
        reading = to_datetime(middle * 1000).astimezone(zone).replace(tzinfo=None)
        low, high = (middle, high) if reading < wall else (low, middle)
    return high * 1000


def _offset_ms(wall: datetime, zone: ZoneInfo, fold: int) -> int:
    offset = wall.replace(tzinfo=zone, fold=fold).utcoffset() or timedelta()
    return offset // timedelta(milliseconds=1)
