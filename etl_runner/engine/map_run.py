"""One map run in memory: what its row says, what is open, and whether too much has failed."""

from dataclasses import dataclass, field, replace
from typing import Any, Final

from etl_runner.asl import model
from etl_runner.engine.decided import Turn
from etl_runner.engine.feeder import Feeder
from etl_runner.engine.live import Live
from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.machine.facts import Token
from etl_runner.machine.map_plan import run_arn
from etl_runner.machine.state import Status
from etl_runner.store.store import MapRunRow
from etl_runner.store.unit import Row

DEFAULT_CONCURRENCY: Final = 1_000
"""How many children a map run without MaxConcurrency may have at once on this node."""

THRESHOLD_EXCEEDED: Final = "States.ExceedToleratedFailureThreshold"
STOPPED: Final = "States.MapRunStopped"

UPDATABLE: Final = frozenset({"max_concurrency", "tolerated_count", "tolerated_percentage"})
"""What UpdateMapRun may change."""

_FIXED: Final = frozenset({"id", "arn", "execution_id", "started_ms", "express"})


@dataclass(slots=True)
class Run:
    """One map run.

    `row` is what the store holds once the turn is committed; `next_index` and `items_started` run ahead of it
    within a turn. `taken` counts the children made of the feeder's next page. `open` has the running children
    and how many items each has; those that wait to be redriven have not `failed`.
    """

    row: MapRunRow
    parent: Live
    state: model.MapState
    plan: Json
    feeder: Feeder
    next_index: int
    items_started: int
    open: dict[int, int] = field(default_factory=dict)
    failed: int = 0
    failed_items: int = 0
    taken: int = 0
    failure: StatesError | None = None
    finishing: bool = False
    results_written: bool = False
    nudged: bool = False

    @property
    def token(self) -> Token:
        """That under which the parent holds it."""
        return self.row.token

    @property
    def room(self) -> int:
        """How many more children may be open."""
        most = self.row.max_concurrency
        if most is None:
            most = int(self.plan["concurrency"])
        return (most or DEFAULT_CONCURRENCY) - len(self.open)

    @property
    def redriving(self) -> bool:
        """Whether children are still to be redriven."""
        return self.row.redrive_next < self.row.redrive_until

    @property
    def all_started(self) -> bool:
        """Whether there is no child left to start, or to redrive."""
        return self.row.read_all and not self.redriving

    def save(self, turn: Turn, **changes: Any) -> None:
        """Change the row with this turn."""
        source = self.feeder.source
        known = max(self.feeder.known, self.row.items_known)
        self.row = replace(
            self.row,
            source=None if source is None else dumps_text(source),
            items_known=known,
            next_index=self.next_index,
            items_started=self.items_started,
            **changes,
        )
        turn.unit.map_run_changes.append(change(self.row))

    def started(self, items: int) -> None:
        """One more child was made, of so many items."""
        self.next_index += 1
        self.items_started += items

    def ended(self, child: Live) -> None:
        """A child has ended."""
        items = self.open.pop(child.id, 1)
        if self.redriving and self.row.redrive_next == 0:
            return  # it was stopped by the end of the last attempt, and is to be redriven if it must
        if child.machine.status is not Status.SUCCEEDED:
            self.failed += 1
            self.failed_items += items

    def over_tolerance(self) -> StatesError | None:
        """The failure of a run in which too many items failed; they count, not the children they are in.

        Source: developer guide, "Setting failure thresholds for Distributed Map states".
        """
        count, percentage = self._tolerated()
        over = count is not None and self.failed_items > count
        if count is None or percentage:
            if percentage == 0:
                over = over or self.failed_items > 0
            elif self.row.read_all:
                over = over or self.failed_items * 100 > percentage * self.items_started
        if not over:
            return None
        return StatesError(THRESHOLD_EXCEEDED, "The specified tolerated failure threshold was exceeded")

    def _tolerated(self) -> tuple[int | None, float]:
        if self.row.tolerated_percentage is not None:
            return self.row.tolerated_count, self.row.tolerated_percentage
        tolerated = self.plan["tolerated"]
        return tolerated.get("count"), tolerated["percentage"]


def opened(run_id: int, live: Live, token: Token, plan: Json, now_ms: int) -> MapRunRow:
    """The row of a map run that begins."""
    items = plan.get("items")
    return MapRunRow(
        id=run_id,
        arn=run_arn(live.arn, plan, token),
        execution_id=live.id,
        token=token,
        status="RUNNING",
        started_ms=now_ms,
        stopped_ms=None,
        source=None,
        cursor=None,
        next_index=0,
        read_all=False,
        max_concurrency=int(plan["concurrency"]),
        tolerated_count=plan["tolerated"].get("count"),
        tolerated_percentage=plan["tolerated"]["percentage"],
        items_known=0 if items is None else len(items),
        express=plan["type"] == "EXPRESS",
    )


def redriven(row: MapRunRow, token: Token, count: int, now_ms: int) -> MapRunRow:
    """The row of a map run that is taken up again. One that had no child yet reads its source anew."""
    anew: dict[str, Any] = {}
    if row.next_index == 0:
        anew = {"source": None, "cursor": None, "read_all": False, "items_known": 0}
    return replace(
        row,
        token=token,
        status="RUNNING",
        stopped_ms=None,
        results_written=False,
        redrive_count=count,
        redriven_ms=now_ms,
        redrive_next=0,
        redrive_until=row.next_index,
        **anew,
    )


def insertion(row: MapRunRow) -> Row:
    """All columns of a row."""
    return {name: getattr(row, name) for name in MapRunRow.__dataclass_fields__}


def change(row: MapRunRow) -> Row:
    """A change of all that may change."""
    return {"b_id": row.id} | {name: value for name, value in insertion(row).items() if name not in _FIXED}
