"""Express executions: in memory, as often as they are asked for, and nothing on the disk while they run."""

import re
from concurrent.futures import Future
from typing import Any

import pytest
from sqlalchemy.exc import NoResultFound

from etl_runner.engine.knocks import Ended, Started, StartRequest
from etl_runner.errors import StoreUnavailable
from etl_runner.machine.state import Status
from etl_runner.store.outbox import express_starts
from etl_runner.store.unit import Unit
from etl_runner.tasks.contract import Succeeded
from tests.engine.harness import PASS, TASK, World, answer, chain, fail, never, single

WAIT: dict[str, Any] = {"Type": "Wait", "Seconds": 60, "End": True}


def request(world: World, definition: Any, given: Any = None, **more: Any) -> StartRequest:
    return world.request(definition, given, express=True, **more)


def ask(world: World, definition: Any, given: Any = None, **more: Any) -> Future[Started]:
    started = world.engine.start(request(world, definition, given, **more))
    world.drive()
    return started


def sync(world: World, definition: Any, given: Any = None, **more: Any) -> Future[Ended]:
    ended = world.engine.start_sync(request(world, definition, given, sync=True, **more))
    world.drive()
    return ended


def commits(world: World) -> list[Any]:
    made: list[Any] = []
    commit = world.store.commit
    world.store.commit = lambda unit: (made.append(unit), commit(unit))  # type: ignore[method-assign, func-returns-value, assignment]
    return made


def test_a_sync_execution_gives_its_result_and_writes_nothing(world: World) -> None:
    made = commits(world)
    world.script.default = answer({"b": 2})
    ended = sync(world, chain("A", "B"), {"a": 1}, name="one").result(0)

    assert (ended.status, ended.output, ended.error) == (Status.SUCCEEDED, {"b": 2}, None)
    assert re.fullmatch(
        r"arn:aws:states:us-east-1:123456789012:express:machine:one:[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}",
        ended.arn,
    )
    assert made == []
    assert world.rows() == []
    assert len(world.engine._cache) == 0


def test_a_sync_execution_that_fails_says_why(world: World) -> None:
    world.script.default = fail("Broken", "why")
    ended = sync(world, single(TASK)).result(0)

    assert (ended.status, ended.error, ended.cause) == (Status.FAILED, "Broken", "why")


def test_the_duration_is_billed_in_steps_of_a_tenth_of_a_second(world: World) -> None:
    ended = sync(world, single({"Type": "Wait", "Seconds": 2, "End": True}))
    world.pass_time(2_001)

    assert (ended.result(0).stopped_ms - ended.result(0).started_ms, ended.result(0).billed_ms) == (
        2_001,
        2_100,
    )
    assert sync(world, single(PASS)).result(0).billed_ms == 100


def test_a_name_may_be_used_as_often_as_one_likes(world: World) -> None:
    machine = world.define(single(PASS))
    first, second = (sync(world, machine, name="same").result(0) for _ in range(2))

    assert first.arn != second.arn
    assert first.name == second.name == "same"


def test_an_async_execution_leaves_one_row_while_it_runs_and_none_after(world: World) -> None:
    world.script.default = never
    made = commits(world)
    started = ask(world, chain("A", "B"), {"a": 1})
    during = [row.arn for row in express_starts(world.store)]
    world.script.succeed(world.script.invocations[0])
    world.drive()
    between = len(made)
    world.script.succeed(world.script.invocations[1])
    world.drive()

    assert during == [started.result(0).arn]
    assert (between, len(made)) == (1, 2), "one commit with the start, one with the end"
    assert express_starts(world.store) == []
    assert world.rows() == []


def test_an_async_execution_that_ends_at_once_leaves_no_row_at_all(world: World) -> None:
    made = commits(world)
    started = ask(world, single(PASS))

    assert started.done()
    assert made == []


def test_the_start_is_on_the_disk_before_it_is_acknowledged_or_a_task_is_handed_out(world: World) -> None:
    world.script.default = never
    seen: list[tuple[bool, int]] = []
    commit = world.store.commit
    asked = world.engine.start(request(world, single(TASK)))

    def watched(unit: Unit) -> None:
        seen.append((asked.done(), len(world.script.invocations)))
        commit(unit)

    world.store.commit = watched  # type: ignore[method-assign]
    world.drive()

    assert seen == [(False, 0)]
    assert (asked.done(), len(world.script.invocations)) == (True, 1)


