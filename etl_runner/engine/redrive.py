"""Redrive: an execution that ended without success goes on from where it stood, under its own name."""

from collections.abc import Callable
from typing import Final, Literal, TypeAlias

from etl_runner.engine.decided import Turn
from etl_runner.engine.knocks import Knock, Redriven, RedriveRequest
from etl_runner.engine.live import LiveCache
from etl_runner.errors import Conflict, NotFound
from etl_runner.machine import stimuli as s
from etl_runner.machine.state import Status
from etl_runner.store.store import ExecutionRow, Store

PERIOD_MS: Final = 14 * 24 * 3_600_000
"""An execution can be redriven for 14 days after its end (developer guide, "Redriving executions")."""

MOST: Final = 1_000
"""An execution can be redriven so many times (Step Functions quotas)."""

RedriveStatus: TypeAlias = Literal["REDRIVABLE", "NOT_REDRIVABLE", "REDRIVABLE_BY_MAP_RUN"]


class NotRedrivable(Conflict):
    """The execution cannot be redriven. `code` is AWS's, the message its redriveStatusReason."""

    code = "ExecutionNotRedrivable"


def redrive_status(
    status: str, stopped_ms: int | None, redrive_count: int, now_ms: int, *, by_map_run: bool = False
) -> tuple[RedriveStatus, str | None]:
    """Whether an execution can be redriven, and why not, in AWS's words (redriveStatus, ...Reason)."""
    if status in {Status.RUNNING, Status.SUCCEEDED}:
        return "NOT_REDRIVABLE", f"Execution is {status} and cannot be redriven"
    if stopped_ms is not None and now_ms - stopped_ms > PERIOD_MS:
        return "NOT_REDRIVABLE", "Execution redrivable period exceeded"
    if redrive_count >= MOST:
        return "NOT_REDRIVABLE", "Execution has exceeded the max redrives"
    if by_map_run:
        return "REDRIVABLE_BY_MAP_RUN", None
    return "REDRIVABLE", None


def redrive(
    turn: Turn,
    request: RedriveRequest,
    store: Store,
    cache: LiveCache,
    decide: Callable[[Knock], bool],
) -> None:
    """Take a request. Raises StoreError."""
    row = store.execution(request.execution_id)
    if row is None:
        turn.refused.append(
            (request, NotFound(f"there is no execution with the number {request.execution_id}"))
        )
        return
    again = _asked_again(turn, row, request)
    if again is not None:
        turn.results.append((request.done, again))
        return
    status, reason = redrive_status(row.status, row.stopped_ms, row.redrive_count, turn.now_ms)
    if row.id in turn.redriven:
        status, reason = "NOT_REDRIVABLE", f"Execution is {Status.RUNNING} and cannot be redriven"
    live = None if status != "REDRIVABLE" else cache.load(row)
    if live is None or not decide(Knock(execution_id=row.id, stimulus=s.Redrive())):
        if live is not None:
            cache.drop(row.id)
        turn.refused.append((request, NotRedrivable(reason or "Execution cannot be redriven")))
        return
    turn.redriven[row.id] = request.client_token
    turn.unit.redrives.append(
        {
            "b_id": row.id,
            "redrive_count": live.machine.redrives,
            "redriven_ms": turn.now_ms,
            "redrive_token": request.client_token,
        }
    )
    answer = Redriven(redriven_ms=turn.now_ms, count=live.machine.redrives)
    turn.results.append((request.done, answer))


def _asked_again(turn: Turn, row: ExecutionRow, request: RedriveRequest) -> Redriven | None:
    """The answer to the same request again: the same client token within the same redrive."""
    if request.client_token is None:
        return None
    if turn.redriven.get(row.id) == request.client_token:
        return Redriven(redriven_ms=turn.now_ms, count=row.redrive_count + 1)
    if row.redrive_token == request.client_token:
        return Redriven(redriven_ms=row.redriven_ms or turn.now_ms, count=row.redrive_count)
    return None
