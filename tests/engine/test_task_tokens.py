"""Tasks that someone else answers: by their token, from anywhere, also after a restart."""

from typing import Any

import pytest

from etl_runner.engine.knocks import TokenFailure, TokenHeartbeat, TokenSuccess
from etl_runner.engine.tokens import HOLD_MS, ClosedTaskToken, InvalidTaskToken
from etl_runner.errors import StoreUnavailable
from etl_runner.machine import facts as f
from etl_runner.machine.state import Status
from etl_runner.store.tokens import TokenReads
from etl_runner.tasks.contract import Invocation, Outcome, Pending
from tests.engine.harness import World, never, single

CALLBACK: dict[str, Any] = {
    "Type": "Task",
    "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
    "Parameters": {"QueueUrl": "q", "MessageBody": {"token.$": "$$.Task.Token"}},
    "End": True,
}
HEART: dict[str, Any] = {**CALLBACK, "HeartbeatSeconds": 60}


def submitted(invocation: Invocation) -> list[Outcome]:
    return [Pending(token=invocation.token, output={"sent": True})]


@pytest.fixture(autouse=True)
def callbacks(world: World) -> None:
    world.script.default = submitted


def token_of(world: World, number: int = 0) -> str:
    told = world.script.invocations[number].task_token
    assert told is not None
    return told


def state_of(world: World, run: int) -> list[str]:
    return [row.state for row in TokenReads(world.store).of(run)]


def test_a_result_sent_by_token_ends_the_task_and_closes_the_token(world: World) -> None:
    run = world.start(single(CALLBACK))
    before = state_of(world, run)
    sent = world.engine.answer_task(token_of(world), TokenSuccess(output={"a": 1}))
    world.drive()

    assert sent.result(0) is None
    assert world.output(run) == {"a": 1}
    assert (before, state_of(world, run)) == (["started"], ["closed"])


def test_a_failure_sent_by_token_fails_the_task(world: World) -> None:
    run = world.start(single(CALLBACK))
    world.engine.answer_task(token_of(world), TokenFailure(error="Broken", cause="why"))
    world.drive()

    assert world.error(run) == ("Broken", "why")


def test_an_answer_is_acknowledged_only_after_its_commit(world: World) -> None:
    world.start(single(CALLBACK))
    seen: list[bool] = []
    commit = world.store.commit
    sent = world.engine.answer_task(token_of(world), TokenSuccess(output=1))
    world.store.commit = lambda unit: (seen.append(sent.done()), commit(unit))  # type: ignore[method-assign, func-returns-value, assignment]
    world.drive()

    assert seen == [False]
    assert sent.done()


@pytest.mark.parametrize("answer", [TokenSuccess(output=1), TokenFailure(), TokenHeartbeat()])
def test_a_token_that_nobody_was_given_is_invalid(world: World, answer: Any) -> None:
    sent = world.engine.answer_task("no such token", answer)
    world.drive()

    with pytest.raises(InvalidTaskToken, match=r"^Invalid Token: 'Invalid token'$"):
        sent.result(0)


@pytest.mark.parametrize("answer", [TokenSuccess(output=1), TokenFailure(), TokenHeartbeat()])
def test_a_second_answer_finds_the_task_gone(world: World, answer: Any) -> None:
    run = world.start(single(CALLBACK))
    world.engine.answer_task(token_of(world), TokenSuccess(output=1))
    together = world.engine.answer_task(token_of(world), answer)
    world.drive()
    later = world.engine.answer_task(token_of(world), answer)
    world.drive()

    for sent in (together, later):
        with pytest.raises(ClosedTaskToken, match="Provided task does not exist anymore"):
            sent.result(0)
    assert world.output(run) == 1


@pytest.mark.parametrize("end", ["stop", "timeout"])
def test_a_token_is_closed_with_whatever_takes_its_task_away(world: World, end: str) -> None:
    run = world.start(single({**CALLBACK, "TimeoutSeconds": 10}))
    if end == "stop":
        world.engine.stop(run)
    world.pass_time(10_000)
    sent = world.engine.answer_task(token_of(world), TokenSuccess(output=1))
    world.drive()

    with pytest.raises(ClosedTaskToken):
        sent.result(0)
    assert state_of(world, run) == ["closed"]


def test_an_answer_after_a_restart_finds_its_execution(world: World) -> None:
    run = world.start(single(CALLBACK))
    token = token_of(world)
    world.restart()
    sent = world.engine.answer_task(token, TokenSuccess(output="late"))
    world.drive()

    assert sent.done()
    assert world.output(run) == "late"
    assert world.script.invocations == [], "what was submitted is not handed out again"


