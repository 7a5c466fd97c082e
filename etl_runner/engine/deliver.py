"""Delivering to EventBridge and CloudWatch Logs: in batches as they take them, again where that may help."""

import hashlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from time import monotonic
from typing import Any, Final

import structlog

from etl_runner.aws import AwsAccess
from etl_runner.clock import to_datetime
from etl_runner.errors import EtlRunnerError
from etl_runner.jsontypes import Json

_log = structlog.get_logger("publish")

EVENTS_AT_ONCE: Final = 10
LINES_AT_ONCE: Final = 10_000
BYTES_AT_ONCE: Final = 1_000_000
BYTES_PER_LINE: Final = 26
"""What PutLogEvents counts for a line besides its text; the sums are its limits (API reference)."""

FIRST_PAUSE_S: Final = 0.5
LONGEST_PAUSE_S: Final = 60.0
"""How long a place that took nothing is left alone, the first time and at most."""

_PASSING: Final = frozenset(
    {
        "Throttling",
        "ThrottlingException",
        "ServiceUnavailableException",
        "InternalFailure",
        "InternalException",
    }
)


class _NotNow(EtlRunnerError):  # noqa: N818 -- reads as what it is where it is raised
    """AWS did not take all of it now."""


@dataclass(slots=True)
class Parcel:
    """What is to be delivered. What was delivered, or never can be, is taken out of it.

    `events` are entries for PutEvents by region, `lines` are `(at_ms, text)` by (region, log group, ARN of
    the state machine).
    """

    events: dict[str, list[dict[str, Json]]] = field(default_factory=dict)
    lines: dict[tuple[str, str, str], list[tuple[int, str]]] = field(default_factory=dict)


class _Pauses:
    """Places that took nothing: each is left alone for a while, and for longer each time."""

    def __init__(self) -> None:
        self._of: dict[object, tuple[float, float]] = {}

    def has(self, place: object) -> bool:
        return place in self._of and self._of[place][0] > monotonic()

    def note(self, place: object, *, taken: bool) -> None:
        if taken:
            self._of.pop(place, None)
            return
        before = self._of[place][1] if place in self._of else FIRST_PAUSE_S / 2
        pause = min(before * 2, LONGEST_PAUSE_S)
        self._of[place] = monotonic() + pause, pause

    def clear(self) -> None:
        self._of.clear()


