"""A launcher for tests: it commits to a real store as the engine does, but only when told, and it can die."""

from collections.abc import Iterable
from concurrent.futures import Future
from dataclasses import dataclass, field
from queue import SimpleQueue
from typing import Any

from etl_runner.errors import Conflict, StoreError
from etl_runner.jsontypes import Json
from etl_runner.schedule.due import ScheduleSpec
from etl_runner.schedule.expressions import parse_expression
from etl_runner.store.store import Store
from etl_runner.store.unit import Row, Unit


@dataclass(frozen=True, slots=True)
class Launched:
    arn: str
    existed: bool


@dataclass(slots=True)
class _Item:
    unit: Unit
    execution: tuple[str, str] | None = None
    input: Json = None
    origin: str = ""
    done: "Future[Any]" = field(default_factory=Future)


class FakeLauncher:
    """`executions` is what is on the disk beside the store: it outlives `crash`, the inbox does not.

    `holding`: commit only when `commit` is called. `refusals`: by workflow, raised by `launch`. `failures`:
    the next futures fail with these instead of being committed.
    """

    def __init__(self, store: Store, *, holding: bool = False) -> None:
        self.store = store
        self.holding = holding
        self.executions: dict[tuple[str, str], Json] = {}
        self.started: list[tuple[str, str]] = []
        self.refusals: dict[str, Exception] = {}
        self.failures: list[Exception] = []
        self.inbox: list[_Item] = []
        self.arrivals: SimpleQueue[None] = SimpleQueue()
        self.commits = 0

    def launch(
        self,
        *,
        workflow: str,
        name: str,
        input: Json,  # noqa: A002 -- the launcher's own word
        origin: str,
        tick: Row | None = None,
        event_match: Row | None = None,
    ) -> "Future[Any]":
        if workflow in self.refusals:
            raise self.refusals[workflow]
        unit = Unit(
            ticks=[] if tick is None else [tick], event_matches=[] if event_match is None else [event_match]
        )
        return self._take(_Item(unit, (workflow, name), input, origin))

    def record(
        self,
        *,
        ticks: Iterable[Row] = (),
        event_matches: Iterable[Row] = (),
        schedule_states: Iterable[Row] = (),
    ) -> "Future[bool]":
        rows = Unit(ticks=[*ticks], event_matches=[*event_matches], schedule_states=[*schedule_states])
        return self._take(_Item(rows))

    def commit(self, count: int | None = None) -> None:
        """Commit what has stood in the inbox for longest, together."""
        cut = len(self.inbox) if count is None else count
        items, self.inbox = self.inbox[:cut], self.inbox[cut:]
        if not items:
            return
        try:
            self._commit(items)
        except Conflict:
            for item in items:
                try:
                    self._commit([item])
                except Conflict as conflict:
                    item.done.set_exception(conflict)

    def crash(self) -> None:
        """Lose what is not committed; nobody is told."""
        self.inbox.clear()

    def wait_for(self, count: int) -> None:
        """Wait until so many more requests have come, from whatever thread."""
        for _ in range(count):
            self.arrivals.get(timeout=10)

    def _take(self, item: _Item) -> "Future[Any]":
        if self.failures:
            item.done.set_exception(self.failures.pop(0))
            return item.done
        self.inbox.append(item)
        self.arrivals.put(None)
        if not self.holding:
            self.commit()
        return item.done

    def _commit(self, items: list[_Item]) -> None:
        whole, answers, fresh = Unit(), [], {}
        for item in items:
            answer: Any = True
            outcome: dict[str, Any] = {}
            if item.execution is not None:
                existed = item.execution in self.executions or item.execution in fresh
                if not existed:
                    fresh[item.execution] = item.input
                arn = "arn:" + ":".join(item.execution)
                answer = Launched(arn, existed)
                outcome = {"outcome": "exists" if existed else "started", "execution_arn": arn}
            whole.ticks += [row | outcome for row in item.unit.ticks]
            whole.event_matches += [row | outcome for row in item.unit.event_matches]
            whole.schedule_states += item.unit.schedule_states
            answers.append((item, answer))
        self.store.commit(whole)
        self.commits += 1
        self.executions |= fresh
        self.started += fresh
        for item, answer in answers:
            item.done.set_result(answer)


def schedule(name: str = "nightly", expression: str = "rate(1 minute)", **fields: Any) -> ScheduleSpec:
    """A schedule that starts the workflow "work"."""
    zone = fields.pop("timezone", "UTC")
    parsed = parse_expression(expression, zone, start_ms=fields.get("start_ms"))
    return ScheduleSpec(name=name, expression=parsed, workflow=fields.pop("workflow", "work"), **fields)


__all__ = ["FakeLauncher", "Launched", "StoreError", "schedule"]
