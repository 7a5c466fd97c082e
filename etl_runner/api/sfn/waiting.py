"""Waiting on behalf of a caller who may hang up."""

import asyncio
from concurrent.futures import Future
from typing import Any, TypeVar

from etl_runner.api.sfn.call import Call

T = TypeVar("T")


async def unless_left(call: Call, future: "Future[T]") -> T | None:
    """Wait for `future` without a thread; when the caller hangs up or the service stops, cancel it.

    None then. Raises what the future does.
    """
    answer = asyncio.wrap_future(future)
    leaving = asyncio.ensure_future(call.left())
    both: set[asyncio.Future[Any]] = {answer, leaving}
    try:
        await asyncio.wait(both, return_when=asyncio.FIRST_COMPLETED)
    finally:
        leaving.cancel()
        if not answer.done():
            answer.cancel()  # passed on to `future`, unless what it asks for is being given already
    return None if answer.cancelled() or not answer.done() else answer.result()