class Delivery:
    """Owned by the publisher's thread. A place that takes nothing holds up no other."""

    def __init__(self, aws: AwsAccess) -> None:
        self._aws = aws
        self._pauses = _Pauses()
        self._streams: dict[tuple[str, str, str], str] = {}

    def deliver(self, parcel: Parcel) -> bool:
        """Deliver what can be. False when something is left that is worth another try.

        Where a place is left alone after it took nothing, what is for it is left.
        """
        for region in list(parcel.events):
            if self._try(region, partial(self._put_events, region, parcel), f"events in {region}"):
                del parcel.events[region]
        for place in list(parcel.lines):
            if self._try(place, partial(self._put_lines, place, parcel), f"the log group {place[1]}"):
                del parcel.lines[place]
        return not (parcel.events or parcel.lines)

    def hurry(self) -> None:
        """Leave no place alone any longer: there will be no later."""
        self._pauses.clear()

    def _try(self, place: object, send: Callable[[], None], what: str) -> bool:
        if self._pauses.has(place):
            return False
        taken = _tried(send, what)
        self._pauses.note(place, taken=taken)
        return taken

    def _put_events(self, region: str, parcel: Parcel) -> None:
        client, entries = self._aws.client("events", region), parcel.events[region]
        again: list[dict[str, Json]] = []
        while entries:
            now = entries[:EVENTS_AT_ONCE]
            answer = client.put_events(Entries=now)
            del entries[: len(now)]
            for entry, result in zip(now, answer.get("Entries", ()), strict=False):
                code = result.get("ErrorCode")
                if code in _PASSING:
                    again.append(entry)
                elif code is not None:
                    _log.error("EventBridge refuses a status change", code=code, told=entry["Resources"])
        if again:
            entries.extend(again)
            raise _NotNow("EventBridge took only some of the events")

    def _put_lines(self, place: tuple[str, str, str], parcel: Parcel) -> None:
        region, group, _ = place
        client, lines = self._aws.client("logs", region), parcel.lines[place]
        lines.sort(key=lambda line: line[0])
        while lines:
            count = _fitting(lines)
            put = [{"timestamp": at_ms, "message": text} for at_ms, text in lines[:count]]
            try:
                client.put_log_events(logGroupName=group, logStreamName=self._stream(place), logEvents=put)
            except client.exceptions.ResourceNotFoundException:
                self._make_stream(client, place, lines[0][0])
                client.put_log_events(logGroupName=group, logStreamName=self._stream(place), logEvents=put)
            del lines[:count]

    def _stream(self, place: tuple[str, str, str]) -> str:
        """The recorded calls read one stream per state machine, named by its ARN."""
        return self._streams.get(place, f"states/{place[2]}")

    def _make_stream(self, client: Any, place: tuple[str, str, str], at_ms: int) -> None:
        group = place[1]
        try:
            client.create_log_stream(logGroupName=group, logStreamName=self._stream(place))
        except client.exceptions.ResourceAlreadyExistsException:
            pass
        except client.exceptions.InvalidParameterException:
            # CloudWatch itself allows no colon: there the stream is named as Step Functions names its own.
            self._streams[place] = _aws_stream(place[2], at_ms)
            client.create_log_stream(logGroupName=group, logStreamName=self._streams[place])


def _tried(send: Callable[[], None], what: str) -> bool:
    """Whether there is nothing left to do: it was sent, or it never will be."""
    from botocore.exceptions import (  # noqa: PLC0415 -- slow to import
        BotoCoreError,
        ClientError,
        ParamValidationError,
    )

    try:
        send()
    except ParamValidationError as error:
        _log.error("what is to be published cannot be sent; it is left out", what=what, error=str(error))
    except ClientError as error:
        if _may_pass(error.response):
            _log.warning("AWS takes nothing now; it is tried again", what=what, error=str(error))
            return False
        _log.error("AWS refuses what is to be published; it is left out", what=what, error=str(error))
    except (BotoCoreError, _NotNow) as error:
        _log.warning("AWS did not take all; it is tried again", what=what, error=str(error))
        return False
    except Exception:  # noqa: BLE001 -- an endpoint that is no URL, and whatever else: the others go on
        _log.exception("what is to be published could not be sent; it is tried again", what=what)
        return False
    return True


def _may_pass(answer: Json) -> bool:
    status = answer.get("ResponseMetadata", {}).get("HTTPStatusCode", 500)
    return bool(status >= 500 or answer.get("Error", {}).get("Code", "") in _PASSING)


def _fitting(lines: Sequence[tuple[int, str]]) -> int:
    """How many lines go into one call; one that is too long by itself is for AWS to refuse."""
    size = 0
    for count, (_, text) in enumerate(lines[:LINES_AT_ONCE]):
        size += len(text.encode()) + BYTES_PER_LINE
        if size > BYTES_AT_ONCE and count:
            return count
    return min(len(lines), LINES_AT_ONCE)


def _aws_stream(state_machine_arn: str, at_ms: int) -> str:
    """states/NAME/YEAR-MONTH-DAY-HOUR-MINUTE/eight hexadecimal digits."""
    name = state_machine_arn.rpartition(":")[2].replace("/", "-")
    digest = hashlib.blake2b(f"{state_machine_arn}|{at_ms}".encode(), digest_size=4).hexdigest()
    return f"states/{name}/{to_datetime(at_ms):%Y-%m-%d-%H-%M}/{digest}"
