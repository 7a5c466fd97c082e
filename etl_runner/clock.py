"""Time as the project counts it: integer milliseconds since 1970-01-01T00:00Z, the precision AWS shows."""

import time
from datetime import UTC, datetime, timedelta
from typing import Protocol

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Clock(Protocol):
    """Where the shell gets the time from; the pure rooms get it as an argument instead."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, in UTC."""
        ...


class SystemClock:
    """The machine's own clock."""

    def now_ms(self) -> int:  # noqa: PLR6301, RUF100 -- Clock is an interface
        """Milliseconds since the epoch, in UTC."""
        return time.time_ns() // 1_000_000


class ManualClock:
    """A clock for tests and simulations that moves only when told."""

    def __init__(self, now_ms: int = 1_700_000_000_000) -> None:
        self._now_ms = now_ms

    def now_ms(self) -> int:
        """Milliseconds since the epoch, in UTC."""
        return self._now_ms

    def advance(self, delta_ms: int) -> None:
        """Move on by `delta_ms` milliseconds."""
        self._now_ms += delta_ms

    def move_to(self, now_ms: int) -> None:
        """Stand at `now_ms`."""
        self._now_ms = now_ms


def to_datetime(ms: int) -> datetime:
    """Turn epoch milliseconds into an aware UTC datetime."""
    return _EPOCH + timedelta(milliseconds=ms)


def from_datetime(when: datetime) -> int:
    """Turn an aware datetime into epoch milliseconds, rounding down.

    Raises ValueError for a naive one: a time without a zone names no moment.
    """
    if when.tzinfo is None:
        raise ValueError(f"the datetime {when.isoformat()} has no zone, so it names no moment")
    return (when - _EPOCH) // timedelta(milliseconds=1)


def to_iso(ms: int) -> str:
    """Write epoch milliseconds as AWS writes times in the context object: 2026-01-31T04:05:06.007Z."""
    return to_datetime(ms).strftime("%Y-%m-%dT%H:%M:%S.") + f"{ms % 1000:03d}Z"
