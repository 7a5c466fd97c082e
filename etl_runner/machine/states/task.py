"""Task: hand the arguments out with a token, and take the answer."""

import base64
from typing import Final

from etl_runner.asl import model
from etl_runner.asl.dataflow import JsonataExpression, PathNotFound, Selector, invalid_path
from etl_runner.asl.jsonata import type_of
from etl_runner.errors import RUNTIME, QueryEvaluationError, StatesError
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.machine import facts as f
from etl_runner.machine.decision import Decision
from etl_runner.machine.failure import HEARTBEAT_TIMEOUT, TIMEOUT, fail_state
from etl_runner.machine.flow import check_size, effective_input, is_jsonata
from etl_runner.machine.groups import guarded_finish
from etl_runner.machine.state import Frame

MAX_SECONDS: Final = 99_999_999
_ANSWERED_BY_OTHERS: Final = (".waitForTaskToken", ".sync", ".sync:2")
"""Integrations whose task has a token in `$$.Task.Token`; AWS gives those of .sync one too."""


def start_task(decision: Decision, frame: Frame, state: model.TaskState) -> None:
    """Hand the task out, for the first time or again after a retry's pause."""
    data = effective_input(decision, frame, state)
    activity = is_activity(state.resource)
    task_token = None
    if activity or state.resource.endswith(_ANSWERED_BY_OTHERS):
        task_token = base64.urlsafe_b64encode(decision.rng.randbytes(48)).decode()
    arguments, credentials = data, None
    if state.parameters is not None or state.credentials is not None:
        env = decision.env(frame, data, task_token=task_token)
        if state.parameters is not None:
            arguments = state.parameters.evaluate(env)
            check_size(decision, arguments, _what(state), "was given an input")
        if state.credentials is not None:
            credentials = state.credentials.evaluate(env)
            _check_role(credentials, state)
    timeout_ms = _period_ms(decision, frame, data, state.timeout_seconds, "TimeoutSecondsPath")
    heartbeat_ms = _period_ms(decision, frame, data, state.heartbeat_seconds, "HeartbeatSecondsPath")
    decision.emit(
        f.TaskScheduled(
            frame=frame.id,
            token=decision.machine.next_token,
            arguments=arguments,
            timeout_ms=timeout_ms,
            deadline_ms=None if timeout_ms is None else decision.now_ms + timeout_ms,
            heartbeat_ms=heartbeat_ms,
            credentials=credentials,
            awaits_worker=activity,
            task_token=task_token,
        )
    )


def _check_role(credentials: Json, state: model.TaskState) -> None:
    """Refuse Credentials whose RoleArn came out as anything but a text."""
    role = credentials.get("RoleArn") if isinstance(credentials, dict) else None
    if isinstance(role, str):
        return
    if is_jsonata(state):
        field = "Credentials/RoleArn"
        raise QueryEvaluationError(
            f"The field '{field}' has an unexpected type. Expected 'string', but was '{type_of(role)}' "
            f"for value: {dumps_text(role)}",
            field,
        )
    raise StatesError(RUNTIME, f"The RoleArn of Credentials must be a string, but was: {dumps_text(role)}")


def _period_ms(
    decision: Decision,
    frame: Frame,
    data: Json,
    given: int | Selector | JsonataExpression | None,
    field: str,
) -> int | None:
    """A period in milliseconds; `field` is the JSONPath field that would hold its path."""
    if given is None or isinstance(given, int):
        return None if given is None else given * 1000
    if isinstance(given, JsonataExpression):
        found = given.evaluate(decision.env(frame, data), "number")
        if found != int(found) or not 0 < found <= MAX_SECONDS:
            name = field.removesuffix("Path")
            raise QueryEvaluationError(
                f"The {name} field must be a whole number between 1 and {MAX_SECONDS}, but was: {found}", name
            )
        return int(found) * 1000
    try:
        found = given.evaluate(decision.env(frame, data))
    except PathNotFound as miss:
        raise invalid_path(given, miss) from miss
    if isinstance(found, bool) or not isinstance(found, int) or not 0 < found <= MAX_SECONDS:
        raise StatesError(
            RUNTIME,
            f"The {field} '{given.text}' must give a whole number of seconds from 1 to {MAX_SECONDS}, "
            f"but gave {dumps_text(found)}.",
        )
    return found * 1000


def is_activity(resource: str) -> bool:
    """Whether a resource is an activity's ARN: work that someone else comes to fetch."""
    return resource.startswith("arn:") and ":activity:" in resource


def task_succeeded(decision: Decision, frame: Frame, token: f.Token, output: Json) -> None:
    """The task answered. A result over the payload limit is a failure of the task."""
    state = decision.state_of(frame)
    assert isinstance(state, model.TaskState)
    try:
        check_size(decision, output, _what(state))
    except StatesError as error:
        task_failed(decision, frame, token, error.error, error.cause)
        return
    decision.emit(f.TaskSucceeded(token=token, output=output))
    guarded_finish(decision, frame, state, output)


def _what(state: model.TaskState) -> str:
    """What AWS calls a task in its texts: a function's ARN, or the service of an integration."""
    service, _, rest = state.resource.partition(":::")
    return rest.partition(":")[0] if rest else service


def task_failed(
    decision: Decision, frame: Frame, token: f.Token, error: str | None, cause: str | None
) -> None:
    """The task answered with an error."""
    decision.emit(f.TaskFailed(token=token, error=error, cause=cause))
    fail_state(decision, frame, error, cause, absent=None)


def task_out_of_time(decision: Decision, frame: Frame, *, heartbeat: bool) -> None:
    """What follows TaskTimedOut. A missed heartbeat is shown as States.Timeout and matched by both names."""
    names = (TIMEOUT, HEARTBEAT_TIMEOUT) if heartbeat else (TIMEOUT,)
    fail_state(decision, frame, TIMEOUT, None, names=names)
