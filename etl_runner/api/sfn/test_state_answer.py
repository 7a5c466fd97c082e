"""What TestState answers: what became of the state, and what its data went through."""

import json
import re
from typing import Final

from etl_runner.api.sfn.call import Reply
from etl_runner.api.sfn.test_state_http import RESOURCE, request_shown, response_shown
from etl_runner.api.sfn.test_state_request import Asked
from etl_runner.asl.model import TaskState
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.offline.one_state import Ending, OneState, Result

_NUMBERS: Final = frozenset({"maxConcurrency", "toleratedFailureCount", "toleratedFailurePercentage"})
_WHERE: Final = re.compile(
    r"An error occurred while executing the state '.*' \(entered at the event id #\d+\)\. "
)


def tell(asked: Asked, state: OneState) -> Reply:
    """Answer for a state that has come to its end."""
    result = state.result()
    assert result is not None, "the state has been answered"
    told: Reply = {"status": result.ending.value}
    if result.ending in {Ending.SUCCEEDED, Ending.CAUGHT_ERROR}:
        told["output"] = _text(asked, result.output)
        if result.way is not None:
            told["nextState"] = result.way.next
    if result.error is not None:
        told["error"] = result.error
    if result.cause is not None:
        # A state with a mock is in no execution, so that no event can be named.
        told["cause"] = result.cause if asked.mock is None else _WHERE.sub("", result.cause, count=1)
    if asked.level != "INFO":
        told["inspectionData"] = _inspection(asked, state, result)
    return told


def _inspection(asked: Asked, state: OneState, result: Result) -> Reply:
    seen: Reply = {"input": asked.given_text}
    for stage, value in state.stages.items():
        seen[stage] = value if stage in _NUMBERS else _text(asked, value)
    if asked.level == "TRACE" and asked.mock is None and _is_http(asked):
        seen["request"] = request_shown(state.arguments)
        response = response_shown(state.stages.get("result"), result.cause)
        if response is not None:
            seen["response"] = response
    variables = {**asked.variables, **result.assigned}
    if variables:
        seen["variables"] = _text(asked, variables)
    if result.retrier is not None:
        seconds = max(round(result.retry_after_ms / 1000), 0)
        seen["errorDetails"] = {"retryIndex": result.retrier, "retryBackoffIntervalSeconds": seconds}
    elif result.way is not None and result.way.catch is not None:
        seen["errorDetails"] = {"catchIndex": result.way.catch}
    return seen


def _is_http(asked: Asked) -> bool:
    state = asked.found.state
    return isinstance(state, TaskState) and state.resource.endswith(RESOURCE)


def _text(asked: Asked, value: Json) -> str:
    """A value as AWS writes it here: what is unchanged keeps its own text.

    With a mock AWS puts a space after each comma and colon, and without one it does not, as recorded.
    """
    if value is asked.given:
        return asked.given_text
    if asked.mock is not None:
        if value is asked.mock.result and not asked.mock.fails:
            return asked.mock.result_text
        return json.dumps(value, ensure_ascii=False)
    return dumps_text(value)
