"""SQS as a source of events: one thread per queue takes messages, and deletes them once they are committed.

A message whose events could not be committed is left alone and comes again when its visibility timeout ends;
the event ids see to it that nothing starts twice. A message that can never be read is left as well, so that
the queue's redrive policy moves it away; it is reported once.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from threading import Event, Thread
from typing import Any, Final

import structlog

from etl_runner.aws import AwsAccess
from etl_runner.errors import EtlRunnerError, InvalidInput
from etl_runner.jsontypes import Json
from etl_runner.schedule.events import EventService, EventTaken
from etl_runner.schedule.messages import events_of_message

_log = structlog.get_logger("queues")

FIRST_BACKOFF_S: Final = 1.0
MAX_BACKOFF_S: Final = 60.0

CLOSE_WAIT_S: Final = 2.0

REPORTED_AT_MOST: Final = 1_000
"""So many unreadable messages are remembered, in order to report each once."""


@dataclass(frozen=True, slots=True, kw_only=True)
class QueueSpec:
    """One queue as the configuration has it; see config.models.QueueEntry."""

    name: str
    queue_url: str
    region: str | None = None
    wait_s: int = 20
    max_messages: int = 10
    visibility_timeout_s: int | None = None


class QueuePoller:
    """Polls one queue. `trouble` says why no messages can be received or deleted; None when all is well."""

    def __init__(self, queue: QueueSpec, aws: AwsAccess, events: EventService) -> None:
        self.queue = queue
        self._aws = aws
        self._events = events
        self._closing = Event()
        self._reported: dict[str, None] = {}
        self._thread = Thread(target=self._run, name=f"queue-{queue.name}", daemon=True)
        self.trouble: str | None = None

    def open(self) -> None:
        """Begin to poll."""
        self._thread.start()

    def close(self) -> None:
        """Take no more messages. Returns promptly, even while a long poll is still open.

        A message which that poll should still bring is given back to the queue at once.
        """
        self._closing.set()
        if self._thread.is_alive():
            self._thread.join(timeout=CLOSE_WAIT_S)

    def _run(self) -> None:
        backoff_s = 0.0
        while not self._closing.wait(backoff_s):
            try:
                self.poll()
            except Exception as error:  # noqa: BLE001 -- SQS or the store is down; both may come back
                backoff_s = min(backoff_s * 2 or FIRST_BACKOFF_S, MAX_BACKOFF_S)
                self._in_trouble(error)
            else:
                backoff_s = 0.0
                self._at_ease()

    def poll(self) -> int:
        """Receive once, commit what came and delete it; gives how many messages were deleted.

        Raises what boto3 raises, and StoreUnavailable when some of it could not be committed.
        """
        client = self._aws.client("sqs", self.queue.region)
        request: dict[str, Any] = {
            "QueueUrl": self.queue.queue_url,
            "WaitTimeSeconds": self.queue.wait_s,
            "MaxNumberOfMessages": self.queue.max_messages,
        }
        if self.queue.visibility_timeout_s is not None:
            request["VisibilityTimeout"] = self.queue.visibility_timeout_s
        messages = client.receive_message(**request).get("Messages", [])
        if not messages:
            return 0
        if self._closing.is_set():
            self._give_back(client, messages)
            return 0
        taken, failure = self._take(messages)
        self._delete(client, taken)
        if failure is not None:
            raise failure
        return len(taken)

    # --- messages -----------------------------------------------------------------------------------------

    def _take(
        self, messages: Sequence[Mapping[str, Any]]
    ) -> tuple[list[Mapping[str, Any]], Exception | None]:
        """Commit the events of these messages; gives those that are done, and a failure that may pass."""
        read: list[tuple[Mapping[str, Any], list[Json]]] = []
        for message in messages:
            try:
                events = events_of_message(
                    message["Body"],
                    message_id=message["MessageId"],
                    queue=self.queue.name,
                    queue_url=self.queue.queue_url,
                )
            except InvalidInput as error:
                self._report(message, error)
            else:
                read.append((message, events))
        answers = iter(self._events.put_all([event for _, events in read for event in events]))
        taken: list[Mapping[str, Any]] = []
        failure: Exception | None = None
        for message, events in read:
            errors = [
                answer for answer in [next(answers) for _ in events] if not isinstance(answer, EventTaken)
            ]
            passing = [error for error in errors if not isinstance(error, InvalidInput)]
            if passing:
                failure = passing[0]
            elif errors:
                self._report(message, errors[0])
            else:
                taken.append(message)
        return taken, failure

    def _delete(self, client: Any, messages: Sequence[Mapping[str, Any]]) -> None:
        if not messages:
            return
        entries = [
            {"Id": str(index), "ReceiptHandle": message["ReceiptHandle"]}
            for index, message in enumerate(messages)
        ]
        answer = client.delete_message_batch(QueueUrl=self.queue.queue_url, Entries=entries)
        for failed in answer.get("Failed", []):
            # It comes again and starts nothing.
            _log.warning(
                "a message could not be deleted", queue=self.queue.name, error=failed.get("Message", "")
            )

    def _give_back(self, client: Any, messages: Sequence[Mapping[str, Any]]) -> None:
        for message in messages:
            client.change_message_visibility(
                QueueUrl=self.queue.queue_url, ReceiptHandle=message["ReceiptHandle"], VisibilityTimeout=0
            )

    # --- what is said of it -------------------------------------------------------------------------------

    def _report(self, message: Mapping[str, Any], error: EtlRunnerError) -> None:
        message_id = message["MessageId"]
        if message_id in self._reported:
            return
        self._reported[message_id] = None
        if len(self._reported) > REPORTED_AT_MOST:
            del self._reported[next(iter(self._reported))]
        _log.error(
            "a message holds no event; it is left to the queue's redrive policy",
            queue=self.queue.name,
            message_id=message_id,
            error=str(error),
        )

    def _in_trouble(self, error: Exception) -> None:
        text = f"{type(error).__name__}: {error}"
        if self.trouble is None and not self._closing.is_set():
            _log.error("the queue cannot be polled; trying again", queue=self.queue.name, error=text)
        self.trouble = text

    def _at_ease(self) -> None:
        if self.trouble is not None:
            _log.info("the queue is polled again", queue=self.queue.name)
            self.trouble = None
