"""Telling a sink what a task did. A sink that fails is logged and never stops whoever does the telling."""

import logging
from collections.abc import Iterable

from etl_runner.jsontypes import loads
from etl_runner.tasks.context import ContextFields
from etl_runner.tasks.contract import Failed, Invocation, LogLine, Outcome, Progress, Sink, Succeeded
from etl_runner.tasks.functions import FunctionSpec
from etl_runner.tasks.handlers import Ended

log = logging.getLogger(__name__)


def outcome_of(token: str, ended: Ended) -> Outcome:
    """Turn the end of a call into the Outcome of its hand-out."""
    written = tuple(loads(ended.written))
    if ended.error:
        return Failed(token=token, error=ended.error, cause=ended.cause, written=written)
    return Succeeded(token=token, output=loads(ended.output), written=written)


def context_fields(spec: FunctionSpec, invocation: Invocation, request_id: str) -> ContextFields:
    """What a function's context is made of."""
    return ContextFields(
        function_name=spec.name,
        function_arn=spec.arn,
        memory_mb=spec.memory_mb,
        request_id=request_id,
        idempotency_key=invocation.idempotency_key,
        execution_arn=invocation.execution_arn,
        state_name=invocation.state_name,
        attempt=invocation.attempt,
        timeout_s=spec.timeout_s,
        deadline_ms=invocation.deadline_ms,
    )


def tell_outcome(sink: Sink, outcome: Outcome) -> None:
    """Hand on how a task ended."""
    try:
        sink.outcome(outcome)
    except Exception:
        log.exception("the outcome of %s could not be handed on", outcome.token)


def tell_progress(sink: Sink, at: Invocation, done: float, total: float | None, note: str) -> None:
    """Hand on a report of progress, which is a sign of life too."""
    report = Progress(
        token=at.token,
        execution_arn=at.execution_arn,
        state_name=at.state_name,
        done=done,
        total=total,
        note=note,
    )
    try:
        sink.heartbeat(at.token)
        sink.progress(report)
    except Exception:
        log.exception("a report of progress of %s could not be handed on", at.token)


def tell_lines(sink: Sink, at: Invocation, stream: str, lines: Iterable[str]) -> None:
    """Hand on lines that a task wrote."""
    try:
        for text in lines:
            sink.log(
                LogLine(
                    token=at.token,
                    execution_arn=at.execution_arn,
                    state_name=at.state_name,
                    stream=stream,
                    text=text,
                )
            )
    except Exception:
        log.exception("a log line of %s could not be handed on", at.token)
