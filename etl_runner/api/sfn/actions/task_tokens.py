"""Answers to tasks by their tokens: SendTaskSuccess, SendTaskFailure, SendTaskHeartbeat."""

from collections.abc import Mapping
from typing import Final

from etl_runner.api.sfn.call import Action, Call, Reply, committed
from etl_runner.api.sfn.errors import AwsError
from etl_runner.api.sfn.jackson import NotJson, read
from etl_runner.engine.knocks import TokenFailure, TokenHeartbeat, TokenSuccess
from etl_runner.engine.tokens import ClosedTaskToken, InvalidTaskToken


async def send_task_success(call: Call) -> Reply:
    """SendTaskSuccess: answered once the result is on the disk."""
    try:
        output = read(call.parameters["output"])
    except NotJson as fault:
        raise AwsError("InvalidOutput", f"Invalid Output: '{str(fault) or 'Invalid output.'}'") from None
    return await _answer(call, TokenSuccess(output=output))


async def send_task_failure(call: Call) -> Reply:
    """SendTaskFailure: answered once the failure is on the disk."""
    given = call.parameters
    return await _answer(call, TokenFailure(error=given.get("error"), cause=given.get("cause")))


async def send_task_heartbeat(call: Call) -> Reply:
    """SendTaskHeartbeat: answered once the new deadline is on the disk."""
    return await _answer(call, TokenHeartbeat())


async def _answer(call: Call, answer: TokenSuccess | TokenFailure | TokenHeartbeat) -> Reply:
    try:
        answered = call.rooms.engine.answer_task(call.parameters["taskToken"], answer, account=call.only)
        await committed(answered)
    except (InvalidTaskToken, ClosedTaskToken) as refused:
        raise AwsError(refused.code, str(refused)) from None
    return {}


ACTIONS: Final[Mapping[str, Action]] = {
    "SendTaskSuccess": send_task_success,
    "SendTaskFailure": send_task_failure,
    "SendTaskHeartbeat": send_task_heartbeat,
}
