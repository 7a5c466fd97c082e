"""TestState: one state, run by itself, with what its data went through."""

import random
from collections.abc import Mapping
from typing import Final

from etl_runner.api.edge import blocking
from etl_runner.api.sfn.call import Action, Call, Reply
from etl_runner.api.sfn.test_state_answer import tell
from etl_runner.api.sfn.test_state_request import read_request
from etl_runner.api.sfn.test_state_run import begin, perform, settle, time_out, wait

_RANDOM: Final = random.SystemRandom()


async def test_state(call: Call) -> Reply:
    """TestState. The state may take five minutes, as on AWS."""
    asked = await blocking(read_request, call.parameters, call.rooms.limits)
    seed = random.Random(_RANDOM.getrandbits(64))  # noqa: S311 -- the machine wants a seeded source
    state = await blocking(begin, asked, call, seed)
    if asked.mock is not None:
        await blocking(settle, asked, state, call)
    elif state.task is not None:
        await perform(asked, state, call)
    elif state.waits_until_ms is not None and not await wait(state, call):
        return time_out(asked)
    return await blocking(tell, asked, state)


ACTIONS: Final[Mapping[str, Action]] = {"TestState": test_state}
