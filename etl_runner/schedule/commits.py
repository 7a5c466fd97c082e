"""Waiting until what was asked for is on the disk."""

from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from typing import Any, Final

from etl_runner.errors import StoreUnavailable

COMMIT_WAIT_S: Final = 30.0


def committed(future: "Future[Any]", what: str, *, wait_s: float = COMMIT_WAIT_S) -> Any:
    """Wait for a commit and give its answer.

    Raises what the future failed with, or StoreUnavailable when it is not committed in time (it may still
    be, later).
    """
    try:
        return future.result(timeout=wait_s)
    except (FutureTimeoutError, CancelledError):
        raise StoreUnavailable(
            f"{what} is not committed yet: the store is in trouble or the service is stopping; look at the"
            " service's log, and ask again"
        ) from None


def error_of(future: "Future[Any]") -> BaseException | None:
    """What a future that is done failed with."""
    return CancelledError() if future.cancelled() else future.exception()
