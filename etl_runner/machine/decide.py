"""The machine's one question: after what has happened, and with what knocks now, what happens next.

`decide` asks nobody: time, randomness and the definition are arguments. An answer whose token is not open,
and anything that reaches a finished execution, decides nothing.
"""

import random
from collections.abc import Callable
from typing import Any, Final

from etl_runner.asl import model
from etl_runner.errors import RUNTIME, StatesError
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.decision import RESTART, Decision, EventLimitReached, Tired
from etl_runner.machine.failure import TIMEOUT, end_execution, fail_evaluation, fail_state
from etl_runner.machine.groups import finish_frame, guarded_finish
from etl_runner.machine.limits import AWS, Limits
from etl_runner.machine.redrive import redrive, resumed
from etl_runner.machine.state import ROOT, Frame, Machine, OpenMapRun, OpenTask, OpenTimer, Status, begin
from etl_runner.machine.states.fan_out import start_map, start_parallel
from etl_runner.machine.states.simple import enter_choice, enter_fail, enter_pass, enter_succeed
from etl_runner.machine.states.task import start_task, task_failed, task_out_of_time, task_succeeded
from etl_runner.machine.states.wait import enter_wait, leave_wait

_ENTER: Final[dict[type, Callable[[Decision, Frame, Any], None]]] = {
    model.PassState: enter_pass,
    model.ChoiceState: enter_choice,
    model.SucceedState: enter_succeed,
    model.FailState: enter_fail,
    model.WaitState: enter_wait,
    model.TaskState: start_task,
    model.ParallelState: start_parallel,
    model.MapState: start_map,
}


def start(
    definition: model.StateMachine,
    stimulus: s.Start,
    now_ms: int,
    rng: random.Random,
    limits: Limits = AWS,
    tired: Tired | None = None,
) -> tuple[Machine, list[f.Fact]]:
    """Begin an execution. Gives its machine and its first facts. `tired`: see decision.Tired."""
    seconds = definition.timeout_seconds if stimulus.scope == ROOT else None
    seconds = limits.execution_seconds(seconds, express=stimulus.express)
    first = f.ExecutionStarted(
        execution_arn=stimulus.execution_arn,
        name=stimulus.name,
        state_machine_arn=stimulus.state_machine_arn,
        state_machine_name=stimulus.state_machine_name,
        input=stimulus.input,
        role_arn=stimulus.role_arn,
        scope=stimulus.scope,
        deadline_ms=None if seconds is None else now_ms + seconds * 1000,
        item_index=stimulus.item_index,
        input_text=stimulus.input_text,
        state_machine_version_arn=stimulus.state_machine_version_arn,
        state_machine_alias_arn=stimulus.state_machine_alias_arn,
        express=stimulus.express,
    )
    machine = begin(first, now_ms)
    decision = Decision(definition, machine, now_ms, rng, limits, tired)
    decision.facts.append(first)
    decision.enter_scope(machine.frames[ROOT])
    _run(decision)
    return machine, decision.facts


def decide(
    definition: model.StateMachine,
    machine: Machine,
    stimulus: s.Stimulus,
    now_ms: int,
    rng: random.Random,
    limits: Limits = AWS,
    tired: Tired | None = None,
) -> list[f.Fact]:
    """Give the facts that follow from `stimulus`, and change `machine` by them. May be empty.

    `tired`: see decision.Tired.
    """
    if machine.status is not Status.RUNNING and not isinstance(stimulus, s.Redrive):
        return []
    decision = Decision(definition, machine, now_ms, rng, limits, tired)
    _run(decision, stimulus)
    return decision.facts


def _run(decision: Decision, stimulus: s.Stimulus | None = None) -> None:
    """Take a stimulus, then enter states until every frame waits for something or the execution ended."""
    try:
        if stimulus is not None:
            _take(decision, stimulus)
        while decision.ready and decision.machine.status is Status.RUNNING:
            _next(decision, *decision.ready.popleft())
    except EventLimitReached:
        most = decision.most_events
        cause = f"The execution reached the maximum number of history events ({most})."
        end_execution(decision, f.ExecutionFailed(error=RUNTIME, cause=cause))


def _next(decision: Decision, frame_id: f.FrameId, name: str | None) -> None:
    frame = decision.machine.frames.get(frame_id)
    if frame is None:
        return  # aborted by a sibling while it stood in the queue
    if name:
        decision.emit(f.StateEntered(frame=frame_id, state=name))
        if decision.tired is not None and decision.tired():
            # A loop of Pass and Choice states waits for nothing, and might never let go otherwise.
            token = decision.machine.next_token
            decision.emit(f.Paused(frame=frame_id, token=token, until_ms=decision.now_ms))
            return
        _do(decision, frame)
    elif name == RESTART:
        _again(decision, frame)
    else:
        finish_frame(decision, frame)


