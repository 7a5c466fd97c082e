"""Firing a schedule by hand: now, whatever its expression says and even while it is paused."""

import re
import uuid
from dataclasses import dataclass
from threading import Lock
from typing import Final

from etl_runner.errors import Conflict, EtlRunnerError, InvalidInput, StoreError
from etl_runner.schedule.commits import committed
from etl_runner.schedule.due import ScheduleSpec, execution_name, tick_input
from etl_runner.schedule.launcher import Launcher
from etl_runner.store.ledger import Ledger, TickRow, tick_row

_FIRE_ID: Final = re.compile(r"[a-z0-9_]{1,32}", re.ASCII)  # no capitals: never read as a tick's stamp


@dataclass(frozen=True, slots=True, kw_only=True)
class Fired:
    """A fire by hand. `existed`: this fire id had been asked for before, and this is what it started."""

    schedule: str
    fire_id: str
    due_ms: int
    execution_arn: str
    existed: bool = False


class FireByHand:
    """Fires schedules by hand, each fire id once per schedule."""

    def __init__(self, launcher: Launcher, ledger: Ledger) -> None:
        self._launcher = launcher
        self._ledger = ledger
        self._lock = Lock()

    def fire(self, spec: ScheduleSpec, now_ms: int, fire_id: str | None) -> Fired:
        """Start the workflow of a schedule; see ScheduleService.fire."""
        if fire_id is None:
            fire_id = uuid.uuid4().hex[:12]
        elif not _FIRE_ID.fullmatch(fire_id):
            raise InvalidInput(
                f"the fire id {fire_id!r} must have 1 to 32 small letters, digits and underscores"
            )
        with self._lock:  # two that ask with the same id
            found = self._ledger.fired(spec.name, fire_id)
            return self._start(spec, now_ms, fire_id) if found is None else _again(found)

    def _start(self, spec: ScheduleSpec, now_ms: int, fire_id: str) -> Fired:
        row = tick_row(spec.name, now_ms, fire_id=fire_id, recorded_ms=now_ms, reason="fired by hand")
        what = f"the fire of schedule {spec.name!r}"
        try:
            future = self._launcher.launch(
                workflow=spec.workflow,
                name=execution_name(spec.name, now_ms, fire_id),
                input=tick_input(spec, now_ms),
                origin=f"schedule:{spec.name}",
                tick=row,
            )
            launched = committed(future, what)
        except (StoreError, Conflict):
            raise
        except EtlRunnerError as error:
            refused = row | {"outcome": "failed", "reason": f"fired by hand: {error}"}
            committed(self._launcher.record(ticks=[refused]), what)
            raise
        return Fired(
            schedule=spec.name,
            fire_id=fire_id,
            due_ms=now_ms,
            execution_arn=launched.arn,
            existed=launched.existed,
        )


def _again(found: TickRow) -> Fired:
    if found.execution_arn is None:
        raise Conflict(
            f"the fire {found.fire_id!r} of schedule {found.schedule!r} has failed ({found.reason});"
            " choose another fire id"
        )
    return Fired(
        schedule=found.schedule,
        fire_id=found.fire_id,
        due_ms=found.due_ms,
        execution_arn=found.execution_arn,
        existed=True,
    )
