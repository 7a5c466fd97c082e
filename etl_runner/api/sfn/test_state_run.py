"""Running a state under test: entered with what was asked for, its task answered by the mock or for real."""

import asyncio
import random
import uuid
from concurrent.futures import Future
from typing import Final

from etl_runner.api.sfn.call import Call, Reply
from etl_runner.api.sfn.definitions import tasks_of
from etl_runner.api.sfn.diagnostics import faults_of_resources, invalid_definition
from etl_runner.api.sfn.errors import validation_error
from etl_runner.api.sfn.test_state_context import context_maker
from etl_runner.api.sfn.test_state_request import Asked
from etl_runner.api.sfn.waiting import unless_left
from etl_runner.asl import model
from etl_runner.jsontypes import Json
from etl_runner.machine.map_plan import MapItem, item_context
from etl_runner.offline.one_state import OneState, Surroundings
from etl_runner.tasks.contract import Failed, Invocation, LogLine, Outcome, Progress, Succeeded

LIMIT_S: Final = 300
"""How long a state under test may run (API reference, TestState)."""

THRESHOLD: Final = "States.ExceedToleratedFailureThreshold"
_EXCEEDED: Final = "The specified tolerated failure threshold was exceeded"
TIMEOUT: Final = "States.Timeout"


def begin(asked: Asked, call: Call, rng: random.Random) -> OneState:
    """Enter the state, in an execution of no machine.

    Raises AwsError InvalidDefinition for work that nobody here can do.
    """
    if asked.mock is None:
        own = [task for task in tasks_of(asked.machine) if task[1].endswith(f"/{asked.name}")]
        faults = faults_of_resources(own, call.rooms.router.invokable)
        if faults:
            raise invalid_definition(asked.definition, faults)
    machine_name, name = str(uuid.uuid4()), str(uuid.uuid4())
    prefix = f"arn:aws:states:{call.region}:{call.account}"
    around = Surroundings(
        execution_arn=f"{prefix}:express:{machine_name}:{name}",
        name=name,
        state_machine_arn=f"{prefix}:stateMachine:{machine_name}",
        state_machine_name=machine_name,
        role_arn=asked.role_arn,
        variables=asked.variables,
        context=context_maker(
            asked.context,
            item=_first_item(asked),
            role_arn=asked.role_arn,
            retried=asked.retried,
        ),
        reader_data=asked.reader_data,
    )
    return OneState(
        asked.machine,
        asked.name,
        asked.given,
        around,
        now_ms=call.now_ms,
        rng=rng,
        limits=call.rooms.limits,
    )


def _first_item(asked: Asked) -> Json:
    """Map.Item of the context object, for a state inside of a Map: it is taken to run for the first item."""
    around = asked.found.map
    if around is None:
        return None
    item = MapItem(0, asked.given)
    distributed = around.mode is model.MapMode.DISTRIBUTED
    return item_context(item) if distributed else {"Index": item.number, "Value": item.value}


def settle(asked: Asked, state: OneState, call: Call) -> None:
    """Answer the state's task with the mock, unless the state came to its end before."""
    mock = asked.mock
    assert mock is not None
    if state.task is None:
        return
    if mock.fails:
        state.fail(mock.error, mock.cause, call.now_ms, retried=asked.retried)
    elif _too_many_failed(asked, state):
        state.fail(THRESHOLD, _EXCEEDED, call.now_ms, retried=asked.retried)
    else:
        state.succeed(mock.result, call.now_ms)


def _too_many_failed(asked: Asked, state: OneState) -> bool:
    failed = asked.failed_iterations
    if not failed or not isinstance(asked.found.state, model.MapState):
        return False
    if state.items is not None and failed > len(state.items):
        raise validation_error(
            "MapIterationFailureCount cannot exceed the number of items in the Map state's input."
        )
    count, percentage = (
        state.stages.get("toleratedFailureCount"),
        state.stages.get("toleratedFailurePercentage"),
    )
    if count is None and percentage is None:
        return True
    if count is not None and failed > count:
        return True
    return percentage is not None and bool(state.items) and failed * 100 / len(state.items or ()) > percentage


class _Ear:
    """Takes the outcome of the one task; the rest has nobody to go to."""

    def __init__(self) -> None:
        self.outcome_of: Future[Outcome] = Future()

    def outcome(self, outcome: Outcome) -> None:
        """Keep it."""
        if not self.outcome_of.done():
            self.outcome_of.set_result(outcome)

    def heartbeat(self, token: str) -> None:
        """No matter."""

    def log(self, line: LogLine) -> None:
        """No matter."""

    def progress(self, progress: Progress) -> None:
        """No matter."""


async def perform(asked: Asked, state: OneState, call: Call) -> None:
    """Do the state's task for real, and answer it."""
    task, own = state.task, asked.found.state
    assert task is not None
    assert isinstance(own, model.TaskState)
    token = f"test-state:{call.request_id}"
    deadline_ms = min(task.deadline_ms or call.now_ms + LIMIT_S * 1000, call.now_ms + LIMIT_S * 1000)
    ear = _Ear()
    call.rooms.router.start(
        Invocation(
            token=token,
            resource=own.resource,
            arguments=task.arguments,
            idempotency_key=call.request_id,
            execution_arn=f"arn:aws:states:{call.region}:{call.account}:express:test-state:{call.request_id}",
            state_name=own.name,
            deadline_ms=deadline_ms,
            credentials=task.credentials,
        ),
        ear,
    )
    outcome: Outcome | None = None
    try:
        async with asyncio.timeout((deadline_ms - call.now_ms) / 1000):
            outcome = await unless_left(call, ear.outcome_of)
    except TimeoutError:
        pass
    if outcome is None:  # its time is up, or nobody waits for it any more
        call.rooms.router.cancel(token)
        state.fail(TIMEOUT, None, deadline_ms)
        return
    now_ms = call.rooms.clock.now_ms()
    match outcome:
        case Succeeded(output=output):
            state.succeed(output, now_ms)
        case Failed(error=error, cause=cause):
            state.fail(error, cause, now_ms)
        case _:
            raise AssertionError("what is answered by others is refused without a mock")


async def wait(state: OneState, call: Call) -> bool:
    """Let the state's Wait pass. False when it is longer than a test may be, or nobody waits for it."""
    until_ms = state.waits_until_ms
    assert until_ms is not None
    wait_s = max(until_ms - call.rooms.clock.now_ms(), 0) / 1000
    try:
        async with asyncio.timeout(min(wait_s, LIMIT_S)):
            await unless_left(call, Future())
    except TimeoutError:
        if wait_s <= LIMIT_S:
            state.wake(max(until_ms, call.rooms.clock.now_ms()))
            return True
    return False


def time_out(asked: Asked) -> Reply:
    """The answer for a state that takes longer than a test may."""
    told: Reply = {"status": "FAILED", "error": TIMEOUT}
    if asked.level != "INFO":
        told["inspectionData"] = {"input": asked.given_text}
    return told
