"""Starting executions: acknowledged when committed, one per name, many in a turn."""

import threading
from concurrent.futures import Future

import pytest

from etl_runner.arn import state_machine_arn
from etl_runner.engine.knocks import ExecutionExists, LedgerEntry, Started
from etl_runner.errors import Conflict, NotFound, StoreUnavailable
from etl_runner.jsontypes import loads
from etl_runner.machine.state import Status
from etl_runner.store.reads import Reads
from tests.engine.harness import PASS, TASK, World, chain, never, single


def test_a_start_is_acknowledged_only_after_its_commit(world: World) -> None:
    seen: list[bool] = []
    commit = world.store.commit

    def watched(unit: object) -> None:
        seen.append(asked.done())
        commit(unit)  # type: ignore[arg-type]
        seen.append(asked.done())

    world.store.commit = watched  # type: ignore[method-assign]
    asked = world.ask(single(PASS))
    world.drive()

    assert seen == [False, False]
    assert asked.done()
    assert world.status(asked.result().execution_id) is Status.SUCCEEDED


def test_tasks_are_handed_out_only_after_the_commit(world: World) -> None:
    handed: list[int] = []
    commit = world.store.commit

    def watched(unit: object) -> None:
        handed.append(len(world.script.invocations))
        commit(unit)  # type: ignore[arg-type]
        handed.append(len(world.script.invocations))

    world.store.commit = watched  # type: ignore[method-assign]
    world.start(chain("A", "B"))

    assert handed == [0, 0, 1, 1, 2, 2]


def test_the_same_name_with_the_same_input_is_the_same_execution(world: World) -> None:
    machine = world.define(single(PASS))
    first = world.ask(machine, {"a": 1, "b": 2}, "one")
    world.drive()
    again = world.ask(machine, {"b": 2, "a": 1}, "one")
    world.drive()

    assert again.result(0).existed
    assert not first.result(0).existed
    assert (again.result().execution_id, again.result().started_ms) == (
        first.result().execution_id,
        first.result().started_ms,
    )
    assert len(world.rows()) == 1


def test_the_same_name_with_another_input_is_a_conflict(world: World) -> None:
    machine = world.define(single(PASS))
    world.start(machine, {"a": 1}, "one")
    again = world.ask(machine, {"a": 2}, "one")
    world.drive()

    with pytest.raises(Conflict, match="'one' of machine exists with another input"):
        again.result(0)


def test_as_aws_has_it_a_name_stands_for_its_execution_while_that_runs_with_the_same_input(
    world: World,
) -> None:
    world.script.default = never
    machine = world.define(single(TASK))

    def ask(given: object) -> Future[Started]:
        return world.engine.start(world.request(machine, given, "one", reuse="running"))

    first, again, other = ask({"a": 1}), ask({"a": 1}), ask({"a": 2})
    world.drive()
    later = ask({"a": 1})
    world.drive()
    world.script.succeed(world.script.invocations[0])
    world.drive()
    closed = ask({"a": 1})
    world.drive()

    assert [each.result(0).existed for each in (first, again, later)] == [False, True, True]
    for refused in (other, closed):
        with pytest.raises(ExecutionExists, match=f"^Execution Already Exists: '{first.result(0).arn}'$"):
            refused.result(0)


def test_the_same_origin_finds_its_execution_whatever_became_of_it(world: World) -> None:
    machine = world.define(single(PASS))

    def ask(origin: str, given: object) -> Future[Started]:
        return world.engine.start(world.request(machine, given, "one", origin=origin, reuse="origin"))

    first = ask("task:1", {"a": 1})
    world.drive()
    again, other = ask("task:1", {"a": "later"}), ask("task:2", {"a": 1})
    world.drive()

    assert again.result(0).arn == first.result(0).arn
    with pytest.raises(ExecutionExists):
        other.result(0)


def test_what_is_described_of_an_execution_stands_in_its_row(world: World) -> None:
    arn = state_machine_arn("machine")
    logging = {"level": "ALL", "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": "arn"}}]}
    told = {
        "state_machine_version_arn": f"{arn}:1",
        "state_machine_alias_arn": f"{arn}:live",
        "trace_header": "Root=1",
    }
    asked = world.engine.start(world.request(single(PASS), {"a": 1}, logging=logging, **told))
    plain = world.ask(single(PASS))
    world.drive()
    reads = Reads(world.store)
    row, other = (reads.by_id(each.result(0).execution_id) for each in (asked, plain))

    assert row is not None
    assert {name: getattr(row, name) for name in told} == told
    assert loads(world.row(row.id).logging or "") == logging
    assert other is not None
    assert (other.state_machine_version_arn, other.trace_header, other.redrive_count) == (None, None, 0)


def test_a_name_asked_for_twice_in_one_turn_is_one_execution(world: World) -> None:
    machine = world.define(single(PASS))
    asked = [world.ask(machine, {"a": 1}, "one"), world.ask(machine, {"a": 1}, "one")]
    other = world.ask(machine, {"a": 2}, "one")
    world.drive()

    assert [each.result(0).existed for each in asked] == [False, True]
    with pytest.raises(Conflict):
        other.result(0)
    assert world.engine.turns == 1


