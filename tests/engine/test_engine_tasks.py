"""Tasks, timers, stops: what answers count, what time does, what a restart keeps."""

import json
from typing import Any

import pytest
from structlog.testing import capture_logs

from etl_runner.engine import dispatch, recovery, turn
from etl_runner.engine.timers import HORIZON_MS
from etl_runner.errors import StoreUnavailable
from etl_runner.machine import decide as machine_room
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.state import Status
from etl_runner.tasks.contract import Failed, Invocation, LogLine, Outcome, Pending, Progress, Sink, Succeeded
from tests.engine.harness import PASS, TASK, World, answer, chain, echo, fail, never, single, twice

RETRY: dict[str, Any] = {
    "ErrorEquals": ["States.ALL"],
    "IntervalSeconds": 2,
    "MaxAttempts": 2,
    "BackoffRate": 2,
}
WAIT: dict[str, Any] = {"Type": "Wait", "Seconds": 60, "End": True}
RECEIPT = {
    "Bucket": "b", "Key": "k", "VersionId": "v2", "ETag": "e", "Bytes": 3, "Sha256": "00",
    "ReplacedVersionId": "v1", "Unchanged": False,
}  # fmt: skip


def test_a_task_is_told_what_it_needs(world: World) -> None:
    definition = single({**TASK, "TimeoutSeconds": 9, "HeartbeatSeconds": 4, "Parameters": {"x.$": "$.a"}})
    run = world.start(definition, {"a": 5})
    (told,) = world.script.invocations

    assert (told.arguments, told.state_name, told.attempt) == ({"x": 5}, "Only", 1)
    assert told.execution_arn == world.row(run).arn
    assert (told.deadline_ms, told.heartbeat_ms) == (world.clock.now_ms() + 9_000, 4_000)
    assert world.output(run) == {"x": 5}


def test_an_outcome_for_a_closed_token_decides_nothing(world: World) -> None:
    world.script.behaviours["B"] = never
    run = world.start(chain("A", "B"))
    (first,) = world.script.of("A")
    before = len(world.facts(run))
    world.script.tell(
        Succeeded(token=first.token, output="again"),
        Failed(token=first.token, error="Late"),
        Pending(token=first.token),
    )
    world.drive()

    assert len(world.facts(run)) == before
    assert world.status(run) is Status.RUNNING


def test_an_outcome_for_what_never_was_decides_nothing(world: World) -> None:
    run = world.start(chain("A"))
    world.script.tell(Succeeded(token="999:1", output=1), Succeeded(token=f"{run}:77", output=1))
    world.drive()

    assert world.output(run) == {}


def test_a_doubled_outcome_counts_once(world: World) -> None:
    world.script.default = twice
    run = world.start(chain("A", "B", "C"), {"n": 1})

    assert [each.state_name for each in world.script.invocations] == ["A", "B", "C"]
    assert world.output(run) == {"n": 1}


def test_the_first_of_two_different_outcomes_counts(world: World) -> None:
    def both(invocation: Invocation) -> list[Outcome]:
        return [*answer("first")(invocation), *fail("Second")(invocation)]

    world.script.default = both

    assert world.output(world.start(chain("A"))) == "first"


def test_outcomes_of_one_execution_are_taken_in_their_order(world: World) -> None:
    world.script.default = never
    branches = [{"StartAt": f"T{n}", "States": {f"T{n}": TASK}} for n in range(5)]
    run = world.start(single({"Type": "Parallel", "Branches": branches, "End": True}))
    for told in reversed(world.script.invocations):
        world.script.succeed(told, told.state_name)
    world.drive()

    assert [fact.output for fact in world.facts(run, f.TaskSucceeded)] == ["T4", "T3", "T2", "T1", "T0"]
    assert world.output(run) == ["T0", "T1", "T2", "T3", "T4"]


def test_a_retry_waits_for_its_timer(world: World) -> None:
    world.script.default = fail("Flaky")
    run = world.start(single({**TASK, "Retry": [RETRY]}))
    attempts = [len(world.script.invocations)]
    for ms in (1_999, 1, 3_999, 1):
        world.pass_time(ms)
        attempts.append(len(world.script.invocations))

    assert attempts == [1, 1, 2, 2, 3]
    assert [each.attempt for each in world.script.invocations] == [1, 2, 3]
    assert len({each.idempotency_key for each in world.script.invocations}) == 3
    assert world.error(run) == ("Flaky", "")


