"""Activities: workers wait for tasks, tasks for workers; each task goes to one worker, in its turn."""

import threading
from concurrent.futures import Future
from typing import Any

import pytest

from etl_runner.engine.knocks import ActivityTask, TokenSuccess
from etl_runner.machine import facts as f
from etl_runner.machine.state import Status
from etl_runner.store.activities import Activities, ActivityRow
from etl_runner.store.tokens import TokenReads
from tests.engine.harness import World, single

ARN = "arn:aws:states:us-east-1:123456789012:activity:work"
OTHER = "arn:aws:states:us-east-1:123456789012:activity:other"
ACTIVITY: dict[str, Any] = {"Type": "Task", "Resource": ARN, "End": True}


@pytest.fixture(autouse=True)
def registered(request: pytest.FixtureRequest) -> None:
    name = "running" if "running" in request.fixturenames else "world"
    world: World = request.getfixturevalue(name)
    for arn in (ARN, OTHER):
        Activities(world.store).create(ActivityRow(arn=arn, name=arn[-5:], created_ms=1))


def fetched(poll: Future[ActivityTask | None]) -> ActivityTask:
    task = poll.result(0)
    assert task is not None
    return task


def test_a_worker_gets_the_task_and_its_answer_ends_it(world: World) -> None:
    run = world.start(single(ACTIVITY), {"n": 1})
    poll = world.engine.poll_activity(ARN, "me")
    world.drive()
    task = fetched(poll)
    world.engine.answer_task(task.task_token, TokenSuccess(output="done"))
    world.drive()

    assert task.input == '{"n":1}'
    assert world.facts(run, f.ActivityStarted)[0].worker == "me"
    assert world.output(run) == "done"
    assert world.script.invocations == [], "no invoker is asked to do an activity's work"


def test_a_worker_has_its_task_only_once_that_is_committed(world: World) -> None:
    world.start(single(ACTIVITY))
    seen: list[bool] = []
    commit = world.store.commit
    poll = world.engine.poll_activity(ARN)
    world.store.commit = lambda unit: (seen.append(poll.done()), commit(unit))  # type: ignore[method-assign, func-returns-value, assignment]
    world.drive()

    assert seen == [False]
    assert poll.done()


def test_tasks_go_out_oldest_first_and_each_once(world: World) -> None:
    machine = world.define(single(ACTIVITY))
    for number in range(3):
        world.start(machine, {"n": number})
        world.manual.advance(1)
    polls = [world.engine.poll_activity(ARN) for _ in range(4)]
    world.drive()

    assert [fetched(poll).input for poll in polls[:3]] == ['{"n":0}', '{"n":1}', '{"n":2}']
    assert not polls[3].done()


def test_a_worker_that_waits_gets_the_next_task_the_longest_first(world: World) -> None:
    polls = [world.engine.poll_activity(ARN) for _ in range(2)]
    world.drive()
    machine = world.define(single(ACTIVITY))
    world.start(machine, {"n": 0})
    first = [poll.done() for poll in polls]
    world.start(machine, {"n": 1})

    assert first == [True, False]
    assert [fetched(poll).input for poll in polls] == ['{"n":0}', '{"n":1}']


def test_a_worker_gets_no_task_of_another_activity(world: World) -> None:
    world.start(single(ACTIVITY))
    poll = world.engine.poll_activity(OTHER)
    world.drive()

    assert not poll.done()


def test_a_worker_waits_for_a_minute_and_goes_with_nothing(world: World) -> None:
    poll = world.engine.poll_activity(ARN)
    world.pass_time(59_999)
    before = poll.done()
    world.pass_time(1)

    assert not before
    assert poll.result(0) is None


def test_a_worker_that_has_gone_takes_no_task_along(world: World) -> None:
    gone, waits = world.engine.poll_activity(ARN), world.engine.poll_activity(ARN)
    world.drive()
    gone.cancel()
    world.start(single(ACTIVITY), {"n": 1})

    assert fetched(waits).input == '{"n":1}'


