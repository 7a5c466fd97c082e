"""Schedules on the real engine and store, once with the real alarm clock and once with real kills."""

import sqlite3
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any

import pytest

from etl_runner.asl.dataflow import compile_template
from etl_runner.clock import ManualClock, SystemClock
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES
from etl_runner.schedule.alarm import Alarm
from etl_runner.schedule.service import ScheduleService
from etl_runner.store.ledger import Ledger
from tests.schedule.ledgers import schedule
from tests.schedule.machines import engine_on

ROOT = Path(__file__).resolve().parents[2]


def wait_until(condition: Callable[[], Any], within_s: float = 20) -> None:
    """Wait for what another thread or process does."""
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


def test_a_tick_and_its_execution_are_committed_together(tmp_path: Path) -> None:
    clock = ManualClock(1_772_323_200_000)
    with engine_on(tmp_path / "store.db", clock=clock) as (store, launch):
        service = ScheduleService(store, launch, clock)
        service.apply([schedule(expression="rate(1 minute)")])
        clock.advance(60_000)
        service.tick()
        service.close()

        (row,) = Ledger(store).ticks("nightly")
        assert (row.outcome, row.lateness_ms) == ("started", 0)
        assert row.execution_arn is not None
        execution = store.execution_by_arn(row.execution_arn)
        assert execution is not None
        assert (execution.name, execution.origin) == ("nightly-20260301T000100Z", "schedule:nightly")
        assert Ledger(store).schedule_states()["nightly"].done_until_ms == clock.now_ms()


def test_a_tick_committed_before_a_crash_is_found_again_without_a_second_execution(tmp_path: Path) -> None:
    clock = ManualClock(1_772_323_200_000)
    with engine_on(tmp_path / "store.db", clock=clock) as (store, launch):
        first = ScheduleService(store, launch, clock)
        first.apply([schedule(expression="rate(1 minute)")])
        clock.advance(60_000)
        first.tick()
        launch.record().result(timeout=10)  # all that stood before it is committed; the state is not moved on
        second = ScheduleService(store, launch, clock)
        second.apply([schedule(expression="rate(1 minute)")])
        second.tick()
        second.close()

        assert [row.outcome for row in Ledger(store).ticks("nightly")] == ["started"]


def test_refusals_of_the_real_launcher_are_failed_ticks(tmp_path: Path) -> None:
    clock = ManualClock(1_772_323_200_000)
    with engine_on(tmp_path / "store.db", clock=clock) as (store, launch):
        service = ScheduleService(store, launch, clock)
        service.apply(
            [
                schedule("big", template=compile_template({"text": "x" * PAYLOAD_LIMIT_BYTES})),
                schedule("gone", workflow="nowhere"),
                schedule("sound"),
            ]
        )
        clock.advance(60_000)
        service.tick()
        service.close()

        rows = {row.schedule: row for row in Ledger(store).ticks()}
        assert {name: row.outcome for name, row in rows.items()} == {
            "big": "failed",
            "gone": "failed",
            "sound": "started",
        }
        assert "262,144 are allowed" in rows["big"].reason
        assert "there is no workflow 'nowhere'; there are: work" in rows["gone"].reason


def test_firing_and_pausing_wait_for_the_real_commit(tmp_path: Path) -> None:
    with engine_on(tmp_path / "store.db") as (store, launch):
        service = ScheduleService(store, launch, SystemClock())
        service.apply([schedule(expression="0 0 1 1 *")])
        service.pause("nightly")
        fired = service.fire("nightly")

        assert Ledger(store).schedule_states()["nightly"].paused
        assert store.execution_by_arn(fired.execution_arn) is not None


def test_the_alarm_clock_wakes_the_service_each_second(tmp_path: Path) -> None:
    with engine_on(tmp_path / "store.db") as (store, launch):
        ledger = Ledger(store)
        service = ScheduleService(store, launch, SystemClock())
        service.apply([schedule(expression="rate(1 second)")])
        service.open()
        wait_until(lambda: len(ledger.ticks("nightly")) >= 3)
        service.close()

        rows = ledger.ticks("nightly")
        assert {row.outcome for row in rows} == {"started"}
        assert sorted(row.due_ms for row in rows) == list(range(rows[-1].due_ms, rows[0].due_ms + 1, 1_000))
        assert min(row.lateness_ms for row in rows) < 500


def test_an_alarm_set_again_rings_at_the_new_moment_only() -> None:
    rings: list[int] = []
    clock = SystemClock()
    alarm = Alarm(lambda: rings.append(clock.now_ms()))
    alarm.open()
    start = clock.now_ms()
    alarm.set(start + 3_600_000)
    alarm.set(start + 60)
    wait_until(lambda: rings)
    alarm.set(start - 5_000)  # past: at once
    wait_until(lambda: len(rings) == 2)
    alarm.set(start + 3_600_000)
    alarm.set(None)
    alarm.close()
    alarm.set(start)

    assert len(rings) == 2
    assert rings[0] >= start + 60


@pytest.mark.crash
@pytest.mark.slow
def test_killing_the_process_neither_loses_nor_doubles_a_tick(tmp_path: Path) -> None:
    path = tmp_path / "store.db"

    def rows(query: str) -> list[tuple[Any, ...]]:
        with closing(sqlite3.connect(path)) as connection:
            return connection.execute(query).fetchall()

    def recorded() -> int:
        return int(rows("select count(*) from tick")[0][0])

    def more_than(floor: int) -> bool:
        return recorded() > floor

    before = 0
    for _ in range(4):
        process = subprocess.Popen(
            [sys.executable, "-m", "tests.schedule.killed_service", str(path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
        )
        with process:
            assert process.stdout is not None
            process.stdout.readline()
            # At once when a turn of the engine has brought new rows: in the middle of what follows.
            wait_until(partial(more_than, before + 10))
            process.kill()
        before = recorded()

    with engine_on(path) as (store, launch):
        service = ScheduleService(store, launch, SystemClock())
        service.apply(schedule(f"s{number}", "rate(1 second)") for number in range(20))
        service.tick()
        service.close()

    due: dict[str, list[int]] = {}
    for name, due_ms in rows("select schedule, due_ms from tick order by due_ms"):
        due.setdefault(name, []).append(due_ms)
    since = dict(rows("select name, since_ms from schedule_state"))
    assert len(due) == 20
    for name, dues in due.items():
        first = since[name] // 1_000 * 1_000 + 1_000
        assert dues == list(range(first, dues[-1] + 1, 1_000))
    started = rows("select execution_arn from tick where outcome in ('started', 'exists')")
    executions = Counter(arn for (arn,) in rows("select arn from execution"))
    assert Counter(arn for (arn,) in started) == executions
