"""What operators are shown of schedules."""

import heapq
from collections.abc import Mapping
from dataclasses import dataclass

from etl_runner.schedule.due import ScheduleSpec
from etl_runner.store.ledger import TickRow


@dataclass(frozen=True, slots=True, kw_only=True)
class NextTick:
    """A tick to come. While its schedule is paused it will be recorded and not fire."""

    schedule: str
    due_ms: int
    paused: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Standing:
    """How one schedule stands: ticks up to `done_until_ms` were decided."""

    spec: ScheduleSpec
    paused: bool
    since_ms: int
    done_until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleStatus:
    """One schedule as it stands. `last` is its newest row in the ledger, `next_due_ms` its next tick."""

    name: str
    expression: str
    words: str
    timezone: str
    workflow: str
    description: str
    enabled: bool
    paused: bool
    start_ms: int | None
    end_ms: int | None
    since_ms: int
    next_due_ms: int | None
    last: TickRow | None


def status_of(standing: Standing, now_ms: int, last: TickRow | None) -> ScheduleStatus:
    """Draw up the status of a schedule at `now_ms`."""
    spec = standing.spec
    return ScheduleStatus(
        name=spec.name,
        expression=spec.expression.text,
        words=spec.expression.describe(),
        timezone=spec.expression.timezone,
        workflow=spec.workflow,
        description=spec.description,
        enabled=spec.enabled,
        paused=standing.paused,
        start_ms=spec.start_ms,
        end_ms=spec.end_ms,
        since_ms=standing.since_ms,
        next_due_ms=spec.next_after(max(now_ms, standing.done_until_ms)),
        last=last,
    )


def upcoming(standings: Mapping[str, Standing], now_ms: int, count: int) -> list[NextTick]:
    """The next `count` ticks of these schedules together, soonest first."""
    heap: list[tuple[int, str]] = []
    for name, standing in standings.items():
        first_ms = standing.spec.next_after(max(now_ms, standing.done_until_ms))
        if first_ms is not None:
            heap.append((first_ms, name))
    heapq.heapify(heap)
    found: list[NextTick] = []
    while heap and len(found) < count:
        due_ms, name = heap[0]
        found.append(NextTick(schedule=name, due_ms=due_ms, paused=standings[name].paused))
        following = standings[name].spec.next_after(due_ms)
        if following is None:
            heapq.heappop(heap)
        else:
            heapq.heapreplace(heap, (following, name))
    return found
