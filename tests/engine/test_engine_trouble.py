"""A store that cannot be written for a while, and one that someone else writes too."""

import json
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from etl_runner.clock import SystemClock
from etl_runner.engine.knocks import LedgerEntry
from etl_runner.errors import Conflict, StoreUnavailable
from etl_runner.machine import facts as f
from etl_runner.machine.codec import FORMAT, encode_page
from etl_runner.machine.state import Status
from etl_runner.store import database
from tests.engine.harness import PASS, TASK, World, chain, distributed, never, single


@contextmanager
def full_disk(world: World) -> Iterator[None]:
    """No page can be added to the file."""
    (pages,) = world.sql("PRAGMA page_count")[0]
    limits = [pages]

    def limit(connection: Any) -> None:
        connection.connection.dbapi_connection.execute(f"PRAGMA max_page_count={limits[0]}")

    event.listen(world.store.engine, "begin", limit)
    yield
    limits[0] = 1 << 30
    world.store._drop_writer()


@contextmanager
def read_only(world: World) -> Iterator[None]:
    def forbid(connection: Any, *_more: Any) -> None:
        connection.connection.dbapi_connection.execute(f"PRAGMA query_only={state[0]}")

    state = ["ON"]
    event.listen(world.store.engine, "begin", forbid)
    yield
    state[0] = "OFF"


