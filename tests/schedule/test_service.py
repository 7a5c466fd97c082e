import random
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from etl_runner.asl.dataflow import compile_template
from etl_runner.clock import ManualClock, from_datetime
from etl_runner.errors import Conflict, InvalidInput, NotFound, StatesError, StoreUnavailable
from etl_runner.schedule import service as service_module
from etl_runner.schedule.due import ScheduleSpec
from etl_runner.schedule.service import ScheduleService
from etl_runner.store.ledger import Ledger
from etl_runner.store.store import Store
from tests.schedule.ledgers import FakeLauncher, schedule

T0 = from_datetime(datetime(2026, 3, 1, tzinfo=UTC))
SECOND = 1_000
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


class World:
    """A store and a launcher that outlive the service, and a clock that stands still until told."""

    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "store.db")
        self.ledger = Ledger(self.store)
        self.launcher = FakeLauncher(self.store)
        self.clock = ManualClock(T0)
        self.specs: tuple[ScheduleSpec, ...] = ()
        self.service = ScheduleService(self.store, self.launcher, self.clock)

    def apply(self, *specs: ScheduleSpec) -> None:
        self.specs = specs
        self.service.apply(specs)

    def pass_time(self, *steps_ms: int) -> None:
        for step_ms in steps_ms:
            self.clock.advance(step_ms)
            self.service.tick()

    def restart(self) -> None:
        """As after a kill: what was not committed is gone."""
        self.launcher.crash()
        self.service = ScheduleService(self.store, self.launcher, self.clock)
        self.service.apply(self.specs)

    def outcomes(self, name: str = "nightly") -> list[tuple[int, str]]:
        """Due time (after T0) and outcome of each row, oldest first."""
        return [(row.due_ms - T0, row.outcome) for row in reversed(self.ledger.ticks(name, 100_000))]

    def done_until(self, name: str = "nightly") -> int:
        return self.ledger.schedule_states()[name].done_until_ms - T0


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    rows = Counter((row.schedule, row.due_ms, row.fire_id) for row in made.ledger.ticks(limit=1_000_000))
    assert [key for key, count in rows.items() if count > 1] == []
    assert len(made.launcher.started) == len(set(made.launcher.started))
    made.store.close()


# --- ticks


def test_a_due_tick_starts_its_workflow_and_leaves_its_row(world: World) -> None:
    world.apply(schedule(template=compile_template({"date.$": "$.tick.date"})))
    world.pass_time(MINUTE + 40)

    (row,) = world.ledger.ticks("nightly")
    assert (row.due_ms, row.outcome, row.lateness_ms) == (T0 + MINUTE, "started", 40)
    assert row.execution_arn == "arn:work:nightly-20260301T000100Z"
    assert world.launcher.executions == {("work", "nightly-20260301T000100Z"): {"date": "2026-03-01"}}


def test_nothing_fires_before_it_is_due(world: World) -> None:
    world.apply(schedule())
    soonest = world.service.tick(T0 + MINUTE - 1)

    assert soonest == T0 + MINUTE
    assert world.launcher.started == []


def test_a_new_schedule_starts_when_it_is_first_seen(world: World) -> None:
    world.apply(schedule())
    world.clock.advance(2 * MINUTE)
    world.apply(schedule(), schedule("late"))
    world.pass_time(MINUTE)

    assert world.outcomes("late") == [(3 * MINUTE, "started")]


def test_all_that_is_due_is_handed_over_before_the_first_commit(world: World) -> None:
    world.launcher.holding = True
    world.apply(*(schedule(f"s{number}", "rate(1 second)") for number in range(100)))
    world.launcher.commit()
    world.pass_time(SECOND)

    assert sum(item.execution is not None for item in world.launcher.inbox) == 100
    assert world.launcher.commits == 1
    world.launcher.commit()


def test_the_state_never_passes_a_tick_that_is_not_committed(world: World) -> None:
    world.launcher.holding = True
    world.apply(schedule())
    world.launcher.commit()
    world.pass_time(MINUTE, MINUTE)
    launches = [item for item in world.launcher.inbox if item.execution]
    world.launcher.inbox = [item for item in world.launcher.inbox if not item.execution]
    world.launcher.commit()

    assert len(launches) == 2
    assert world.done_until() < MINUTE

    world.launcher.inbox = launches
    world.launcher.commit()
    world.pass_time(0)
    world.launcher.commit()

    assert world.done_until() == 2 * MINUTE