def _do(decision: Decision, frame: Frame) -> None:
    """Do what the frame's state does, first or again."""
    state = decision.state_of(frame)
    try:
        _ENTER[type(state)](decision, frame, state)
    except StatesError as error:
        fail_evaluation(decision, frame, error, before_work=True)


def _again(decision: Decision, frame: Frame) -> None:
    """Do again what the frame's state does, after a redrive: go on where there is something to go on from."""
    try:
        if resumed(decision, frame):
            return
    except StatesError as error:
        fail_evaluation(decision, frame, error)
        return
    _do(decision, frame)


def _holder(decision: Decision, token: f.Token, kind: type[OpenTask | OpenMapRun]) -> Frame | None:
    """The frame that waits for an answer with this token; None for an answer that comes too late."""
    frame_id = decision.machine.tokens.get(token)
    if frame_id is None:
        return None
    frame = decision.machine.frames[frame_id]
    return frame if isinstance(frame.open, kind) else None


def _take(decision: Decision, stimulus: s.Stimulus) -> None:
    match stimulus:
        case s.TaskSuccess() | s.TaskFailure() | s.ActivityFetch() | s.TaskSubmission() | s.HeartbeatLoss():
            frame = _holder(decision, stimulus.token, OpenTask)
            if frame is not None:
                _answer(decision, frame, stimulus)
        case s.MapRunSuccess() | s.MapRunFailure():
            frame = _holder(decision, stimulus.token, OpenMapRun)
            if frame is not None:
                _map_run_ended(decision, frame, stimulus)
        case s.Wake():
            _wake(decision)
        case s.Stop(error=error, cause=cause):
            end_execution(decision, f.ExecutionAborted(error=error, cause=cause))
        case s.Breakdown(cause=cause):
            end_execution(decision, f.ExecutionFailed(error=RUNTIME, cause=cause))
        case s.Redrive():
            redrive(decision)
        case s.Start():
            raise AssertionError("an execution that has begun cannot be started")


def _answer(
    decision: Decision,
    frame: Frame,
    answer: s.TaskSuccess | s.TaskFailure | s.ActivityFetch | s.TaskSubmission | s.HeartbeatLoss,
) -> None:
    match answer:
        case s.TaskSuccess(token=token, output=output):
            task_succeeded(decision, frame, token, output)
        case s.TaskFailure(token=token, error=error, cause=cause):
            task_failed(decision, frame, token, error, cause)
        case s.ActivityFetch(token=token, worker=worker):
            work = frame.open
            if isinstance(work, OpenTask) and work.awaits_worker:  # a second worker comes too late
                decision.emit(f.ActivityStarted(token=token, worker=worker))
        case s.TaskSubmission(token=token, output=output):
            decision.emit(f.TaskSubmitted(token=token, output=output))
        case s.HeartbeatLoss(token=token):
            decision.emit(f.TaskTimedOut(token=token, heartbeat=True))
            task_out_of_time(decision, frame, heartbeat=True)


def _map_run_ended(decision: Decision, frame: Frame, answer: s.MapRunSuccess | s.MapRunFailure) -> None:
    if isinstance(answer, s.MapRunFailure):
        decision.emit(f.MapRunFailed(token=answer.token, error=answer.error, cause=answer.cause))
        fail_state(decision, frame, answer.error, answer.cause)
        return
    state = decision.state_of(frame)
    assert isinstance(state, model.MapState)
    decision.emit(f.MapRunSucceeded(token=answer.token, output=answer.output))
    guarded_finish(decision, frame, state, answer.output)


def _wake(decision: Decision) -> None:
    """Look at every timer and deadline; the execution's own deadline first.

    All tasks whose time is up have timed out, also those whose frame is then aborted for the first of them.
    """
    machine = decision.machine
    deadline = machine.deadline_ms
    if deadline is not None and deadline <= decision.now_ms:
        end_execution(decision, f.ExecutionTimedOut(error=TIMEOUT))
        return
    late: list[Frame] = []
    for token, frame_id in list(machine.tokens.items()):
        frame = machine.frames.get(frame_id)
        work = None if frame is None or token not in machine.tokens else frame.open
        if frame is None or work is None:
            continue  # closed by what the timer before it led to
        if isinstance(work, OpenTimer) and work.until_ms <= decision.now_ms:
            _fire(decision, frame, work)
        elif isinstance(work, OpenTask) and (work.deadline_ms or decision.now_ms + 1) <= decision.now_ms:
            decision.emit(f.TaskTimedOut(token=token))
            late.append(frame)
    for frame in late:
        if machine.frames.get(frame.id) is frame and machine.status is Status.RUNNING:
            task_out_of_time(decision, frame, heartbeat=False)


def _fire(decision: Decision, frame: Frame, timer: OpenTimer) -> None:
    decision.emit(f.TimerFired(token=timer.token))
    if timer.retry or timer.paused:
        _do(decision, frame)
        return
    state = decision.state_of(frame)
    assert isinstance(state, model.WaitState)
    try:
        leave_wait(decision, frame, state)
    except StatesError as error:
        fail_evaluation(decision, frame, error)
