"""Executions that wait for nothing: they get their turn like all others, and no more."""

from typing import Any

import pytest

from etl_runner.engine import patience
from etl_runner.machine import facts as f
from etl_runner.machine.state import Status
from tests.engine.harness import PASS, World, single

ENDLESS: dict[str, Any] = {
    "StartAt": "Round",
    "States": {
        "Round": {"Type": "Pass", "Next": "Again"},
        "Again": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.enough", "IsPresent": True, "Next": "Done"}],
            "Default": "Round",
        },
        "Done": {"Type": "Succeed"},
    },
}


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "DECISION_S", 0.005)


@pytest.mark.usefixtures("impatient")
def test_an_express_execution_in_an_endless_loop_keeps_nobody_waiting(world: World) -> None:
    looping = world.engine.start_sync(world.request(ENDLESS, express=True, sync=True))
    world.engine.step()
    other = world.ask(single(PASS))
    world.engine.step()

    assert world.store.execution(other.result(0).execution_id).status == Status.SUCCEEDED  # type: ignore[union-attr]
    assert not looping.done()

    world.manual.advance(300_000)
    world.engine.step()

    assert looping.result(0).status is Status.TIMED_OUT


@pytest.mark.usefixtures("impatient")
def test_a_loop_that_paused_goes_on_after_a_crash_where_it_stood(world: World) -> None:
    asked = world.ask(ENDLESS)
    world.engine.step()
    run = asked.result(0).execution_id
    before = len(world.facts(run))
    assert isinstance(world.facts(run)[-1], f.Paused)

    world.restart()
    world.engine.step()
    after = world.facts(run)

    assert isinstance(after[before], f.TimerFired)
    assert len(after) > before + 2


@pytest.mark.usefixtures("impatient")
def test_a_loop_that_pauses_ends_with_the_last_event_that_a_history_may_have(world: World) -> None:
    asked = world.ask(ENDLESS)
    run = 0
    while not run or world.store.execution(run).status == Status.RUNNING:  # type: ignore[union-attr]
        world.engine.step()
        run = asked.result(0).execution_id

    assert len(world.facts(run, f.Paused)) > 0
    assert world.facts(run, f.ExecutionFailed)[0].cause == (
        "The execution reached the maximum number of history events (25000)."
    )


@pytest.mark.usefixtures("impatient")
def test_a_loop_that_paused_can_be_stopped_and_redriven(world: World) -> None:
    asked = world.ask(ENDLESS)
    world.engine.step()
    run = asked.result(0).execution_id
    stopped, redriven = world.engine.stop(run), world.engine.redrive(run)
    world.engine.step()
    assert stopped.result(0)

    redriven = world.engine.redrive(run)
    world.engine.step()

    assert redriven.result(0).count == 1
    assert world.store.execution(run).status == Status.RUNNING  # type: ignore[union-attr]
