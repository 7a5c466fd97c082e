"""The alarm clock: APScheduler, which does nothing here but ring at a moment.

What is due when it rings is worked out by whoever set it. Its own triggers, job stores and catch-up rules
are not used: they keep no ledger, and its cron counts the days of the week from Monday.
"""

import logging
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import Any, Final

from etl_runner.clock import to_datetime

_JOB: Final = "alarm"


class Alarm:
    """Rings once at the moment it was last set to. `ring` is called in the alarm's thread and is quick."""

    def __init__(self, ring: Callable[[], None]) -> None:
        self._ring = ring
        self._lock = Lock()
        self._scheduler: Any = None

    def open(self) -> None:
        """Begin to watch the time."""
        # They take 60 ms to import, which `etl-runner --help` need not pay.
        from apscheduler.executors.debug import DebugExecutor  # noqa: PLC0415 -- see above
        from apscheduler.schedulers.background import BackgroundScheduler  # noqa: PLC0415 -- see above

        # It reports every ring, which for us is no news.
        logging.getLogger("apscheduler").setLevel(logging.WARNING)
        with self._lock:
            self._scheduler = BackgroundScheduler(  # type: ignore[no-untyped-call]
                timezone=UTC,
                # Rings in its own thread: no pool, and no instance of the job that could still be running.
                executors={"default": DebugExecutor()},  # type: ignore[no-untyped-call]
                job_defaults={"misfire_grace_time": None, "coalesce": True},
            )
            self._scheduler.start()

    def set(self, at_ms: int | None) -> None:
        """Ring at this moment and not at the one set before; None: not at all. In the past: at once."""
        with self._lock:
            if self._scheduler is None:
                return
            if at_ms is None:
                if self._scheduler.get_job(_JOB) is not None:
                    self._scheduler.remove_job(_JOB)
                return
            self._scheduler.add_job(
                self._ring, trigger=_at(to_datetime(at_ms)), id=_JOB, name=_JOB, replace_existing=True
            )

    def close(self) -> None:
        """Ring no more."""
        with self._lock:
            scheduler, self._scheduler = self._scheduler, None
        if scheduler is not None:
            scheduler.shutdown(wait=True)


def _at(moment: datetime) -> Any:
    from apscheduler.triggers.date import DateTrigger  # noqa: PLC0415 -- as above

    return DateTrigger(run_date=moment, timezone=UTC)  # type: ignore[no-untyped-call]
