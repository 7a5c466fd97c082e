"""One call of the API: what was asked, by whom, and of which service."""

import asyncio
from collections.abc import Awaitable, Callable
from concurrent.futures import CancelledError, Future
from dataclasses import dataclass
from typing import Final, TypeAlias, TypeVar

from etl_runner.api.rooms import Rooms
from etl_runner.api.sfn.errors import AwsError
from etl_runner.jsontypes import Json

__all__ = ["Action", "AwsError", "Call", "Reply", "committed"]

T = TypeVar("T")

COMMIT_WAIT_S: Final = 30.0
"""How long a call waits for its request to be on the disk."""

Reply: TypeAlias = dict[str, Json]
"""The members of an output shape; timestamps are float epoch seconds."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call. `parameters` have passed the service model; `account` and `region` are the caller's.

    `only` is the account that the caller's key is for, None where no key was asked for. `left` waits until
    the caller has hung up, or the service is stopping.
    """

    parameters: dict[str, Json]
    account: str
    region: str
    rooms: Rooms
    now_ms: int
    request_id: str
    left: Callable[[], Awaitable[None]]
    only: str | None = None


Action: TypeAlias = Callable[[Call], Reply] | Callable[[Call], Awaitable[Reply]]
"""What answers a call: a plain function runs in a thread, a coroutine function on the server's own loop.

It raises AwsError for what AWS would answer; other errors are told as internal failures.
"""


async def committed(future: "Future[T]") -> T:
    """Wait for a commit without a thread. Raises what the future does, and AwsError 503 after 30 s."""
    # Shielded: a client that hangs up must not cancel what the engine is about to fulfil.
    try:
        async with asyncio.timeout(COMMIT_WAIT_S):
            return await asyncio.shield(asyncio.wrap_future(future))
    except (TimeoutError, CancelledError):
        if future.done() and not future.cancelled() and isinstance(future.exception(), TimeoutError):
            raise
        message = "The store did not take the request in time; it may still do so. Ask again."
        raise AwsError("ServiceUnavailableException", message, 503) from None
