"""What a failed call to S3 means: may it pass, which code does AWS give it, how to say it."""

import random
import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Final, TypeVar

from etl_runner.errors import StatesError

T = TypeVar("T")

ATTEMPTS: Final = 6
"""How often in a row one thing is tried that fails for a reason that may pass."""

_PASSING_CODES: Final = frozenset({"SlowDown", "RequestTimeout", "Throttling"})
_DENIED: Final = (
    "S3 refuses it and does not say why, as always to HeadObject; check the access key, its secret and its "
    "rights to this bucket."
)
"""An answer to HEAD has no body, and so botocore knows no more of it than its status."""

_CONFLICT_STATUSES: Final = frozenset({409, 412})


@dataclass(frozen=True, slots=True, kw_only=True)
class Failure:
    """One failed call. `status` is None when no answer came; `passing` means worth another try."""

    code: str
    message: str
    status: int | None
    request_id: str
    passing: bool

    @property
    def conflict(self) -> bool:
        """A condition of the request did not hold, or another conditional write was under way."""
        return self.status in _CONFLICT_STATUSES and self.code != "BucketAlreadyExists"

    @property
    def absent(self) -> bool:
        """The object, not its bucket, is not there."""
        return self.status == 404 and self.code != "NoSuchBucket"

    def as_error(self, name: str, doing: str) -> StatesError:
        """The error with which to end: `doing` says what was tried, with bucket and key."""
        status = f"Status Code: {self.status}; " if self.status is not None else ""
        request = f"; Request ID: {self.request_id}" if self.request_id else ""
        where = f"(Service: Amazon S3; {status}Error Code: {self.code}{request})"
        return StatesError(name, f"Could not {doing}: {self.message} {where}")


def failure_of(error: BaseException) -> Failure | None:
    """What S3 or the way to it did wrong; None for any other exception."""
    from botocore.exceptions import (  # noqa: PLC0415 -- slow; whoever gets here has a client already
        BotoCoreError,
        ClientError,
        HTTPClientError,
        IncompleteReadError,
    )

    if isinstance(error, ClientError):
        return _answer(error.response)
    if isinstance(error, BotoCoreError):
        # No answer, or half of one; the others (no credentials, wrong parameters) will not pass.
        passing = isinstance(error, HTTPClientError | IncompleteReadError)
        return Failure(
            code=type(error).__name__, message=str(error), status=None, request_id="", passing=passing
        )
    if isinstance(error, OSError):
        return Failure(
            code=type(error).__name__, message=str(error), status=None, request_id="", passing=True
        )
    return None


def _answer(response: object) -> Failure:
    assert isinstance(response, dict)
    error = response.get("Error", {})
    metadata = response.get("ResponseMetadata", {})
    code, message = str(error.get("Code", "Unknown")), str(error.get("Message", ""))
    status = metadata.get("HTTPStatusCode")
    if status is None:
        status = int(code) if code.isdigit() else 500
    if code == "403":
        code, message = "AccessDenied", _DENIED
    return Failure(
        code=code,
        message=message,
        status=int(status),
        request_id=str(metadata.get("RequestId", "")),
        passing=int(status) >= 500 or int(status) == 429 or code in _PASSING_CODES,
    )


def insistently(call: Callable[[], T], error_name: str, doing: str) -> T:
    """What `call` gives, tried again while it fails for a reason that may pass. Raises StatesError."""
    for attempt in range(ATTEMPTS):
        try:
            return call()
        except Exception as error:
            failure = failure_of(error)
            if failure is None:
                raise
            if not failure.passing or attempt == ATTEMPTS - 1:
                raise failure.as_error(error_name, doing) from error
        pause(attempt)
    raise AssertionError("the last attempt returns or raises")


def pause(attempt: int, *, base_s: float = 0.1, most_s: float = 3.0) -> None:
    """Wait before the next try; `attempt` counts from 0. Random, so that those who collided part."""
    time.sleep(min(most_s, base_s * 2**attempt) * random.uniform(0.5, 1.0))  # noqa: S311 -- no secret