def test_a_task_that_is_handed_out_again_after_a_restart_is_counted(world: World) -> None:
    world.script.default = never
    run = world.start(single(CALLBACK))
    world.restart()

    assert [row.hand_outs for row in TokenReads(world.store).of(run)] == [2]


def test_heartbeats_move_the_deadline_on_and_leave_no_trace_in_the_history(world: World) -> None:
    run = world.start(single(HEART))
    token = token_of(world)
    facts = len(world.facts(run))
    for _ in range(3):
        world.pass_time(59_000)
        world.engine.answer_task(token, TokenHeartbeat())
        world.drive()

    assert len(world.facts(run)) == facts
    world.pass_time(59_999)
    assert world.status(run) is Status.RUNNING
    world.pass_time(1)
    assert world.facts(run, f.TaskTimedOut)[0].heartbeat
    assert world.status(run) is Status.FAILED


def test_heartbeats_of_one_turn_are_one_commit(world: World) -> None:
    world.start(single(HEART))
    commits: list[Any] = []
    commit = world.store.commit
    world.store.commit = lambda unit: (commits.append(unit), commit(unit))  # type: ignore[method-assign, func-returns-value, assignment]
    beats = [world.engine.answer_task(token_of(world), TokenHeartbeat()) for _ in range(100)]
    world.drive()

    assert all(beat.done() for beat in beats)
    assert len(commits) == 1


def test_a_heartbeats_deadline_survives_a_restart(world: World) -> None:
    run = world.start(single(HEART))
    world.pass_time(30_000)
    world.engine.answer_task(token_of(world), TokenHeartbeat())
    world.drive()
    world.restart()
    world.pass_time(59_999)
    before = world.status(run)
    world.pass_time(1)

    assert before is Status.RUNNING
    assert world.status(run) is Status.FAILED


def test_a_task_without_heartbeat_takes_heartbeats_and_needs_none(world: World) -> None:
    run = world.start(single(CALLBACK))
    beat = world.engine.answer_task(token_of(world), TokenHeartbeat())
    world.pass_time(10**9)

    assert beat.done()
    assert world.status(run) is Status.RUNNING


def test_an_answer_that_comes_before_the_submission_waits_for_it(world: World) -> None:
    world.script.default = never
    run = world.start(single(CALLBACK))
    sent = world.engine.answer_task(token_of(world), TokenSuccess(output=1))
    world.drive()
    before = sent.done()
    world.script.tell(Pending(token=world.script.invocations[0].token, output="sent"))
    world.drive()

    assert not before
    assert sent.done()
    kinds = [type(fact) for fact in world.facts(run, f.TaskSubmitted, f.TaskSucceeded)]
    assert kinds == [f.TaskSubmitted, f.TaskSucceeded]


def test_an_answer_does_not_wait_long_for_a_submission(world: World) -> None:
    world.script.default = never
    run = world.start(single(CALLBACK))
    sent = world.engine.answer_task(token_of(world), TokenSuccess(output=1))
    world.drive()
    world.pass_time(HOLD_MS)

    assert sent.done()
    assert world.output(run) == 1


def test_the_tokens_of_branches_are_answered_one_by_one(world: World) -> None:
    branches = [{"StartAt": name, "States": {name: CALLBACK}} for name in "ABC"]
    run = world.start(single({"Type": "Parallel", "Branches": branches, "End": True}))
    for number in (2, 0, 1):
        world.engine.answer_task(token_of(world, number), TokenSuccess(output=number))
    world.drive()

    assert world.output(run) == [0, 1, 2]
    assert state_of(world, run) == ["closed"] * 3


def test_a_store_in_trouble_keeps_an_answer_until_it_can_be_committed(world: World) -> None:
    run = world.start(single(CALLBACK))
    sent = world.engine.answer_task(token_of(world), TokenSuccess(output=1))
    commit = world.store.commit

    def full(_unit: object) -> None:
        raise StoreUnavailable("full")

    world.store.commit = full  # type: ignore[method-assign, assignment]
    with pytest.raises(StoreUnavailable, match="full"):
        world.engine.step()
    before = sent.done()
    world.store.commit = commit  # type: ignore[method-assign]
    world.drive()

    assert not before
    assert sent.done()
    assert world.output(run) == 1
