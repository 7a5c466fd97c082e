"""Children of map runs: started as there is room, or redriven where they had not succeeded.

What is started or redriven in a turn is committed with the run's position, so a crash neither skips an item
nor starts one twice.
"""

from collections.abc import Callable
from typing import Final

import structlog

from etl_runner.arn import child_execution_arn
from etl_runner.engine.decided import Turn
from etl_runner.engine.knocks import RedriveRequest
from etl_runner.engine.map_run import Run
from etl_runner.engine.turn import TurnMaker
from etl_runner.errors import StatesError, StoreError
from etl_runner.jsontypes import dumps_text
from etl_runner.machine import stimuli as s
from etl_runner.machine.map_plan import Child
from etl_runner.store.store import Store

_log = structlog.get_logger("map-run")

CHILDREN_PER_TURN: Final = 200


class Children:
    """Fills runs up. `fail` and `nudge` are the map runs' own."""

    def __init__(
        self, store: Store, fail: Callable[[Run, StatesError], None], nudge: Callable[[Run], None]
    ) -> None:
        self._store = store
        self._fail = fail
        self._nudge = nudge

    def refill(self, turn: Turn, maker: TurnMaker, run: Run) -> bool:
        """Redrive and start what there is room for; whether the run was changed. Raises StoreError."""
        if run.redriving:
            return self._redrive(turn, maker, run)
        return not run.row.read_all and self._start(turn, maker, run)

    # --- starting -----------------------------------------------------------------------------------------

    def _start(self, turn: Turn, maker: TurnMaker, run: Run) -> bool:
        until = run.next_index + CHILDREN_PER_TURN
        changed = False
        while not run.row.read_all:
            page = run.feeder.peek()
            room = min(run.room, until - run.next_index)
            if page is None or room <= 0:
                break
            changed = True
            part = page.children[run.taken : run.taken + room]
            sound = all(self._start_child(turn, maker, run, child) for child in part)
            if not sound or run.taken < len(page.children):
                run.save(turn, cursor=dumps_text(page.position_after(run.taken)))
                break
            run.feeder.pop()
            run.taken = 0
            run.save(turn, cursor=dumps_text(page.after), read_all=page.last)
        if run.row.read_all or run.next_index == until:
            # There is more to start; or the last have ended already, or there was none at all: look again.
            self._nudge(run)
        return changed

    def _start_child(self, turn: Turn, maker: TurnMaker, run: Run, given: Child) -> bool:
        """Start one child. False when that is not possible; the run has failed then."""
        parent, label, index = run.parent, run.plan["label"], run.next_index
        name = f"{run.row.id:x}-{index}"
        stimulus = s.Start(
            execution_arn=child_execution_arn(parent.state_machine_arn, label, name),
            name=name,
            state_machine_arn=f"{parent.state_machine_arn}/{label}",
            state_machine_name=parent.machine.start.state_machine_name,
            role_arn=parent.machine.start.role_arn,
            input=given.input,
            scope=run.state.processor,
            item_index=index,
            express=run.plan["type"] == "EXPRESS",
        )
        try:
            child = maker.new_execution(
                turn,
                stimulus,
                definition_id=parent.definition_id,
                origin="map",
                map_run_id=run.row.id,
                logging=parent.logging,
            )
        except StoreError:
            raise
        except Exception as error:  # noqa: BLE001 -- one item's fault must not stop every turn that comes
            _log.exception("a child of a map run could not be started", map_run=run.row.arn, child=name)
            cause = f"the child {name} could not be started: {type(error).__name__}: {error}"
            self._fail(run, StatesError("States.Runtime", cause))
            return False
        run.open[child.id] = given.items
        if given.items != 1:
            turn.unit.child_items.append({"b_id": child.id, "items": given.items})
        run.taken += 1
        run.started(given.items)
        return True

    # --- redriving ----------------------------------------------------------------------------------------

    def _redrive(self, turn: Turn, maker: TurnMaker, run: Run) -> bool:
        """Redrive children in the order of their items. They keep their own history, whatever their type."""
        row = run.row
        if row.redrive_next == 0 and run.open:
            return False  # what the end of the last attempt stopped is still ending
        most = min(run.room, CHILDREN_PER_TURN)
        if most <= 0:
            return False
        lost = self._store.unsuccessful_children(row.id, row.redrive_next, row.redrive_until, most)
        for _, child_id, items in lost:
            request = RedriveRequest(execution_id=child_id)
            maker.take(turn, [request])
            if child_id in turn.redriven:
                run.open[child_id] = items
            else:  # its history is full, or it ended too long ago: its end is final
                run.failed += 1
                run.failed_items += items
        following = lost[-1][0] + 1 if len(lost) == most else row.redrive_until
        run.save(turn, redrive_next=following)
        self._nudge(run)
        return True