def test_a_worker_that_goes_while_its_task_comes_leaves_it_to_the_next(world: World) -> None:
    gone, waits = world.engine.poll_activity(ARN), world.engine.poll_activity(ARN)
    world.drive()
    started = world.ask(single(ACTIVITY), {"n": 1})
    world.engine.step()  # the first in the line is told that there is a task, and has not asked yet
    gone.cancel()
    world.drive()

    assert started.done()
    assert fetched(waits).input == '{"n":1}'


def test_lines_of_workers_that_left_are_forgotten(world: World) -> None:
    for _ in range(3):
        world.engine.poll_activity(ARN)
        world.pass_time(1_000)
    world.pass_time(58_000)
    half = len(world.engine._polls._waiting[ARN])
    world.pass_time(2_000)

    assert half == 1
    assert (dict(world.engine._polls._waiting), world.engine._polls._until) == ({}, [])


def test_waiting_tasks_and_fetched_ones_survive_a_restart(world: World) -> None:
    machine = world.define(single(ACTIVITY))
    runs = [world.start(machine, {"n": number}) for number in range(2)]
    poll = world.engine.poll_activity(ARN)
    world.drive()
    first = fetched(poll)
    world.restart()
    poll = world.engine.poll_activity(ARN)
    world.drive()
    for task in (first, fetched(poll)):
        world.engine.answer_task(task.task_token, TokenSuccess(output=task.input))
    world.drive()

    assert [world.status(run) for run in runs] == [Status.SUCCEEDED] * 2


def test_a_task_whose_time_is_up_is_handed_out_no_more(world: World) -> None:
    run = world.start(single({**ACTIVITY, "TimeoutSeconds": 5}))
    world.pass_time(5_000)
    poll = world.engine.poll_activity(ARN)
    world.drive()

    assert world.status(run) is Status.FAILED
    assert not poll.done()


def test_heartbeats_are_owed_from_the_fetch_on(world: World) -> None:
    run = world.start(single({**ACTIVITY, "HeartbeatSeconds": 10}))
    world.pass_time(60_000)
    before = world.status(run)
    poll = world.engine.poll_activity(ARN)
    world.drive()
    world.pass_time(10_000)

    assert before is Status.RUNNING
    assert poll.done()
    assert world.status(run) is Status.FAILED


def test_a_task_of_an_activity_that_is_not_registered_fails(world: World) -> None:
    gone = ARN + "-gone"
    run = world.start(single({**ACTIVITY, "Resource": gone}))

    assert world.error(run) == ("ActivityDoesNotExist", f"Activity Does Not Exist: '{gone}'")


def test_a_task_that_waits_for_a_worker_holds_no_memory(world: World) -> None:
    run = world.start(single(ACTIVITY))

    assert not world.row(run).working
    assert TokenReads(world.store).of(run)[0].hand_outs == 0


def test_many_workers_at_once_share_the_tasks_without_loss_or_doubling(running: World) -> None:
    machine = running.define(single(ACTIVITY))
    polls: list[Future[ActivityTask | None]] = []

    def work() -> None:
        polls.extend(running.engine.poll_activity(ARN) for _ in range(10))

    threads = [threading.Thread(target=work) for _ in range(4)]
    for thread in threads:
        thread.start()
    started = [running.ask(machine, {"n": number}) for number in range(40)]
    for thread in threads:
        thread.join()
    tasks = [poll.result(10) for poll in polls]
    for task in tasks:
        assert task is not None
        running.engine.answer_task(task.task_token, TokenSuccess(output=task.input)).result(10)
    ends = [running.engine.when_ended(each.result(10).execution_id).result(10) for each in started]

    assert sorted(task.input for task in tasks if task) == sorted(f'{{"n":{n}}}' for n in range(40))
    assert set(ends) == {Status.SUCCEEDED}


def test_those_who_wait_are_told_when_the_engine_ends(running: World) -> None:
    poll = running.engine.poll_activity(ARN)
    while not running.engine._polls._waiting:
        threading.Event().wait(0.005)
    running.engine.close(0)

    assert poll.result(1) is None
