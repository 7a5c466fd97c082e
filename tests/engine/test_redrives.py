"""Redrives: what ended without success goes on under its own name, from where it stood."""

import pytest

from etl_runner.engine.redrive import MOST, PERIOD_MS, NotRedrivable, redrive_status
from etl_runner.errors import NotFound
from etl_runner.machine import facts as f
from etl_runner.machine.state import Status
from etl_runner.store.reads import Reads
from tests.engine.harness import PASS, TASK, World, answer, chain, fail, never, single


def test_a_failed_execution_goes_on_at_the_state_that_failed(world: World) -> None:
    world.script.behaviours["B"] = fail("Broken")
    run = world.start(chain("A", "B", "C"))
    world.script.behaviours["B"] = answer("mended")
    world.manual.advance(1_000)
    asked = world.engine.redrive(run)
    world.drive()
    row = Reads(world.store).by_id(run)

    assert asked.result(0).count == 1
    assert world.output(run) == "mended"
    assert [each.state_name for each in world.script.invocations] == ["A", "B", "B", "C"]
    assert row is not None
    assert (row.status, row.redrive_count, row.redriven_ms) == ("SUCCEEDED", 1, world.clock.now_ms())
    assert (row.error, row.cause) == (None, None)


def test_its_row_says_that_it_runs_again(world: World) -> None:
    world.script.default = fail("Broken")
    run = world.start(single(TASK))
    world.script.default = never
    world.engine.redrive(run)
    world.drive()
    row = Reads(world.store).by_id(run)

    assert row is not None
    assert (row.status, row.stopped_ms, row.error, row.working) == ("RUNNING", None, None, True)
    assert world.row(run).redrive_count == 1


def test_a_redriven_execution_survives_a_restart(world: World) -> None:
    world.script.default = fail("Broken")
    run = world.start(single(TASK))
    world.script.default = never
    world.engine.redrive(run)
    world.drive()
    world.restart()
    world.drive()

    assert world.status(run) is Status.SUCCEEDED
    assert len(world.facts(run, f.ExecutionRedriven)) == 1


def test_it_may_be_redriven_again_and_counts(world: World) -> None:
    world.script.default = fail("Broken")
    run = world.start(single(TASK))
    counts = []
    for _ in range(3):
        asked = world.engine.redrive(run)
        world.drive()
        counts.append(asked.result(0).count)

    assert counts == [1, 2, 3]
    assert world.status(run) is Status.FAILED


@pytest.mark.parametrize("state", [PASS, TASK])
def test_what_runs_or_succeeded_cannot_be_redriven(world: World, state: dict[str, object]) -> None:
    world.script.default = never
    run = world.start(single(state))
    asked = world.engine.redrive(run)
    world.drive()
    status = world.status(run)

    with pytest.raises(NotRedrivable, match=f"^Execution is {status} and cannot be redriven$"):
        asked.result(0)
    assert world.facts(run, f.ExecutionRedriven) == []


def test_two_redrives_at_once_are_one(world: World) -> None:
    world.script.default = fail("Broken")
    run = world.start(single(TASK))
    world.script.default = never
    first, second = world.engine.redrive(run), world.engine.redrive(run)
    world.drive()

    assert first.result(0).count == 1
    with pytest.raises(NotRedrivable, match="RUNNING"):
        second.result(0)


def test_the_same_client_token_is_the_same_redrive(world: World) -> None:
    world.script.default = fail("Broken")
    run = world.start(single(TASK))
    first = world.engine.redrive(run, "token")
    world.drive()
    world.manual.advance(5_000)
    again, other = world.engine.redrive(run, "token"), world.engine.redrive(run, "other")
    world.drive()

    assert again.result(0) == first.result(0)
    assert other.result(0).count == 2


def test_the_same_redrive_asked_for_twice_at_once_is_one(world: World) -> None:
    world.script.default = fail("Broken")
    run = world.start(single(TASK))
    asked = [world.engine.redrive(run, "token") for _ in range(2)]
    world.drive()

    first, second = (each.result(0) for each in asked)
    assert first == second
    assert first.count == world.store.execution(run).redrive_count == 1  # type: ignore[union-attr]


def test_an_execution_that_never_was_cannot_be_redriven(world: World) -> None:
    asked = world.engine.redrive(4711)
    world.drive()

    with pytest.raises(NotFound):
        asked.result(0)


def test_someone_may_wait_for_the_end_after_a_redrive(world: World) -> None:
    world.script.default = fail("Broken")
    run = world.start(single(TASK))
    world.script.default = never
    world.engine.redrive(run)
    world.drive()
    end = world.engine.when_ended(run)
    before = end.done()
    world.script.succeed(world.script.invocations[-1])
    world.drive()

    assert not before
    assert end.result(0) is Status.SUCCEEDED


def test_when_an_execution_can_be_redriven() -> None:
    told = [
        redrive_status("FAILED", 0, 0, PERIOD_MS),
        redrive_status("FAILED", 0, 0, PERIOD_MS + 1),
        redrive_status("TIMED_OUT", 0, MOST, 0),
        redrive_status("ABORTED", 0, 0, 0, by_map_run=True),
        redrive_status("SUCCEEDED", 0, 0, 0),
    ]

    assert [status for status, _ in told] == [
        "REDRIVABLE",
        "NOT_REDRIVABLE",
        "NOT_REDRIVABLE",
        "REDRIVABLE_BY_MAP_RUN",
        "NOT_REDRIVABLE",
    ]
    assert told[0][1] is None