def test_a_service_that_was_down_records_what_it_missed_and_goes_on(world: World) -> None:
    world.apply(schedule(expression="0 * * * *"))
    world.pass_time(HOUR)
    world.clock.advance(3 * HOUR + 10 * MINUTE)
    world.restart()
    world.pass_time(0, 50 * MINUTE)

    assert world.outcomes() == [
        (1 * HOUR, "started"),
        (2 * HOUR, "missed"),
        (3 * HOUR, "missed"),
        (4 * HOUR, "missed"),
        (5 * HOUR, "started"),
    ]


def test_the_latest_missed_tick_is_caught_up_where_the_schedule_allows_it(world: World) -> None:
    world.apply(schedule(expression="0 * * * *", maximum_event_age_ms=HOUR))
    world.pass_time(0)
    world.clock.advance(3 * HOUR + 10 * MINUTE)
    world.restart()
    world.pass_time(0)

    assert [outcome for _, outcome in world.outcomes()] == ["missed", "missed", "started"]
    assert world.ledger.ticks("nightly")[0].reason.startswith("caught up")


def test_a_week_of_missed_seconds_is_a_thousand_rows_and_one(world: World) -> None:
    world.apply(schedule(expression="rate(1 second)"))
    world.pass_time(0)
    world.clock.advance(7 * DAY)
    world.restart()
    world.pass_time(0)
    world.restart()
    world.pass_time(0)

    rows = world.ledger.ticks("nightly", 10_000)
    assert len(rows) == 1_001
    assert "this row stands for 603,800 ticks" in rows[-1].reason
    assert world.done_until() == 7 * DAY


def test_grace_is_the_services_where_the_schedule_sets_none(world: World) -> None:
    world.service = ScheduleService(world.store, world.launcher, world.clock, grace_s=10)
    world.apply(schedule(), schedule("patient", grace_ms=MINUTE))
    world.pass_time(MINUTE + 11 * SECOND)

    assert world.outcomes() == [(MINUTE, "missed")]
    assert world.outcomes("patient") == [(MINUTE, "started")]


# --- trouble


def test_an_unknown_workflow_is_a_failed_tick_and_harms_no_other(world: World) -> None:
    world.launcher.refusals["gone"] = NotFound("there is no workflow 'gone'")
    world.apply(schedule(workflow="gone"), schedule("other"))
    world.pass_time(MINUTE, MINUTE)

    assert world.outcomes() == [(MINUTE, "failed"), (2 * MINUTE, "failed")]
    assert world.ledger.ticks("nightly")[0].reason == "there is no workflow 'gone'"
    assert world.outcomes("other") == [(MINUTE, "started"), (2 * MINUTE, "started")]


def test_a_template_that_fails_is_a_failed_tick(world: World) -> None:
    world.apply(schedule(template=compile_template({"x.$": "$.tick.weekday"})))
    world.pass_time(MINUTE)

    assert world.outcomes() == [(MINUTE, "failed")]
    assert "$.tick.weekday" in world.ledger.ticks("nightly")[0].reason


def test_a_start_refused_after_it_was_handed_over_is_a_failed_tick(world: World) -> None:
    world.apply(schedule())
    world.launcher.failures = [StatesError("States.Runtime", "no such thing")]
    world.pass_time(MINUTE, 0)

    assert world.outcomes() == [(MINUTE, "failed")]


@pytest.mark.parametrize("failure", [StoreUnavailable("the disk is full"), RuntimeError("a fault of ours")])
def test_rows_that_could_not_be_committed_are_tried_again(world: World, failure: Exception) -> None:
    world.apply(schedule(expression="0 * * * *", grace_ms=0))
    world.launcher.failures = [failure] * 3
    world.pass_time(HOUR + MINUTE, 100, SECOND, SECOND, SECOND, SECOND)

    assert world.outcomes() == [(HOUR, "missed")]
    assert world.done_until() == HOUR + MINUTE


def test_a_launch_that_the_store_refused_for_now_is_tried_again(world: World) -> None:
    world.apply(schedule())
    world.launcher.failures = [StoreUnavailable("the store is locked")] * 2
    world.pass_time(MINUTE, SECOND, SECOND, SECOND)

    assert world.outcomes() == [(MINUTE, "started")]


