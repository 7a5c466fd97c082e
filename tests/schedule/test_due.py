from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_runner.asl.dataflow import compile_template
from etl_runner.clock import from_datetime
from etl_runner.errors import StatesError
from etl_runner.schedule.due import (
    COUNT_AT_MOST,
    ROWS_AT_ONCE,
    ScheduleState,
    due_ticks,
    execution_name,
    tick_input,
)
from tests.schedule.ledgers import schedule

T0 = from_datetime(datetime(2026, 3, 1, tzinfo=UTC))
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR


def state(since_ms: int = T0, done_until_ms: int = T0, **fields: Any) -> ScheduleState:
    return ScheduleState(since_ms=since_ms, done_until_ms=done_until_ms, **fields)


def test_ticks_after_the_last_one_done_and_up_to_now_fire() -> None:
    found = due_ticks(schedule(), state(), T0 + 2 * MINUTE)

    assert [(due.due_ms, due.action) for due in found] == [(T0 + MINUTE, "fire"), (T0 + 2 * MINUTE, "fire")]


def test_a_tick_at_the_very_moment_of_the_last_one_done_is_not_due_again() -> None:
    assert due_ticks(schedule(), state(done_until_ms=T0 + MINUTE), T0 + MINUTE) == []


def test_a_schedule_first_seen_now_has_no_past() -> None:
    assert due_ticks(schedule(), state(since_ms=T0 + DAY, done_until_ms=0), T0 + DAY) == []


def test_a_clock_that_was_set_back_makes_nothing_due() -> None:
    assert due_ticks(schedule(), state(done_until_ms=T0 + DAY), T0 + HOUR) == []


def test_a_tick_up_to_the_grace_late_fires_and_a_later_one_is_missed() -> None:
    spec = schedule(grace_ms=2 * MINUTE)

    found = due_ticks(spec, state(), T0 + 4 * MINUTE)

    assert [due.action for due in found] == ["missed", "fire", "fire", "fire"]
    assert found[0].reason.startswith("180 s late, more than the grace of 120 s")


def test_the_grace_is_five_minutes_where_nobody_says_otherwise() -> None:
    found = due_ticks(schedule(expression="0 0 * * *"), state(), T0 + DAY + 300_000)
    late = due_ticks(schedule(expression="0 0 * * *"), state(), T0 + DAY + 300_001)

    assert [due.action for due in found + late] == ["fire", "missed"]


def test_the_latest_missed_tick_is_caught_up_within_the_maximum_event_age() -> None:
    spec = schedule(expression="0 * * * *", maximum_event_age_ms=HOUR)

    found = due_ticks(spec, state(), T0 + 3 * HOUR + 30 * MINUTE)

    assert [due.action for due in found] == ["missed", "missed", "fire"]
    assert found[-1].reason.startswith("caught up: 1,800 s late")


def test_the_latest_missed_tick_beyond_the_maximum_event_age_stays_missed() -> None:
    spec = schedule(expression="0 0 * * *", maximum_event_age_ms=HOUR)

    assert [due.action for due in due_ticks(spec, state(), T0 + DAY + 2 * HOUR)] == ["missed"]


def test_nothing_is_caught_up_when_a_later_tick_fires_in_time() -> None:
    spec = schedule(expression="0 * * * *", maximum_event_age_ms=DAY)

    assert [due.action for due in due_ticks(spec, state(), T0 + 2 * HOUR)] == ["missed", "fire"]


def test_a_tick_that_has_its_row_is_passed_over() -> None:
    found = due_ticks(schedule(), state(), T0 + 3 * MINUTE, recorded={T0 + MINUTE, T0 + 3 * MINUTE})

    assert [due.due_ms for due in found] == [T0 + 2 * MINUTE]


def test_a_latest_tick_that_has_its_row_leaves_nothing_to_catch_up() -> None:
    spec = schedule(expression="0 * * * *", maximum_event_age_ms=DAY)

    found = due_ticks(spec, state(), T0 + 2 * HOUR + 30 * MINUTE, recorded={T0 + 2 * HOUR})

    assert [due.action for due in found] == ["missed"]


def test_ticks_of_a_paused_schedule_are_recorded_however_late() -> None:
    found = due_ticks(schedule(expression="0 0 * * *"), state(paused=True), T0 + 3 * DAY + HOUR)

    assert [(due.action, due.reason) for due in found] == [("paused", "paused")] * 3


def test_a_disabled_schedule_has_no_ticks() -> None:
    assert due_ticks(schedule(enabled=False), state(), T0 + DAY) == []