def test_after_a_crash_an_async_execution_runs_again_under_its_arn_and_a_sync_one_does_not(
    world: World,
) -> None:
    world.script.default = never
    started = ask(world, chain("A", "B"), {"a": 1}, name="again", role_arn="role")
    lost = sync(world, single(TASK))
    world.script.succeed(world.script.invocations[0])
    world.drive()
    keys = [each.idempotency_key for each in world.script.of("A")]
    world.restart()
    world.drive()

    (again,) = {each.execution_arn for each in world.script.invocations}
    assert again == started.result(0).arn
    assert [each.state_name for each in world.script.invocations] == ["A", "B"]
    assert [each.idempotency_key for each in world.script.of("A")] == keys
    assert express_starts(world.store) == []
    assert not lost.done()


def test_its_timers_are_in_memory_whatever_the_horizon(world: World) -> None:
    ended = sync(world, single(WAIT))
    world.pass_time(59_999)
    before = ended.done()
    world.pass_time(1)

    assert not before
    assert ended.result(0).status is Status.SUCCEEDED


def test_deadlines_of_those_that_ended_do_not_pile_up(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("etl_runner.engine.timers.SLACK", 10)
    machine = world.define(single(TASK))
    for _ in range(100):
        sync(world, machine)

    assert len(world.engine._timers._heap) <= 12


def test_it_may_take_five_minutes(world: World) -> None:
    ended = sync(world, single({**WAIT, "Seconds": 1000}))
    sooner = sync(world, {**single({**WAIT, "Seconds": 1000}), "TimeoutSeconds": 10})
    world.pass_time(10_000)
    before = ended.done()
    world.pass_time(290_000)

    assert not before
    assert (ended.result(0).status, ended.result(0).error) == (Status.TIMED_OUT, "States.Timeout")
    assert sooner.result(0).stopped_ms - sooner.result(0).started_ms == 10_000


def test_a_retry_waits_in_memory(world: World) -> None:
    retry = [{"ErrorEquals": ["States.ALL"], "IntervalSeconds": 30, "MaxAttempts": 2}]
    world.script.default = fail("Broken")
    ended = sync(world, single({**TASK, "Retry": retry}))
    world.pass_time(30_000)
    world.script.default = answer("at last")
    world.pass_time(60_000)

    assert ended.result(0).output == "at last"
    assert len(world.script.invocations) == 3


def test_a_store_in_trouble_neither_loses_nor_doubles_what_is_in_memory(world: World) -> None:
    world.script.default = never
    ended = sync(world, chain("A", "B"))
    durable = world.start(single(TASK))
    commit = world.store.commit

    def full(_unit: object) -> None:
        raise StoreUnavailable("full")

    world.store.commit = full  # type: ignore[method-assign, assignment]
    for invocation in world.script.invocations:
        world.script.succeed(invocation, {"done": invocation.state_name})
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            world.engine.step()
    world.store.commit = commit  # type: ignore[method-assign]
    world.drive()
    world.script.succeed(world.script.of("B")[0], "end")
    world.drive()

    assert len(world.script.of("B")) == 1
    assert ended.result(0).output == "end"
    assert world.output(durable) == {"done": "Only"}


def test_express_turns_alone_need_no_store(world: World) -> None:
    machine = world.define(chain("A", "B"))
    sync(world, machine)

    def full(_unit: object) -> None:
        raise StoreUnavailable("full")

    commit, world.store.commit = world.store.commit, full  # type: ignore[method-assign, assignment]
    ended = sync(world, machine, {"a": 1})
    world.store.commit = commit  # type: ignore[method-assign]

    assert ended.result(0).output == {"a": 1}


def test_its_receipts_of_s3_writes_are_not_kept(world: World) -> None:
    world.script.default = lambda told: [
        Succeeded(token=told.token, output=1, written=({"Bucket": "b", "Key": "k"},))
    ]

    assert sync(world, single(TASK)).result(0).output == 1
    assert world.sql("SELECT count(*) FROM written_object") == [(0,)]


def test_who_waits_for_a_sync_execution_is_told_when_the_engine_ends(running: World) -> None:
    running.script.default = never
    wanted = running.request(single(TASK), express=True, sync=True)
    ended = running.engine.start_sync(wanted)
    wanted.done.result(10)
    running.engine.close(0)

    with pytest.raises(StoreUnavailable, match="stopping"):
        ended.result(1)


def test_a_start_that_fails_fails_the_wait_for_its_end(world: World) -> None:
    wanted = world.request(("machine", 4711), express=True, sync=True)
    ended = world.engine.start_sync(wanted)
    world.drive()

    with pytest.raises(NoResultFound):
        ended.result(0)