def test_two_machines_may_have_an_execution_of_the_same_name(world: World) -> None:
    first = world.start(world.define(single(PASS), "first"), name="one")
    second = world.start(world.define(single(PASS), "second"), name="one")

    assert first != second


def test_many_threads_that_start_one_name_start_one_execution(running: World) -> None:
    machine = running.define(single(PASS))
    answers: list[Future[Started]] = []
    gate = threading.Barrier(16)

    def ask() -> None:
        gate.wait()
        answers.append(running.ask(machine, {"a": 1}, "one"))

    threads = [threading.Thread(target=ask) for _ in range(16)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    started = [answer.result(10) for answer in answers]

    assert len({each.execution_id for each in started}) == 1
    assert sum(not each.existed for each in started) == 1
    assert running.engine.when_ended(started[0].execution_id).result(10) is Status.SUCCEEDED


def test_what_waits_together_is_committed_together(world: World) -> None:
    commits: list[object] = []
    commit = world.store.commit
    world.store.commit = lambda unit: (commits.append(unit), commit(unit))  # type: ignore[method-assign, func-returns-value, assignment]
    machine = world.define(chain("A", "B", "C"))
    for _ in range(100):
        world.ask(machine)
    world.drive()

    assert [row.status for row in world.rows()] == ["SUCCEEDED"] * 100
    assert len(commits) == 4


def test_a_caller_who_no_longer_waits_harms_nobody(world: World) -> None:
    machine = world.define(single(PASS))
    gone, other = world.ask(machine), world.ask(machine)
    gone.cancel()
    world.drive()

    assert other.done()
    assert [row.status for row in world.rows()] == ["SUCCEEDED", "SUCCEEDED"]


def test_an_input_that_json_cannot_say_is_refused_alone(world: World) -> None:
    machine = world.define(single(PASS))
    bad, good = world.ask(machine, {"a": object()}), world.ask(machine)
    world.drive()

    with pytest.raises(TypeError):
        bad.result(0)
    assert good.done()
    assert len(world.rows()) == 1


def test_ledger_rows_are_committed_with_the_execution_they_started(world: World) -> None:
    machine = world.define(single(PASS))
    tick = {"schedule": "nightly", "due_ms": 5, "recorded_ms": 7, "lateness_ms": 2}
    match = {"event_id": "e1", "rule": "r1", "recorded_ms": 7}
    asked = world.engine.start(world.request(machine, name="t", tick=tick))
    world.engine.start(world.request(machine, name="t", event_match=match))
    world.drive()
    arn = asked.result(0).arn

    assert world.sql("SELECT schedule, due_ms, outcome, execution_arn FROM tick") == [
        ("nightly", 5, "started", arn)
    ]
    assert world.sql("SELECT event_id, rule, outcome, execution_arn FROM event_match") == [
        ("e1", "r1", "exists", arn)
    ]


def test_a_second_row_for_one_tick_is_a_conflict_and_starts_nothing(world: World) -> None:
    machine = world.define(single(PASS))
    tick = {"schedule": "nightly", "due_ms": 5, "recorded_ms": 7, "lateness_ms": 2}
    world.engine.start(world.request(machine, name="first", tick=tick))
    again = world.engine.start(world.request(machine, name="second", tick=tick))
    other = world.ask(machine, name="third")
    world.drive()

    with pytest.raises(Conflict, match="tick"):
        again.result(0)
    assert other.done()
    assert {row.name for row in world.rows()} == {"first", "third"}


def test_ledger_rows_with_different_columns_keep_them_all(world: World) -> None:
    plain = {"schedule": "a", "due_ms": 1, "outcome": "missed", "recorded_ms": 2, "lateness_ms": 1}
    told = {**plain, "due_ms": 2, "reason": "the service did not run"}
    done = world.engine.record(LedgerEntry(ticks=(plain, told)))
    world.drive()

    assert done.result(0)
    assert world.sql("SELECT due_ms, reason FROM tick ORDER BY due_ms") == [
        (1, ""),
        (2, "the service did not run"),
    ]


def test_when_ended_answers_for_what_runs_has_ended_and_never_was(world: World) -> None:
    world.script.default = never
    runs = world.start(single(TASK))
    ended = world.start(single(PASS))
    future = world.engine.when_ended(runs)

    assert not future.done()
    assert world.engine.when_ended(ended).result(0) is Status.SUCCEEDED
    with pytest.raises(NotFound):
        world.engine.when_ended(12345)
    world.script.succeed(world.script.invocations[0])
    world.drive()
    assert future.result(0) is Status.SUCCEEDED


def test_after_close_every_door_refuses_at_once(running: World) -> None:
    machine = running.define(single(PASS))
    running.engine.close(0)

    with pytest.raises(StoreUnavailable, match="stopping"):
        running.ask(machine).result(0)
    with pytest.raises(StoreUnavailable, match="stopping"):
        running.engine.record(LedgerEntry()).result(0)