def test_start_and_end_are_the_first_and_the_last_moment() -> None:
    spec = schedule(expression="0 * * * *", start_ms=T0 + 2 * HOUR, end_ms=T0 + 4 * HOUR, grace_ms=DAY)

    found = due_ticks(spec, state(), T0 + DAY)

    assert [due.due_ms - T0 for due in found] == [2 * HOUR, 3 * HOUR, 4 * HOUR]
    assert spec.next_after(T0 + 4 * HOUR) is None


def test_a_week_of_seconds_makes_a_thousand_rows_and_one_for_all_the_older_ones() -> None:
    week_s = 7 * 86_400

    found = due_ticks(schedule(expression="rate(1 second)", grace_ms=0), state(), T0 + week_s * 1000)

    assert len(found) == ROWS_AT_ONCE + 1
    assert found[0].count == week_s - ROWS_AT_ONCE
    assert found[0].due_ms == found[1].due_ms - 1000
    assert f"stands for {week_s - ROWS_AT_ONCE:,} ticks" in found[0].reason
    assert [due.action for due in found[-2:]] == ["missed", "fire"]


def test_a_clock_a_century_ahead_is_answered_without_counting_to_its_end() -> None:
    found = due_ticks(schedule(expression="rate(1 second)"), state(), T0 + 100 * 365 * DAY)

    assert len(found) == ROWS_AT_ONCE + 1
    assert found[0].count >= COUNT_AT_MOST
    assert "at least" in found[0].reason
    assert found[0].due_ms == found[1].due_ms - 1000


@given(
    minutes=st.integers(1, 40),
    seconds=st.integers(0, 40 * 60 * 45),
    cuts=st.lists(st.integers(0, 40 * 60 * 45), max_size=5),
)
def test_looking_often_finds_the_same_ticks_as_looking_once(
    minutes: int, seconds: int, cuts: list[int]
) -> None:
    seconds = min(seconds, ROWS_AT_ONCE * minutes * 60)  # more at once become one row, which is another claim
    spec = schedule(expression=f"rate({minutes} minute{'s' if minutes > 1 else ''})", grace_ms=DAY)
    end = T0 + seconds * 1000
    once = [due.due_ms for due in due_ticks(spec, state(), end)]
    often, done = [], T0
    for moment in [*sorted(T0 + cut * 1000 for cut in cuts if cut <= seconds), end]:
        often += [due.due_ms for due in due_ticks(spec, state(done_until_ms=done), moment)]
        done = max(done, moment)

    assert often == once


# --- what a tick starts


def test_the_input_without_a_template_is_the_tick_and_the_schedule() -> None:
    due_ms = from_datetime(datetime(2026, 7, 1, 2, 30, tzinfo=UTC))
    spec = schedule(name="nightly", expression="30 4 * * *", timezone="Europe/Berlin")

    expected = {
        "tick": {
            "date": "2026-07-01",
            "time": "04:30:00",
            "datetime": "2026-07-01T04:30:00+02:00",
            "utc": "2026-07-01T02:30:00Z",
            "epoch_ms": due_ms,
        },
        "schedule": {"name": "nightly", "expression": "30 4 * * *", "timezone": "Europe/Berlin"},
    }
    assert tick_input(spec, due_ms) == expected


def test_the_date_is_that_of_the_schedules_zone() -> None:
    spec = schedule(timezone="Pacific/Auckland", template=compile_template({"date.$": "$.tick.date"}))

    assert tick_input(spec, from_datetime(datetime(2026, 3, 1, 13, tzinfo=UTC))) == {"date": "2026-03-02"}


def test_a_template_draws_the_same_id_for_the_same_tick_however_often() -> None:
    spec = schedule(template=compile_template({"id.$": "States.UUID()"}))

    assert tick_input(spec, T0) == tick_input(spec, T0)
    assert tick_input(spec, T0) != tick_input(spec, T0 + 1000)


def test_a_template_that_asks_for_what_is_not_there_is_an_error() -> None:
    with pytest.raises(StatesError):
        tick_input(schedule(template=compile_template({"x.$": "$.tick.weekday"})), T0)


def test_an_executions_name_is_the_schedule_and_the_due_time() -> None:
    assert execution_name("nightly", T0) == "nightly-20260301T000000Z"
    assert execution_name("nightly", T0 + 7) == "nightly-20260301T000000.007Z"
    assert execution_name("nightly", T0, "abc") == "nightly-20260301T000000Z-abc"


def test_a_long_schedule_name_is_cut_and_told_apart_by_a_hash() -> None:
    names = [execution_name("s" * 63 + end, T0) for end in "ab"]

    assert [len(name) for name in names] == [80, 80]
    assert names[0] != names[1]