def test_a_schedule_that_breaks_does_not_stop_the_others(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.apply(schedule("broken"), schedule())
    plan = ScheduleService._plan

    def breaking(self: ScheduleService, name: str, *rest: Any) -> None:
        if name == "broken":
            raise ZeroDivisionError
        plan(self, name, *rest)

    monkeypatch.setattr(ScheduleService, "_plan", breaking)
    world.pass_time(MINUTE)
    monkeypatch.undo()
    world.pass_time(SECOND)

    assert world.outcomes() == world.outcomes("broken") == [(MINUTE, "started")]


def test_a_store_that_commits_nothing_holds_back_what_is_due(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(service_module, "MAX_IN_FLIGHT", 3)
    world.apply(*(schedule(f"s{number}") for number in range(5)))
    world.launcher.holding = True
    world.pass_time(MINUTE)

    assert sum(item.execution is not None for item in world.launcher.inbox) == 3

    world.launcher.commit()
    world.pass_time(SECOND)
    world.launcher.commit()

    assert len(world.launcher.started) == 5


@pytest.mark.parametrize("committed", range(8))
def test_dying_between_any_two_commits_neither_loses_nor_doubles_a_tick(world: World, committed: int) -> None:
    specs = [schedule(), schedule("gone", workflow="gone"), schedule("hourly", "0 * * * *", grace_ms=0)]
    world.launcher.refusals["gone"] = NotFound("there is no workflow 'gone'")
    world.apply(*specs)
    world.pass_time(0)
    world.clock.advance(HOUR + MINUTE + 7)
    world.launcher.holding = True
    world.service.tick()
    world.launcher.commit(committed)
    world.restart()
    world.launcher.holding = False
    world.pass_time(0, 0)

    assert len(world.outcomes("nightly")) == len(world.outcomes("gone")) == 61
    assert [outcome for _, outcome in world.outcomes("nightly")] == ["missed"] * 56 + ["started"] * 5
    assert [outcome for _, outcome in world.outcomes("gone")] == ["missed"] * 56 + ["failed"] * 5
    assert world.outcomes("hourly") == [(HOUR, "missed")]


@pytest.mark.parametrize("seed", range(4))
def test_a_month_of_crashes_and_clock_jumps_gives_every_tick_one_row(world: World, seed: int) -> None:
    rng = random.Random(seed)
    forms = ["rate(2 hours)", "0 */3 * * *", "30 2 * * *", "cron(15 10 ? * MON-FRI *)", "0 0 1,15 * *"]
    zones = ["UTC", "Europe/Berlin", "America/New_York", "Asia/Kolkata", "Australia/Lord_Howe"]
    specs = [
        schedule(f"s{number}", forms[number % 5], timezone=zones[number // 5 % 5], grace_ms=HOUR)
        for number in range(50)
    ]
    world.launcher.holding = True
    world.apply(*specs)
    world.launcher.commit()
    highest = T0
    while highest < T0 + 31 * DAY:
        world.clock.advance(rng.choice([10 * MINUTE, HOUR, HOUR, 3 * HOUR, -2 * HOUR, 26 * HOUR]))
        highest = max(highest, world.clock.now_ms())
        world.service.tick()
        world.launcher.commit(rng.choice([0, 1, 5, None, None, None]))
        if rng.random() < 0.2:
            world.restart()
    world.launcher.holding = False
    world.launcher.commit()
    world.clock.move_to(highest)
    world.restart()
    world.pass_time(0, 0)

    for spec in specs:
        expected = spec.between(T0, highest, 10_000)
        rows = [row.due_ms for row in reversed(world.ledger.ticks(spec.name, 10_000))]
        assert rows == expected
    started = [row for row in world.ledger.ticks(limit=100_000) if row.outcome == "started"]
    assert len(started) == len(world.launcher.started) > 500


# --- the clock


def test_a_clock_set_back_and_forth_fires_each_tick_once(world: World) -> None:
    world.apply(schedule())
    world.pass_time(MINUTE, MINUTE, -90 * SECOND, 60 * SECOND, 90 * SECOND)

    assert world.outcomes() == [(n * MINUTE, "started") for n in (1, 2, 3)]


def test_a_restart_after_the_clock_was_set_back_fires_nothing_again(world: World) -> None:
    world.apply(schedule())
    world.pass_time(MINUTE, MINUTE, 0)
    world.clock.advance(-90 * SECOND)
    world.restart()
    world.pass_time(0, 60 * SECOND, 60 * SECOND)

    assert world.outcomes() == [(MINUTE, "started"), (2 * MINUTE, "started")]


def test_a_clock_that_jumps_a_day_ahead_does_not_fire_what_it_skipped(world: World) -> None:
    world.apply(schedule(expression="0 * * * *"))
    world.pass_time(DAY + 10 * MINUTE)

    assert [outcome for _, outcome in world.outcomes()] == ["missed"] * 24


# --- configuration


def test_a_changed_expression_counts_from_now_and_what_came_due_before_is_the_old_ones(world: World) -> None:
    world.apply(schedule())
    world.clock.advance(MINUTE + 30 * SECOND)
    world.apply(schedule(expression="rate(10 minutes)"))
    world.pass_time(9 * MINUTE)

    assert world.outcomes() == [(MINUTE, "started"), (10 * MINUTE, "started")]


def test_an_unchanged_schedule_goes_on_when_the_others_change(world: World) -> None:
    world.apply(schedule(), schedule("other"))
    world.clock.advance(MINUTE + 30 * SECOND)
    world.apply(schedule(), schedule("other", "rate(10 minutes)"))

    assert world.outcomes() == [(MINUTE, "started")]


def test_a_changed_workflow_keeps_the_ticks(world: World) -> None:
    world.apply(schedule())
    world.clock.advance(30 * SECOND)
    world.apply(schedule(workflow="better"))
    world.pass_time(30 * SECOND)

    assert world.launcher.started == [("better", "nightly-20260301T000100Z")]


def test_an_expression_changed_while_the_service_was_down_makes_no_past_up(world: World) -> None:
    world.apply(schedule(expression="0 0 * * *"))
    world.pass_time(0)
    world.clock.advance(HOUR)
    world.specs = (schedule(expression="rate(1 minute)"),)
    world.restart()
    world.pass_time(MINUTE)

    assert world.outcomes() == [(HOUR + MINUTE, "started")]


@pytest.mark.parametrize("gone", [(), (schedule(enabled=False),)], ids=["removed", "disabled"])
def test_a_schedule_that_was_gone_for_a_while_has_no_ticks_of_that_time(
    world: World, gone: tuple[ScheduleSpec, ...]
) -> None:
    world.apply(schedule())
    world.pass_time(MINUTE)
    world.apply(*gone)
    world.pass_time(HOUR)
    world.restart()
    world.pass_time(HOUR)
    world.apply(schedule())
    world.pass_time(MINUTE)

    assert world.outcomes() == [(MINUTE, "started"), (2 * HOUR + 2 * MINUTE, "started")]


def test_two_schedules_of_one_name_are_refused_and_nothing_changes(world: World) -> None:
    world.apply(schedule())
    with pytest.raises(InvalidInput, match="two schedules named 'other'"):
        world.service.apply([schedule("other"), schedule("other")])
    world.pass_time(MINUTE)

    assert world.outcomes() == [(MINUTE, "started")]


# --- operators


def test_ticks_of_a_paused_schedule_are_recorded_and_start_nothing(world: World) -> None:
    world.apply(schedule())
    world.pass_time(MINUTE)
    world.service.pause("nightly")
    world.pass_time(MINUTE)
    world.restart()
    world.pass_time(MINUTE)
    world.service.resume("nightly")
    world.pass_time(MINUTE)

    assert [outcome for _, outcome in world.outcomes()] == ["started", "paused", "paused", "started"]


def test_what_was_due_before_a_pause_still_fires_and_before_a_resumption_does_not(world: World) -> None:
    world.apply(schedule())
    world.clock.advance(MINUTE)
    world.service.pause("nightly")
    world.clock.advance(MINUTE)
    world.service.resume("nightly")

    assert world.outcomes() == [(MINUTE, "started"), (2 * MINUTE, "paused")]


def test_a_pause_is_on_the_disk_when_it_returns(world: World) -> None:
    world.apply(schedule())
    world.service.pause("nightly")

    assert world.ledger.schedule_states()["nightly"].paused is True


def test_a_pause_that_could_not_be_committed_is_an_error(world: World) -> None:
    world.apply(schedule())
    world.launcher.failures = [StoreUnavailable("the disk is full")]

    with pytest.raises(StoreUnavailable, match="the disk is full"):
        world.service.pause("nightly")


def test_firing_by_hand_starts_the_workflow_now_and_leaves_a_row_of_its_own(world: World) -> None:
    world.apply(schedule())
    world.service.pause("nightly")
    fired = world.service.fire("nightly", T0 + 5)

    (row,) = world.ledger.ticks("nightly")
    assert (row.outcome, row.fire_id, row.reason) == ("started", fired.fire_id, "fired by hand")
    assert row.execution_arn == fired.execution_arn
    assert world.launcher.started == [("work", f"nightly-20260301T000000.005Z-{fired.fire_id}")]


def test_firing_again_with_the_same_fire_id_starts_nothing(world: World) -> None:
    world.apply(schedule())
    first = world.service.fire("nightly", T0, fire_id="deploy_7")
    again = world.service.fire("nightly", T0 + HOUR, fire_id="deploy_7")

    assert (again.existed, again.execution_arn) == (True, first.execution_arn)
    assert len(world.launcher.started) == 1


def test_a_fire_by_hand_at_a_due_time_does_not_replace_the_tick(world: World) -> None:
    world.apply(schedule())
    world.clock.advance(MINUTE)
    world.service.fire("nightly")
    world.pass_time(0)

    assert len(world.launcher.started) == 2


def test_a_fire_by_hand_that_is_refused_says_so_and_leaves_a_row(world: World) -> None:
    world.launcher.refusals["work"] = NotFound("there is no workflow 'work'")
    world.apply(schedule())
    with pytest.raises(NotFound, match="no workflow"):
        world.service.fire("nightly", fire_id="x")
    with pytest.raises(Conflict, match="has failed"):
        world.service.fire("nightly", fire_id="x")

    assert [outcome for _, outcome in world.outcomes()] == ["failed"]


@pytest.mark.parametrize("fire_id", ["", "A", "a-b", "x" * 33])
def test_a_fire_id_that_could_be_misread_is_refused(world: World, fire_id: str) -> None:
    world.apply(schedule())

    with pytest.raises(InvalidInput, match="fire id"):
        world.service.fire("nightly", fire_id=fire_id)


def test_an_unknown_schedule_is_named_with_those_there_are(world: World) -> None:
    world.apply(schedule(), schedule("other"))

    for act in (world.service.pause, world.service.fire, world.service.next, world.service.ticks):
        with pytest.raises(NotFound, match="no schedule 'nigthly'; there are: nightly, other"):
            act("nigthly")


def test_next_ticks_of_all_schedules_come_soonest_first(world: World) -> None:
    world.apply(schedule(), schedule("ten", "rate(10 minutes)"), schedule("off", enabled=False))
    world.clock.advance(8 * MINUTE)
    world.service.pause("ten")

    found = world.service.next(count=4)
    assert [(tick.schedule, (tick.due_ms - T0) // MINUTE, tick.paused) for tick in found] == [
        ("nightly", 9, False),
        ("nightly", 10, False),
        ("ten", 10, True),
        ("nightly", 11, False),
    ]
    assert [tick.due_ms for tick in world.service.next("ten", 2)] == [T0 + 10 * MINUTE, T0 + 20 * MINUTE]


def test_a_description_shows_state_last_tick_and_next_one(world: World) -> None:
    once = schedule("once", "at(2026-03-01T00:00:30)")
    world.apply(schedule(), once, schedule("off", enabled=False))
    world.pass_time(MINUTE)
    world.service.pause("nightly")
    found = {status.name: status for status in world.service.describe()}

    assert list(found) == ["nightly", "off", "once"]
    assert found["nightly"].paused
    assert found["nightly"].words == "Every minute"
    assert found["nightly"].next_due_ms == T0 + 2 * MINUTE
    assert found["nightly"].last is not None
    assert found["nightly"].last.outcome == "started"
    assert (found["once"].next_due_ms, found["off"].next_due_ms) == (None, None)


def test_closing_waits_for_what_was_handed_over_and_keeps_the_state(world: World) -> None:
    world.apply(schedule())
    world.pass_time(MINUTE)
    world.service.close()

    assert world.done_until() == MINUTE
