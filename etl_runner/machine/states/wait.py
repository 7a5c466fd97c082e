"""Wait: until a number of seconds has passed, or until a moment."""

from datetime import datetime
from typing import Final

from etl_runner.asl import model
from etl_runner.asl.dataflow import JsonataExpression, PathNotFound, Selector
from etl_runner.clock import from_datetime
from etl_runner.errors import RUNTIME, QueryEvaluationError, StatesError
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.machine import facts as f
from etl_runner.machine.decision import Decision
from etl_runner.machine.flow import effective_input, is_jsonata, pass_through
from etl_runner.machine.state import Frame

MAX_WAIT_S: Final = 99_999_999
"""The longest Wait, in seconds (Amazon States Language, "Wait state"; about three years)."""


def enter_wait(decision: Decision, frame: Frame, state: model.WaitState) -> None:
    """Open the timer; a moment in the past is due at once."""
    data = effective_input(decision, frame, state)
    until_ms = _until_ms(decision, frame, state, data)
    if until_ms <= decision.now_ms:
        leave_wait(decision, frame, state)
        return
    decision.emit(f.WaitScheduled(frame=frame.id, token=decision.machine.next_token, until_ms=until_ms))


def leave_wait(decision: Decision, frame: Frame, state: model.WaitState) -> None:
    """The moment has come."""
    pass_through(decision, frame, state, state.next)


def _until_ms(decision: Decision, frame: Frame, state: model.WaitState, data: Json) -> int:
    seconds, timestamp = state.seconds, state.timestamp
    if isinstance(seconds, JsonataExpression):
        return decision.now_ms + _jsonata_seconds(decision, frame, seconds) * 1000
    if isinstance(seconds, Selector):
        seconds = _seconds(seconds, _referenced(decision, frame, seconds, data, "SecondsPath"))
    if seconds is not None:
        return decision.now_ms + seconds * 1000
    assert timestamp is not None
    if isinstance(timestamp, Selector):
        return _referenced_moment(decision, frame, timestamp, data)
    given = timestamp
    if isinstance(timestamp, JsonataExpression):
        given = timestamp.evaluate(decision.env(frame, data), "string")
    assert isinstance(given, str)
    moment = _moment_ms(given)
    if moment is None:
        cause = (
            "The Timestamp field cannot be parsed as an ISO-8601 extended offset date-time format "
            f"string: {given}"
        )
        if is_jsonata(state):
            raise QueryEvaluationError(cause, "Timestamp")
        raise StatesError(RUNTIME, cause)
    return moment


def _referenced_moment(decision: Decision, frame: Frame, path: Selector, data: Json) -> int:
    found = _referenced(decision, frame, path, data, "TimestampPath")
    moment = _moment_ms(found) if isinstance(found, str) else None
    if moment is None:
        raise StatesError(
            RUNTIME,
            "The TimestampPath parameter does not reference a valid ISO-8601 extended offset date-time "
            f"format string: {path.text} == {_shown(found)}",
        )
    return moment


def _jsonata_seconds(decision: Decision, frame: Frame, seconds: JsonataExpression) -> int:
    found = seconds.evaluate(decision.env(frame, frame.data), "number")
    if found != int(found) or not 0 <= found <= MAX_WAIT_S:
        raise QueryEvaluationError(
            f"The Seconds field must be a whole number between 0 and {MAX_WAIT_S}, but was: {found}",
            "Seconds",
        )
    return int(found)


def _referenced(decision: Decision, frame: Frame, path: Selector, data: Json, field: str) -> Json:
    try:
        return path.evaluate(decision.env(frame, data))
    except PathNotFound as miss:
        raise StatesError(
            RUNTIME, f"The {field} parameter does not reference an input value: {path.text}"
        ) from miss


def _seconds(path: Selector, found: Json) -> int:
    if isinstance(found, bool) or not isinstance(found, int):
        raise StatesError(
            RUNTIME,
            f"The SecondsPath parameter cannot be parsed as a long value: {path.text} == {_shown(found)}",
        )
    if not 0 <= found <= MAX_WAIT_S:
        raise StatesError(
            RUNTIME,
            f"The SecondsPath parameter must be between 0 and {MAX_WAIT_S}: {path.text} == {found}",
        )
    return found


def _shown(found: Json) -> str:
    """A value as AWS's causes show it: a string bare, anything else as JSON."""
    return found if isinstance(found, str) else dumps_text(found)


def _moment_ms(text: str) -> int | None:
    """Read an RFC 3339 moment, rounding up to a millisecond so that nothing wakes early."""
    if "T" not in text:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return None
    if moment.tzinfo is None:
        return None
    return from_datetime(moment) + (1 if moment.microsecond % 1000 else 0)
