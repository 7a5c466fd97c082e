"""The error names that this workflow's Retry and Catch know, and how EC2's answers become one of them.

A function's exception reaches the state machine under its class name. boto3 raises ClientError for nearly
every EC2 fault, which says nothing, so the code that EC2 sent decides here.
"""

from collections.abc import Iterator
from contextlib import contextmanager

from botocore.exceptions import ClientError, HTTPClientError


class Throttled(Exception):  # noqa: N818 -- the class name is the error name that Retry matches
    """EC2 asked for fewer requests; later is better."""


class ServiceUnavailable(Exception):  # noqa: N818 -- the class name is the error name that Retry matches
    """EC2 could not be reached or answered with a fault of its own."""


class LimitReached(Exception):  # noqa: N818 -- the class name is the error name that Retry matches
    """Too many copies or snapshots are in progress; a place becomes free when one of them ends."""


class InvalidEvent(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """The input is not an EBS snapshot event."""


class InvalidSettings(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """A setting of this workflow is missing or cannot be used."""


class DestinationKeyMissing(Exception):  # noqa: N818 -- the class name is the error name that Catch matches
    """An encrypted snapshot needs a KMS key in the destination region, and none is set."""


_THROTTLING = {"RequestLimitExceeded", "Throttling", "ThrottlingException", "RequestThrottled",
               "SnapshotCreationPerVolumeRateExceeded"}  # fmt: skip
_LIMITS = {"ResourceLimitExceeded", "SnapshotLimitExceeded", "ConcurrentSnapshotLimitExceeded",
           "PendingSnapshotLimitExceeded", "ConcurrentCopyLimitExceeded"}  # fmt: skip
_UNAVAILABLE = {"Unavailable", "ServiceUnavailable", "InternalError", "InternalFailure", "500", "502", "503"}


def code_of(error: ClientError) -> str:
    """The error code that the service sent, such as `InvalidSnapshot.InUse`."""
    return str(error.response.get("Error", {}).get("Code", ""))


def is_passing(code: str) -> bool:
    """Whether an error code tells of something that passes by itself."""
    return code in _THROTTLING | _LIMITS | _UNAVAILABLE


@contextmanager
def named_errors() -> Iterator[None]:
    """Give EC2's passing faults the names that Retry knows; everything else goes through unchanged."""
    try:
        yield
    except ClientError as error:
        code = code_of(error)
        for codes, name in (
            (_THROTTLING, Throttled),
            (_LIMITS, LimitReached),
            (_UNAVAILABLE, ServiceUnavailable),
        ):
            if code in codes:
                raise name(str(error)) from error
        raise
    except HTTPClientError as error:
        raise ServiceUnavailable(str(error)) from error
