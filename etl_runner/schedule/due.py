"""Which ticks of a schedule are due and what is to become of them. Pure: the present is an argument.

A tick is one due time. Up to `grace` late it fires. A later one is missed: the service was down, or could not
commit, or its clock was set forward. Of those missed the latest may still fire when it is not older than
`maximum_event_age` (EventBridge Scheduler's MaximumEventAgeInSeconds; 0, the default, never fires it) and no
later tick fires in time: catching up starts one execution, not all of them.
"""

import hashlib
import random
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Final, Literal
from zoneinfo import ZoneInfo

from etl_runner.asl.dataflow import Template, compile_template
from etl_runner.asl.selector import PlainEnv
from etl_runner.clock import to_datetime, to_iso
from etl_runner.jsontypes import Json
from etl_runner.schedule.expressions import ScheduleExpression, parse_expression

DEFAULT_GRACE_MS: Final = 300_000

ROWS_AT_ONCE: Final = 1_000
"""So many of the newest ticks of one schedule get a row each when many are due; older ones share one row."""

COUNT_AT_MOST: Final = 1_000_000
"""Beyond this, ticks that share a row are not counted: a clock a century ahead must not stop the service."""

NAME_LIMIT: Final = 80  # StartExecution's bound on `name`

SAMPLE_MS: Final = 1_767_225_600_000
"""2026-01-01T00:00:00Z: the same always, so that what is right today is not refused tomorrow."""

DEFAULT_INPUT: Final = compile_template({"tick.$": "$.tick", "schedule.$": "$.schedule"})


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class ScheduleSpec:
    """One schedule as the configuration has it.

    `template` makes the execution's input (None: DEFAULT_INPUT); `start_ms` and `end_ms` are the first and
    the last moment at which it may fire; `grace_ms` None means the service's own.
    """

    name: str
    expression: ScheduleExpression
    workflow: str
    template: Template | None = None
    enabled: bool = True
    start_ms: int | None = None
    end_ms: int | None = None
    grace_ms: int | None = None
    maximum_event_age_ms: int = 0
    description: str = ""

    @property
    def expects(self) -> str:
        """What its ticks are counted by: while this stays the same, they go on from where they were."""
        if not self.enabled:
            return ""
        bounds = f"{_iso(self.start_ms)}/{_iso(self.end_ms)}"
        return f"{self.expression.text.strip()} | {self.expression.timezone} | {bounds}"

    def next_after(self, after_ms: int) -> int | None:
        """The first tick strictly after, None when there is none (left)."""
        if not self.enabled:
            return None
        tick = self.expression.next_after(self._not_before_start(after_ms))
        return None if tick is None or (self.end_ms is not None and tick > self.end_ms) else tick

    def between(self, after_ms: int, until_ms: int, limit: int) -> list[int]:
        """The ticks t with after_ms < t <= until_ms, in order, at most the first `limit` of them."""
        if not self.enabled:
            return []
        until_ms = until_ms if self.end_ms is None else min(until_ms, self.end_ms)
        return self.expression.between(self._not_before_start(after_ms), until_ms, limit)

    def _not_before_start(self, after_ms: int) -> int:
        return after_ms if self.start_ms is None else max(after_ms, self.start_ms - 1)


@dataclass(frozen=True, slots=True, kw_only=True)
class ScheduleState:
    """How far a schedule is: ticks up to the later of the two times are none of its business any more."""

    paused: bool = False
    since_ms: int
    done_until_ms: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Due:
    """One due time and what is to become of it.

    `count` above 1: it stands for so many ticks, of which it is the last.
    """

    due_ms: int
    action: Literal["fire", "missed", "paused"]
    reason: str = ""
    count: int = 1


def due_ticks(
    spec: ScheduleSpec,
    state: ScheduleState,
    now_ms: int,
    *,
    recorded: AbstractSet[int] = frozenset(),
    grace_ms: int = DEFAULT_GRACE_MS,
) -> list[Due]:
    """What is due of a schedule at `now_ms`, oldest first.

    `recorded` are due times that have a row in the ledger although `state` does not cover them yet (the
    process died in between); they are passed over. `grace_ms` is for a spec that sets none. At most
    ROWS_AT_ONCE + 1 come at once: when there are more, the first stands for all the older ones.
    """
    after_ms = max(state.since_ms, state.done_until_ms)
    if now_ms <= after_ms:
        return []
    grace_ms = grace_ms if spec.grace_ms is None else spec.grace_ms
    ticks, older = _newest(spec, after_ms, now_ms)
    found = [] if older is None or older.due_ms in recorded else [older]
    found.extend(
        _decide(spec, state, tick, now_ms - tick, grace_ms, last=tick == ticks[-1])
        for tick in ticks
        if tick not in recorded
    )
    if state.paused:
        return [
            Due(due_ms=due.due_ms, action="paused", reason=f"paused{_sharing(due)}", count=due.count)
            for due in found
        ]
    return found


def _decide(
    spec: ScheduleSpec, state: ScheduleState, tick: int, late_ms: int, grace_ms: int, *, last: bool
) -> Due:
    if late_ms <= grace_ms or state.paused:
        return Due(due_ms=tick, action="fire")
    late = f"{late_ms / 1000:,.0f} s late, more than the grace of {grace_ms / 1000:,.0f} s"
    if last and late_ms <= spec.maximum_event_age_ms:
        allowed = spec.maximum_event_age_ms / 1000
        return Due(
            due_ms=tick, action="fire", reason=f"caught up: {late}, within the {allowed:,.0f} s allowed"
        )
    return Due(
        due_ms=tick,
        action="missed",
        reason=f"{late}: the service was down, could not commit, or its clock was set forward",
    )