def test_a_task_that_misses_its_deadline_is_taken_back(world: World) -> None:
    world.script.default = never
    run = world.start(single({**TASK, "TimeoutSeconds": 5}))
    (told,) = world.script.invocations
    world.pass_time(4_999)
    before = world.status(run)
    world.pass_time(1)
    world.script.succeed(told, "late")
    world.drive()

    assert before is Status.RUNNING
    assert world.error(run)[0] == "States.Timeout"
    assert world.script.cancelled == [told.token]


def test_a_silent_task_loses_its_heartbeat_and_a_beating_one_does_not(world: World) -> None:
    clock = [0.0]
    world.engine._dispatcher._monotonic = lambda: clock[0]
    world.script.default = never
    machine = world.define(single({**TASK, "HeartbeatSeconds": 10}))
    silent, beating, telling = (world.start(machine) for _ in range(3))
    tokens = [each.token for each in world.script.invocations]
    clock[0] = 9.0
    world.script.sink.heartbeat(tokens[1])
    world.script.sink.progress(
        Progress(token=tokens[2], execution_arn=world.row(telling).arn, state_name="Only", done=1, total=2)
    )
    clock[0] = 10.5
    world.drive()

    assert world.error(silent)[0] == "States.Timeout"
    assert [fact.heartbeat for fact in world.facts(silent, f.TaskTimedOut)] == [True]
    assert [world.status(beating), world.status(telling)] == [Status.RUNNING, Status.RUNNING]
    assert world.script.cancelled == tokens[:1]


def test_progress_is_shown_while_the_task_is_open_and_forgotten_after(world: World) -> None:
    world.script.default = never
    run = world.start(single(TASK))
    (told,) = world.script.invocations
    arn = world.row(run).arn
    progress = Progress(token=told.token, execution_arn=arn, state_name="Only", done=3, total=4, note="rows")
    world.script.sink.progress(progress)
    world.script.sink.log(
        LogLine(token=told.token, execution_arn=arn, state_name="Only", stream="log", text="x")
    )
    shown = world.engine.progress_of(arn)
    world.script.succeed(told)
    world.script.sink.progress(progress)
    world.drive()

    assert shown == [progress]
    assert world.engine.progress_of(arn) == []
    assert not world.engine._dispatcher._progress


def test_an_execution_that_is_stopped_ends_and_its_tasks_are_taken_back(world: World) -> None:
    world.script.default = never
    run = world.start(chain("A", "B"))
    (told,) = world.script.invocations
    stopped = world.engine.stop(run, error="Enough", cause="says the test")
    world.drive()
    again = world.engine.stop(run)
    world.script.succeed(told)
    world.drive()

    assert stopped.result(0) is True
    assert again.result(0) is False
    assert world.status(run) is Status.ABORTED
    assert world.script.cancelled == [told.token]
    assert [(fact.error, fact.cause) for fact in world.facts(run, f.ExecutionAborted)] == [
        ("Enough", "says the test")
    ]
    assert world.sql("SELECT error, cause, working, wake_at_ms FROM execution") == [
        ("Enough", "says the test", 0, None)
    ]


def test_the_whole_execution_times_out(world: World) -> None:
    world.script.default = never
    run = world.start({**chain("A"), "TimeoutSeconds": 30})
    world.pass_time(29_999)
    before = world.status(run)
    world.pass_time(1)

    assert before is Status.RUNNING
    assert world.status(run) is Status.TIMED_OUT
    assert world.script.cancelled == [world.script.invocations[0].token]


def test_timers_beyond_the_horizon_are_found_when_their_time_comes(world: World) -> None:
    far = {"Type": "Wait", "Seconds": 86_400, "End": True}
    near = {"Type": "Wait", "Seconds": 1, "End": True}
    days = [world.start(single(far)) for _ in range(3)]
    second = world.start(single(near))
    held = len(world.engine._timers._heap)
    world.pass_time(1_000)
    after_second = world.status(second)
    for _ in range(24):
        world.pass_time(3_600_000 - 42)

    assert held == 1
    assert after_second is Status.SUCCEEDED
    assert {world.status(each) for each in days} == {Status.RUNNING}
    world.pass_time(24 * 42 - 1_000)
    assert {world.status(each) for each in days} == {Status.SUCCEEDED}


