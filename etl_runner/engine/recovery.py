"""What a start does with what the last process left open."""

from collections.abc import Callable
from typing import Final

import structlog

from etl_runner.engine.dispatch import Dispatcher
from etl_runner.engine.knocks import Item, Knock
from etl_runner.engine.live import Live, LiveCache
from etl_runner.engine.map_runs import MapRuns
from etl_runner.engine.starts import started_again
from etl_runner.engine.tokens import TaskTokens
from etl_runner.machine import stimuli as s
from etl_runner.machine.state import OpenMapRun
from etl_runner.store.outbox import express_starts
from etl_runner.store.store import Store
from etl_runner.store.unit import Unit

_log = structlog.get_logger("engine")

MOST_NAMED: Final = 20
"""The log line about what goes on after a start names so many executions."""


def recover(
    store: Store,
    cache: LiveCache,
    *,
    dispatcher: Dispatcher,
    map_runs: MapRuns,
    knock: Callable[[Item], None],
    now_ms: int,
) -> None:
    """Hand open tasks out again, go on with map runs, begin Express executions anew. Raises StoreError."""
    orphans = store.orphans()
    passed_over = set(orphans)
    again: list[tuple[Live, int]] = []
    unit = Unit()
    for execution_id in store.open_working():
        live = None if execution_id in passed_over else cache.get(execution_id)
        if live is not None and (count := _resume(live, unit, dispatcher, map_runs, now_ms)):
            again.append((live, count))
    if not unit.is_empty():
        store.commit(unit)
    for execution_id in orphans:
        knock(Knock(execution_id=execution_id, stimulus=s.Stop(error="States.MapRunStopped")))
    for row in express_starts(store):
        knock(started_again(row))
    if again:
        _log.info(
            "handed out again what was open",
            tasks=sum(count for _, count in again),
            executions=[live.arn for live, _ in again[:MOST_NAMED]],
            and_more=max(0, len(again) - MOST_NAMED),
        )


def _resume(live: Live, unit: Unit, dispatcher: Dispatcher, map_runs: MapRuns, now_ms: int) -> int:
    count = 0
    for frame, work in live.machine.open_work():
        if isinstance(work, OpenMapRun):
            map_runs.begin_soon(live.id)
        elif live.holds(frame) and (work.submitted or work.deadline_ms is None or work.deadline_ms > now_ms):
            # One whose time ran out meanwhile is not begun again: the first turn finds it timed out. A job
            # runs already, and whoever is to end it has to know of it.
            dispatcher.hand_out(live, frame, work)
            TaskTokens.handed_out_again(unit, live, work.token)
            count += 1
    return count
