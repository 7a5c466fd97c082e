"""What follows from facts: rows that are committed with them, and what is done once they are.

Two tables by the fact's type: most facts have no entry, and those cost a look-up.
"""

from collections.abc import Callable
from typing import Any, Final

import structlog

from etl_runner.engine.activities import ActivityQueue, same_account
from etl_runner.engine.decided import Turn
from etl_runner.engine.dispatch import Dispatcher
from etl_runner.engine.knocks import Item, Knock
from etl_runner.engine.live import Live
from etl_runner.engine.map_runs import MapRuns
from etl_runner.engine.tokens import TaskTokens, resource_of
from etl_runner.engine.turn import TurnMaker
from etl_runner.errors import StoreUnavailable
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.state import OpenTask

_log = structlog.get_logger("engine")

NO_ACTIVITY: Final = "ActivityDoesNotExist"


class Effects:
    """Derives rows and deeds from facts. Owned by the engine's thread. `parked`: nothing is handed out."""

    def __init__(
        self,
        *,
        maker: TurnMaker,
        tokens: TaskTokens,
        polls: ActivityQueue,
        map_runs: MapRuns,
        dispatcher: Dispatcher,
        knock: Callable[[Item], None],
    ) -> None:
        self._maker = maker
        self._tokens = tokens
        self._polls = polls
        self._map_runs = map_runs
        self._dispatcher = dispatcher
        self._knock = knock
        self.parked = False
        self.transitions = 0
        self._rows: dict[type, Callable[[Turn, Live, Any], None]] = {
            f.TaskScheduled: self._row_of_task,
            f.ActivityStarted: tokens.fetched,
            f.TaskSucceeded: self._close_token,
            f.TaskFailed: self._close_token,
            f.TaskTimedOut: self._close_token,
            f.TokenRevoked: self._revoke_row,
            f.MapRunStarted: self._row_of_map_run,
            f.MapRunRedriven: self._reopen_map_run,
            f.MapRunSucceeded: self._close_map_run,
            f.MapRunFailed: self._fail_map_run,
        }
        self._deeds: dict[type, Callable[[Live, Any], None]] = {
            f.StateEntered: self._count,
            f.TaskScheduled: self._hand_out,
            f.TaskSubmitted: self._submitted,
            f.TaskTimedOut: self._take_back,
            f.TokenRevoked: self._revoke,
            f.MapRunStarted: self._begin_map_run,
            f.MapRunRedriven: self._begin_map_run,
            f.MapRunSucceeded: self._end_map_run,
            f.MapRunFailed: self._end_map_run,
        }

    def register(self, turn: Turn) -> None:
        """Before the commit: the rows that go with the facts of a turn. Raises StoreUnavailable."""
        rows = self._rows
        for live in turn.touched.values():
            if live.volatile:
                continue
            for fact in live.fresh:
                write = rows.get(type(fact))
                if write is not None:
                    write(turn, live, fact)

    def follow(self, live: Live, fresh: list[f.Fact]) -> None:
        """After the commit: hand out, take back, begin."""
        deeds = self._deeds
        for fact in fresh:
            do = deeds.get(type(fact))
            if do is not None:
                do(live, fact)

    # --- rows ---------------------------------------------------------------------------------------------

    def _row_of_task(self, turn: Turn, live: Live, fact: f.TaskScheduled) -> None:
        if fact.task_token is not None:
            self._tokens.scheduled(turn, live, fact)

    def _close_token(
        self, turn: Turn, live: Live, fact: f.TaskSucceeded | f.TaskFailed | f.TaskTimedOut
    ) -> None:
        if fact.token in live.task_tokens:
            self._tokens.closed(turn, live, fact.token)

    def _revoke_row(self, turn: Turn, live: Live, fact: f.TokenRevoked) -> None:
        if fact.token in live.map_tokens:
            self._map_runs.close(turn, live, fact.token, "ABORTED")
        elif fact.token in live.task_tokens:
            self._tokens.closed(turn, live, fact.token)

    def _row_of_map_run(self, turn: Turn, live: Live, fact: f.MapRunStarted) -> None:
        live.map_tokens.add(fact.token)
        self._map_runs.register(turn, self._maker, live, fact.token, fact.plan)

    def _reopen_map_run(self, turn: Turn, live: Live, fact: f.MapRunRedriven) -> None:
        live.map_tokens.add(fact.token)
        self._map_runs.reopen(turn, live, fact)

    def _close_map_run(self, turn: Turn, live: Live, fact: f.MapRunSucceeded) -> None:
        self._map_runs.close(turn, live, fact.token, "SUCCEEDED")

    def _fail_map_run(self, turn: Turn, live: Live, fact: f.MapRunFailed) -> None:
        self._map_runs.close(turn, live, fact.token, "FAILED")

    # --- deeds --------------------------------------------------------------------------------------------

    def _count(self, _live: Live, _fact: f.StateEntered) -> None:
        self.transitions += 1

    def _hand_out(self, live: Live, fact: f.TaskScheduled) -> None:
        frame_id = live.machine.tokens.get(fact.token)
        if frame_id is None:
            return  # closed again in the same turn
        if fact.awaits_worker:
            self._offer(live, fact.token, resource_of(live, frame_id))
        elif not self.parked:  # else it is left for the next start
            frame = live.machine.frames[frame_id]
            assert isinstance(frame.open, OpenTask)
            self._dispatcher.hand_out(live, frame, frame.open)

    def _offer(self, live: Live, token: f.Token, activity_arn: str) -> None:
        try:
            exists = same_account(live, activity_arn) and self._polls.exists(activity_arn)
        except StoreUnavailable:
            exists = True  # no worker can ask for it either, as long as that is so
        if exists:
            self._polls.offer(activity_arn)
            return
        cause = f"Activity Does Not Exist: '{activity_arn}'"
        stimulus = s.TaskFailure(token=token, error=NO_ACTIVITY, cause=cause)
        self._knock(Knock(execution_id=live.id, stimulus=stimulus))

    def _submitted(self, live: Live, fact: f.TaskSubmitted) -> None:
        self._tokens.submitted((live.id, fact.token))

    def _take_back(self, live: Live, fact: f.TaskTimedOut) -> None:
        self._dispatcher.take_back(live.id, fact.token)

    def _revoke(self, live: Live, fact: f.TokenRevoked) -> None:
        if fact.token in live.map_tokens:
            live.map_tokens.discard(fact.token)
            self._map_runs.cancel(live.id, fact.token)
        else:
            self._dispatcher.take_back(live.id, fact.token)

    def _begin_map_run(self, live: Live, _fact: f.MapRunStarted | f.MapRunRedriven) -> None:
        self._map_runs.begin_soon(live.id)

    def _end_map_run(self, live: Live, fact: f.MapRunSucceeded | f.MapRunFailed) -> None:
        live.map_tokens.discard(fact.token)
        self._map_runs.forget_closed(live.id, fact.token)