@contextmanager
def locked(world: World) -> Iterator[None]:
    """Another process is in the middle of a long transaction."""
    other = sqlite3.connect(world.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


TROUBLES = {"full": full_disk, "read-only": read_only, "another process": locked}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """A lock held by another process is waited for not five seconds but a blink."""
    monkeypatch.setattr(database, "BUSY_TIMEOUT_MS", 20)


@pytest.mark.parametrize("trouble", TROUBLES)
def test_work_waits_while_nothing_can_be_committed_and_goes_on_after(
    trouble: str, impatient: None, tmp_path: Path
) -> None:
    world = World(tmp_path)
    world.script.default = never
    machine = world.define(chain("A", "B"))
    runs = [world.start(machine, {"n": n}) for n in range(3)]
    big = {"pad": "x" * 100_000}
    with TROUBLES[trouble](world):
        asked = [world.ask(machine, big, f"late-{n}") for n in range(2)]
        for told in world.script.of("A"):
            world.script.succeed(told, {"from": told.arguments["n"], **big})
        for _ in range(5):
            with pytest.raises(StoreUnavailable, match=trouble.replace("full", "disk is full")):
                world.engine.step()
        in_trouble = ([each.done() for each in asked], len(world.script.of("B")), len(world.rows()))
    world.drive()

    assert in_trouble == ([False, False], 0, 3)
    assert all(not each.result(0).existed for each in asked)
    assert [each.arguments["from"] for each in world.script.of("B")] == [0, 1, 2]
    assert [len(world.facts(run, f.TaskSucceeded)) for run in runs] == [1, 1, 1]
    assert len(world.script.of("A")) == 5
    world.end()


def test_the_thread_says_what_the_trouble_is_and_goes_on_by_itself(impatient: None, tmp_path: Path) -> None:
    world = World(tmp_path, clock=SystemClock())
    machine = world.define(single(PASS))
    world.engine._thread.start()
    told: list[str | None] = []
    backoff = world.engine._stopping.wait

    def wait(timeout: float | None = None) -> bool:
        told.append(world.engine.trouble)
        if len(told) == 3:
            other.execute("ROLLBACK")
        return backoff(0)

    world.engine._stopping.wait = wait  # type: ignore[method-assign]
    other = sqlite3.connect(world.path, isolation_level=None, check_same_thread=False)
    other.execute("BEGIN IMMEDIATE")
    started = world.ask(machine).result(10)
    ended = world.engine.when_ended(started.execution_id).result(10)
    world.engine.close(0)
    other.close()

    assert ended is Status.SUCCEEDED
    assert "another process holds it" in str(told[0])
    assert world.engine.trouble is None
    world.end()


def test_closing_in_trouble_refuses_what_was_not_committed(impatient: None, tmp_path: Path) -> None:
    world = World(tmp_path, clock=SystemClock())
    machine = world.define(single(PASS))
    other = sqlite3.connect(world.path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    asked = world.ask(machine)
    noticed = threading.Event()
    say = world.engine._in_trouble
    world.engine._in_trouble = lambda error: (say(error), noticed.set())  # type: ignore[method-assign, assignment, func-returns-value]
    world.engine._thread.start()
    assert noticed.wait(10)
    world.engine.close(0)
    other.execute("ROLLBACK")
    other.close()

    with pytest.raises(StoreUnavailable, match="stopping"):
        asked.result(0)
    assert world.rows() == []
    world.end()


def test_due_timers_do_not_pile_up_while_in_trouble(impatient: None, tmp_path: Path) -> None:
    world = World(tmp_path)
    wait = {"Type": "Wait", "Seconds": 60, "End": True}
    runs = [world.start(single(wait)) for _ in range(3)]
    world.manual.advance(60_000)
    with locked(world):
        for _ in range(4):
            with pytest.raises(StoreUnavailable):
                world.engine.step()
        waiting = len(world.engine._waiting)
    world.drive()

    assert waiting == 3
    assert [len(world.facts(run, f.TimerFired)) for run in runs] == [1, 1, 1]
    world.end()


def test_a_store_that_fails_half_way_through_single_items_sees_none_of_them_twice(
    impatient: None, tmp_path: Path
) -> None:
    """A conflict makes the turn be taken item by item; the third of them finds the store locked."""
    world = World(tmp_path)
    machine = world.define(single(PASS))
    tick = {"schedule": "s", "due_ms": 1, "recorded_ms": 1, "lateness_ms": 0, "outcome": "missed"}
    world.engine.record(LedgerEntry(ticks=(tick,)))
    world.drive()
    commits = [0]
    commit = world.store.commit

    def failing(unit: Any) -> None:
        commits[0] += 1
        if commits[0] == 3:
            raise StoreUnavailable("for a moment")
        commit(unit)

    world.store.commit = failing  # type: ignore[method-assign]
    first = world.ask(machine, name="first")
    spoiler = world.engine.record(LedgerEntry(ticks=(tick,)))
    last = world.ask(machine, name="last")
    with pytest.raises(StoreUnavailable):
        world.engine.step()
    before = (first.done(), spoiler.done(), last.done())
    world.drive()

    assert before == (True, False, False)
    assert not first.result(0).existed
    assert not last.result(0).existed
    with pytest.raises(Conflict):
        spoiler.result(0)
    world.end()


def test_an_execution_that_another_process_went_on_with_is_loaded_again(world: World) -> None:
    world.script.default = never
    machine = world.define(chain("A", "B"))
    taken, other = world.start(machine), world.start(machine)
    first, second = world.script.invocations
    token = int(first.token.partition(":")[2])
    theirs: list[f.Fact] = [
        f.TaskSucceeded(token=token, output="theirs"),
        f.StateExited(frame=0, output="theirs"),
        f.StateEntered(frame=0, state="B"),
        f.TaskScheduled(frame=0, token=token + 1, arguments="theirs"),
    ]
    world.sql(
        "INSERT INTO fact_page (execution_id, seq, at_ms, format, data) VALUES (?, ?, ?, ?, ?)",
        taken,
        len(world.facts(taken)),
        world.clock.now_ms(),
        FORMAT,
        encode_page(theirs),
    )
    world.script.succeed(first, "ours")
    world.script.succeed(second, "untouched")
    world.drive()

    assert [fact.output for fact in world.facts(taken, f.TaskSucceeded)] == ["theirs"]
    assert [each.arguments for each in world.script.of("B")] == ["untouched"]
    assert world.status(other) is Status.RUNNING


def test_a_row_that_cannot_be_bound_is_its_makers_fault_and_stops_nobody(world: World) -> None:
    bad = world.engine.record(LedgerEntry(ticks=({"schedule": {}, "due_ms": 1},)))
    good = world.ask(single(PASS))
    world.drive()

    assert bad.exception(0) is not None
    assert good.done()
    assert world.engine.trouble is None


def test_a_failed_refill_neither_skips_nor_doubles_an_item(world: World) -> None:
    """The third commit that makes children fails after they were decided."""
    commit = world.store.commit
    failures = [0]

    def failing(unit: Any) -> None:
        if any(row["map_run_id"] for row in unit.executions):
            failures[0] += 1
            if failures[0] in {1, 3}:
                raise StoreUnavailable("for a moment")
        commit(unit)

    world.store.commit = failing  # type: ignore[method-assign]
    asked = world.ask(distributed(MaxConcurrency=7), {"items": list(range(40))})

    def on() -> bool:
        return asked.done() and world.status(asked.result().execution_id) is not Status.RUNNING

    for _ in range(400):
        try:
            world.engine.step(0.02)
        except StoreUnavailable:
            continue
        if on():
            break
    run = asked.result(0).execution_id

    assert failures[0] > 3
    assert world.output(run) == list(range(40))
    assert [row.item_index for row in world.children()] == list(range(40))
    assert len(world.script.of("Item")) == 40


def test_a_conflict_of_one_request_does_not_disturb_a_map_run(world: World) -> None:
    world.script.default = never
    asked = world.ask(distributed(MaxConcurrency=3), {"items": [1, 2, 3, 4, 5]})
    world.until(lambda: len(world.script.invocations) == 3)
    tick = {"schedule": "s", "due_ms": 1, "recorded_ms": 1, "lateness_ms": 0, "outcome": "missed"}
    world.engine.record(LedgerEntry(ticks=(tick, tick)))
    for told in list(world.script.invocations):
        world.script.succeed(told, told.arguments)
    world.until(lambda: len(world.script.invocations) == 5)
    for told in world.script.invocations[3:]:
        world.script.succeed(told, told.arguments)
    run = asked.result(0).execution_id
    world.until_ended(run)

    assert json.dumps(world.output(run)) == "[1, 2, 3, 4, 5]"
    assert len({each.token for each in world.script.invocations}) == 5


def test_a_parent_stopped_right_after_a_failed_commit_takes_its_children_along(world: World) -> None:
    world.script.default = never
    asked = world.ask(distributed(MaxConcurrency=2), {"items": [1, 2, 3]})
    world.until(lambda: len(world.script.invocations) == 2)
    run = asked.result(0).execution_id
    commit = world.store.commit

    def once(unit: Any) -> None:
        world.store.commit = commit  # type: ignore[method-assign]
        raise StoreUnavailable("for a moment")

    world.store.commit = once  # type: ignore[method-assign]
    world.engine.stop(run)
    with pytest.raises(StoreUnavailable):
        world.engine.step()
    world.until(lambda: all(row.status == "ABORTED" for row in world.rows()))

    assert [row.status for row in world.rows()] == ["ABORTED"] * 3
    assert world.sql("SELECT status FROM map_run") == [("ABORTED",)]
    assert len(world.script.cancelled) == 2


def test_task_is_never_handed_out_for_a_turn_that_was_not_committed(world: World) -> None:
    def refused(unit: Any) -> None:
        raise StoreUnavailable("no")

    world.store.commit = refused  # type: ignore[method-assign]
    world.ask(single(TASK))
    for _ in range(3):
        with pytest.raises(StoreUnavailable):
            world.engine.step()

    assert world.script.invocations == []
