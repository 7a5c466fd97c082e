"""Jobs of the `.sync` form: started once, whatever becomes of the process that started them."""

import pytest

from etl_runner.machine import facts as f
from etl_runner.machine.state import Status
from etl_runner.tasks.contract import Invocation, Outcome, Pending, Succeeded
from tests.engine.harness import Script, World, single

SUBMITTED = {"JobId": "job-1"}


def submits(invocation: Invocation) -> list[Outcome]:
    continues = not invocation.resource.endswith(".waitForTaskToken")
    return [Pending(token=invocation.token, output=SUBMITTED, continues=continues)]


def task(form: str, **more: object) -> dict[str, object]:
    resource = f"arn:aws:states:::batch:submitJob{form}"
    return single({"Type": "Task", "Resource": resource, "Parameters": {"n": 1}, "End": True, **more})


@pytest.mark.parametrize("form", [".sync", ".sync:2"])
def test_a_job_that_was_submitted_is_handed_out_again_with_its_first_response(
    world: World, form: str
) -> None:
    world.script.default = submits
    execution = world.start(task(form))
    world.until(lambda: bool(world.facts(execution, f.TaskSubmitted)))
    [first] = world.script.of("Only")
    world.restart(Script(lambda each: [Succeeded(token=each.token, output={"Status": "SUCCEEDED"})]))
    world.until_ended(execution)

    [again] = world.script.of("Only")
    assert (first.submitted, again.submitted) == (None, SUBMITTED)
    assert (again.idempotency_key, again.arguments) == (first.idempotency_key, {"n": 1})
    assert world.output(execution) == {"Status": "SUCCEEDED"}


def test_a_callback_that_was_submitted_is_handed_out_to_nobody(world: World) -> None:
    world.script.default = submits
    execution = world.start(task(".waitForTaskToken"))
    world.until(lambda: bool(world.facts(execution, f.TaskSubmitted)))
    world.restart(Script(submits))
    world.drive()

    assert world.script.of("Only") == []
    assert world.status(execution) is Status.RUNNING


def test_a_job_whose_state_ran_out_of_time_meanwhile_is_known_to_who_is_to_end_it(world: World) -> None:
    world.script.default = submits
    execution = world.start(task(".sync", TimeoutSeconds=5))
    world.until(lambda: bool(world.facts(execution, f.TaskSubmitted)))
    world.manual.advance(6_000)
    world.restart(Script(submits))
    world.until_ended(execution)

    [known] = world.script.of("Only")
    assert known.submitted == SUBMITTED
    assert world.error(execution)[0] == "States.Timeout"
    assert world.script.cancelled == [known.token]


def test_a_job_is_taken_back_when_its_state_times_out(world: World) -> None:
    world.script.default = submits
    execution = world.start(task(".sync", TimeoutSeconds=5))
    world.until(lambda: bool(world.script.of("Only")))
    world.pass_time(5_000)
    row = world.until_ended(execution)

    assert (row.status, world.error(execution)[0]) == (Status.FAILED, "States.Timeout")
    assert world.script.cancelled == [world.script.of("Only")[0].token]