def test_a_timer_that_moves_beyond_the_horizon_does_not_wake_early(world: World) -> None:
    states = {"Only": {**TASK, "Next": "Far", "TimeoutSeconds": 2}, "Far": WAIT}
    states["Only"].pop("End")
    world.script.default = never
    run = world.start({"StartAt": "Only", "States": states})
    world.script.succeed(world.script.invocations[0])
    world.drive()

    assert world.engine._timers._wake == {}
    world.pass_time(60_000)
    assert world.status(run) is Status.SUCCEEDED


def test_more_timers_at_one_moment_than_are_read_at_once_all_fire(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl_runner.engine.timers.BATCH", 3)
    runs = [world.start(single(WAIT)) for _ in range(10)]
    world.pass_time(60_000 - HORIZON_MS)
    world.pass_time(HORIZON_MS)
    for _ in range(3):
        world.drive()

    assert {world.status(each) for each in runs} == {Status.SUCCEEDED}


def test_a_wait_survives_a_restart(world: World) -> None:
    run = world.start(single(WAIT))
    world.manual.advance(59_999)
    world.restart()
    world.drive()
    before = world.status(run)
    world.pass_time(1)

    assert before is Status.RUNNING
    assert world.status(run) is Status.SUCCEEDED


def test_a_wait_that_came_due_while_nothing_ran_fires_after_the_restart(world: World) -> None:
    run = world.start(single(WAIT))
    world.crash()
    world.manual.advance(10_000_000)
    world.begin()
    world.drive()

    assert world.status(run) is Status.SUCCEEDED


def test_an_execution_that_only_waits_is_not_loaded_by_recovery(world: World) -> None:
    world.start(single(WAIT))
    world.restart()

    assert len(world.engine._cache) == 0
    world.drive()
    assert len(world.engine._cache) == 0


def test_open_tasks_are_handed_out_again_with_the_same_key(world: World) -> None:
    world.script.default = never
    machine = world.define(chain("A", "B"))
    runs = [world.start(machine, {"n": n}) for n in range(3)]
    before = [(each.token, each.idempotency_key, each.arguments) for each in world.script.invocations]
    world.restart()
    after = [(each.token, each.idempotency_key, each.arguments) for each in world.script.invocations]
    world.drive()

    assert after == before
    assert len({key for _, key, _ in before}) == 3
    assert [world.output(run) for run in runs] == [{"n": 0}, {"n": 1}, {"n": 2}]


def test_the_log_names_the_executions_whose_tasks_are_handed_out_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(recovery, "MOST_NAMED", 2)
    world.script.default = never
    machine = world.define(single(TASK))
    runs = [world.start(machine) for _ in range(3)]
    with capture_logs() as logs:
        world.restart()

    (told,) = [each for each in logs if each["event"] == "handed out again what was open"]
    assert (told["tasks"], told["and_more"]) == (3, 1)
    assert set(told["executions"]) < {world.row(run).arn for run in runs}


def test_what_has_ended_is_not_handed_out_again(world: World) -> None:
    world.script.behaviours["C"] = never
    world.start(chain("A", "B", "C"))
    world.restart()

    assert [each.state_name for each in world.script.invocations] == ["C"]


def test_a_task_whose_time_ran_out_meanwhile_is_not_begun_again(world: World) -> None:
    world.script.default = never
    run = world.start(single({**TASK, "TimeoutSeconds": 5}))
    world.crash()
    world.script = type(world.script)()
    world.manual.advance(6_000)
    world.begin()
    world.drive()

    assert world.script.invocations == []
    assert world.error(run)[0] == "States.Timeout"


def test_a_task_handed_on_to_someone_else_is_not_handed_out_again(world: World) -> None:
    world.script.default = lambda told: [Pending(token=told.token, output={"id": 7})]
    run = world.start(single(TASK))
    (told,) = world.script.invocations
    world.restart()
    handed_again = list(world.script.invocations)
    world.engine._dispatcher.outcome(Succeeded(token=told.token, output="from outside"))
    world.drive()

    assert handed_again == []
    assert world.output(run) == "from outside"


def test_a_running_execution_keeps_the_definition_it_began_with(world: World) -> None:
    world.script.behaviours["A"] = never
    run = world.start(world.define(chain("A", "B")))
    world.define(chain("A", "Other"))
    world.restart()
    world.drive()

    assert [each.state_name for each in world.script.invocations] == ["A", "B"]
    assert world.status(run) is Status.SUCCEEDED


def test_draining_parks_what_does_not_finish_and_loses_nothing(running: World) -> None:
    script = running.script
    script.default = never
    machine = running.define(chain("A", "B"))
    fast, slow = (running.ask(machine).result(10).execution_id for _ in range(2))
    script.at_close = lambda: script.succeed(script.invocations[0], "done in the grace time")
    running.engine.close(1)
    running.store.close()
    handed = [each.state_name for each in script.invocations]
    running.script = type(script)(never)
    running.begin()
    again = [(each.execution_arn, each.state_name) for each in running.script.invocations]

    assert handed == ["A", "A"]
    assert again == [(running.row(fast).arn, "B"), (running.row(slow).arn, "A")]


def test_receipts_are_recorded_once_with_the_end_of_their_task(world: World) -> None:
    world.script.default = never
    run = world.start(chain("A", "B"))
    first = world.script.of("A")[0]
    world.script.succeed(first, written=(RECEIPT, {**RECEIPT, "Key": "k2", "Unchanged": True}))
    world.script.succeed(first, written=({**RECEIPT, "Key": "late"},))
    world.drive()
    world.script.tell(
        Failed(token=world.script.of("B")[0].token, error="E", written=({**RECEIPT, "Key": "k3"},))
    )
    world.drive()

    assert world.sql(
        "SELECT execution_id, state, key, version_id, replaced_version_id, bytes, unchanged"
        " FROM written_object ORDER BY token, position"
    ) == [
        (run, "A", "k", "v2", "v1", 3, 0),
        (run, "A", "k2", "v2", "v1", 3, 1),
        (run, "B", "k3", "v2", "v1", 3, 0),
    ]


def test_an_invoker_that_raises_fails_that_task_only(world: World) -> None:
    def broken(invocation: Invocation) -> list[Outcome]:
        raise RuntimeError("no such thing")

    world.script.behaviours["A"] = broken
    bad, good = world.start(chain("A")), world.start(chain("B"))

    assert world.error(bad) == ("States.Runtime", "the task was not started: no such thing")
    assert world.status(good) is Status.SUCCEEDED


def test_a_fault_of_ours_ends_only_its_execution(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    decide = machine_room.decide

    def faulty(definition: Any, machine: Any, stimulus: s.Stimulus, *more: Any) -> list[f.Fact]:
        if isinstance(stimulus, s.TaskSuccess) and stimulus.output == "poison":
            machine.frames.clear()
            raise ZeroDivisionError("inside")
        return decide(definition, machine, stimulus, *more)

    monkeypatch.setattr(turn, "decide", faulty)
    world.script.default = never
    machine = world.define(chain("A", "B"))
    bad, good = world.start(machine), world.start(machine)
    world.script.succeed(world.script.invocations[0], "poison")
    world.script.succeed(world.script.invocations[1], "sound")
    world.drive()

    assert world.error(bad)[0] == "States.Runtime"
    assert "ZeroDivisionError: inside" in str(world.error(bad)[1])
    assert world.status(good) is Status.RUNNING
    assert [each.state_name for each in world.script.invocations] == ["A", "A", "B"]


def test_a_fault_in_the_middle_of_a_turn_keeps_what_came_before(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide = machine_room.decide

    def faulty(definition: Any, machine: Any, stimulus: s.Stimulus, *more: Any) -> list[f.Fact]:
        if isinstance(stimulus, s.TaskSuccess) and stimulus.output == "poison":
            raise ZeroDivisionError
        return decide(definition, machine, stimulus, *more)

    monkeypatch.setattr(turn, "decide", faulty)
    world.script.default = never
    branches = [{"StartAt": name, "States": {name: TASK}} for name in ("L", "R")]
    run = world.start(single({"Type": "Parallel", "Branches": branches, "End": True}))
    left, right = world.script.invocations
    world.script.succeed(left, "sound")
    world.script.succeed(right, "poison")
    world.drive()

    assert [fact.output for fact in world.facts(run, f.TaskSucceeded)] == ["sound"]
    assert world.status(run) is Status.FAILED


def test_a_machine_that_broke_down_is_not_used_again_though_it_cannot_be_loaded_at_once(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    decide, pages = machine_room.decide, world.store.pages
    faults = [0]

    def faulty(definition: Any, machine: Any, stimulus: s.Stimulus, *more: Any) -> list[f.Fact]:
        if isinstance(stimulus, s.TaskSuccess) and not faults[0]:
            faults[0] += 1
            machine.frames.clear()
            raise ZeroDivisionError
        return decide(definition, machine, stimulus, *more)

    def unreadable(_execution_id: int) -> Any:
        world.store.pages = pages  # type: ignore[method-assign]
        raise StoreUnavailable("for a moment")

    monkeypatch.setattr(turn, "decide", faulty)
    world.script.default = never
    run = world.start(chain("A"))
    world.store.pages = unreadable  # type: ignore[method-assign, assignment]
    world.script.succeed(world.script.invocations[0], "sound")
    with pytest.raises(StoreUnavailable):
        world.engine.step()
    world.drive()

    assert world.output(run) == "sound"


def test_an_answer_that_cannot_be_written_ends_its_execution_instead_of_hanging_it(world: World) -> None:
    world.script.behaviours["A"] = fail("E", cause="\ud800")
    world.script.behaviours["B"] = answer({"at": {1, 2}.__iter__})
    bad, worse, good = world.start(chain("A")), world.start(chain("B")), world.start(chain("C"))

    assert world.status(bad) is Status.FAILED
    assert world.status(worse) is Status.FAILED
    assert world.status(good) is Status.SUCCEEDED


def test_a_malformed_receipt_ends_its_execution_with_the_reason(world: World) -> None:
    world.script.default = never
    run = world.start(chain("A"))
    world.script.succeed(world.script.invocations[0], written=({"Key": "no bucket"},))
    world.drive()

    assert "Bucket" in str(world.error(run)[1])


def test_a_damaged_history_stops_neither_recovery_nor_the_others(world: World) -> None:
    world.script.default = never
    machine = world.define(chain("A"))
    bad, newer, good = world.start(machine), world.start(machine), world.start(machine)
    world.crash()
    world.damaged = True
    world.sql("UPDATE fact_page SET data = x'00' WHERE execution_id = ?", bad)
    world.sql("UPDATE fact_page SET format = 99 WHERE execution_id = ?", newer)
    world.script = type(world.script)()
    world.begin()
    stopped = world.engine.stop(bad)
    world.drive()

    assert stopped.result(0) is False
    assert [world.status(each) for each in (bad, newer)] == [Status.RUNNING, Status.RUNNING]
    assert world.output(good) == {}


def test_keys_tell_attempts_apart_and_repeat_for_the_same_one() -> None:
    keys = {dispatch.idempotency_key(arn, token) for arn in ("a", "b") for token in (1, 2)}

    assert len(keys) == 4
    assert dispatch.idempotency_key("a", 1) in keys


def test_a_sink_may_be_told_from_within_start(world: World) -> None:
    """An invoker that answers before it returns must not deadlock or recurse: a thousand states do it."""
    names = [f"S{n}" for n in range(1_000)]
    world.script.default = echo
    run = world.start(chain(*names), {"n": 1})

    assert world.output(run) == {"n": 1}


def test_a_chain_of_passes_is_one_commit(world: World) -> None:
    states: dict[str, Any] = {f"P{n}": {"Type": "Pass", "Next": f"P{n + 1}"} for n in range(50)}
    world.start({"StartAt": "P0", "States": {**states, "P50": PASS}})

    assert world.engine.turns == 1
    assert json.dumps(world.engine.transitions) == "51"


def sink_is_complete(dispatcher: dispatch.Dispatcher) -> Sink:
    """The type checker holds the dispatcher to what invokers ask of a Sink."""
    return dispatcher