def _newest(spec: ScheduleSpec, after_ms: int, until_ms: int) -> tuple[list[int], Due | None]:
    """The newest ROWS_AT_ONCE ticks of (after_ms, until_ms], and one that stands for those before them."""
    width_ms = 3_600_000
    while True:
        start_ms = max(after_ms, until_ms - width_ms)
        # The fastest schedule has one tick a second, so an hour's width is looked at whole in any case.
        ticks = spec.between(start_ms, until_ms, COUNT_AT_MOST)[-ROWS_AT_ONCE:]
        if len(ticks) == ROWS_AT_ONCE or start_ms == after_ms:
            break
        width_ms *= 4
    if len(ticks) < ROWS_AT_ONCE:
        return ticks, None
    return ticks, _share(spec, after_ms, ticks[0] - 1)


def _share(spec: ScheduleSpec, after_ms: int, until_ms: int) -> Due | None:
    """One missed tick, the last up to `until_ms`, for all of (after_ms, until_ms]."""
    count, first_ms, at_ms = 0, None, after_ms
    while chunk := spec.between(at_ms, until_ms, 10_000):
        first_ms = chunk[0] if first_ms is None else first_ms
        count, at_ms = count + len(chunk), chunk[-1]
        if count >= COUNT_AT_MOST:
            break
    if first_ms is None:
        return None
    if count >= COUNT_AT_MOST:
        at_ms = _last_before(spec, at_ms, until_ms)
    shared = Due(due_ms=at_ms, action="missed", count=count)
    reason = (
        f"too late{_sharing(shared)}, the first of {to_iso(first_ms)}: only the newest are kept one by one"
    )
    return Due(due_ms=at_ms, action="missed", count=count, reason=reason)


def _last_before(spec: ScheduleSpec, at_ms: int, until_ms: int) -> int:
    """The last tick of (at_ms, until_ms], `at_ms` when there is none."""
    width_ms = 3_600_000
    while True:
        start_ms = max(at_ms, until_ms - width_ms)
        ticks = spec.between(start_ms, until_ms, COUNT_AT_MOST)
        if ticks or start_ms == at_ms:
            return ticks[-1] if ticks else at_ms
        width_ms *= 4


def _sharing(due: Due) -> str:
    if due.count == 1:
        return ""
    at_least = "at least " if due.count >= COUNT_AT_MOST else ""
    return f"; this row stands for {at_least}{due.count:,} ticks up to its own"


def _iso(ms: int | None) -> str:
    return "" if ms is None else to_iso(ms)


# --- what a tick starts -------------------------------------------------------------------------------------


class _TickEnv(PlainEnv):
    """What a schedule's template looks at. The same tick draws the same random values each time."""

    def __init__(self, spec: ScheduleSpec, due_ms: int) -> None:
        self.input: Json = tick_values(spec, due_ms)
        self.context: Json = {}
        self._seed = f"{spec.name} {due_ms}"

    @cached_property
    def rng(self) -> random.Random:
        """Where States.UUID and States.MathRandom draw from; few templates do."""
        return random.Random(self._seed)  # noqa: S311 -- repeatable on purpose, guards nothing


def tick_input(spec: ScheduleSpec, due_ms: int) -> Json:
    """The input of the execution that this tick starts.

    Raises StatesError when the template asks for what is not there.
    """
    return (spec.template or DEFAULT_INPUT).evaluate(_TickEnv(spec, due_ms))


def tick_values(spec: ScheduleSpec, due_ms: int) -> Json:
    """What a template can pick from: `tick` (date, time, datetime in the schedule's zone) and `schedule`."""
    return {
        "tick": _tick(due_ms, spec.expression.timezone),
        "schedule": {
            "name": spec.name,
            "expression": spec.expression.text,
            "timezone": spec.expression.timezone,
        },
    }


def tick_sample(name: str, expression: str, timezone: str) -> Json:
    """The values of some tick of a schedule, for a check of its template. Raises InvalidInput."""
    spec = ScheduleSpec(name=name, expression=parse_expression(expression, timezone), workflow="")
    return tick_values(spec, SAMPLE_MS)


@lru_cache(maxsize=64)
def _tick(due_ms: int, timezone: str) -> Json:
    """Kept, since many schedules are due at once."""
    utc = to_datetime(due_ms)
    local = utc.astimezone(ZoneInfo(timezone))
    return {
        "date": local.strftime("%Y-%m-%d"),
        "time": local.strftime("%H:%M:%S"),
        "datetime": local.isoformat(timespec="seconds"),
        "utc": utc.strftime("%Y-%m-%dT%H:%M:%SZ"),
        "epoch_ms": due_ms,
    }


def execution_name(schedule: str, due_ms: int, fire_id: str = "") -> str:
    """The name of the execution of a tick: SCHEDULE-20260131T040506Z, with -FIRE_ID for a fire by hand.

    A schedule's name that is too long for it is cut and followed by a hash.
    """
    tail = f"-{_stamp(due_ms)}-{fire_id}" if fire_id else f"-{_stamp(due_ms)}"
    return f"{shortened(schedule, NAME_LIMIT - len(tail))}{tail}"


@lru_cache(maxsize=64)
def _stamp(due_ms: int) -> str:
    whole = to_datetime(due_ms).strftime("%Y%m%dT%H%M%S")
    return f"{whole}.{due_ms % 1000:03d}Z" if due_ms % 1000 else f"{whole}Z"


def shortened(name: str, limit: int) -> str:
    """A name of at most `limit` characters: itself, or its beginning and a hash of the whole."""
    if len(name) <= limit:
        return name
    digest = hashlib.sha256(name.encode()).hexdigest()[:8]
    return f"{name[: limit - 9]}-{digest}"
