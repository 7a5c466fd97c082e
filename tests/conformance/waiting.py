"""Waiting: a recording leaves out what its client polled for, so it is polled for here.

Before a history that came to its end we wait for that end, before a message for the message, before a log for
as many lines as were recorded.
"""

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError, ParamValidationError

from tests.conformance.names import PLACEHOLDER, Names, texts
from tests.conformance.recordings import Call

Json = Any

PATIENCE_S: Final = 75.0
SETTLED_S: Final = 0.4
_ENDS: Final = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"}
_RESTS: Final = {"TaskSubmitted", "WaitStateEntered", "ActivityScheduled", "ActivityStarted"}


@dataclass(slots=True)
class Waiting(Names):
    """Calls that are made, or answered, only once there is something to see.

    Each gives True when there is nothing left to do for the call.
    """

    messages: list[Json] = field(default_factory=list)
    outputs: list[Json] = field(default_factory=list)
    log_events: list[Json] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)

    def ask(self, call: Call, parameters: dict[str, Json]) -> Json:
        """Make a call; a failure is in the answer under "raised"."""
        raise NotImplementedError

    def answered(self, call: Call, answer: Json) -> None:
        """Compare an answer where it was recorded."""
        raise NotImplementedError

    def _until(self, look: Callable[[], Json], patience_s: float = PATIENCE_S) -> Json:
        """Look until there is something; what was seen last when time is up."""
        limit = time.monotonic() + patience_s
        pause = 0.02
        while True:
            found = look()
            if found or time.monotonic() > limit:
                return found
            time.sleep(pause)
            pause = min(pause * 1.4, 0.25)

    def get_history(self, call: Call, parameters: dict[str, Json]) -> bool:
        """Ask once the execution has ended, or stands still; answers only where the answer was recorded."""
        parameters["executionArn"] = self._execution(parameters["executionArn"])
        expected = next((self.recording.expected[name] for name in call.recorded_as), None)
        wanted = expected.get("events") if isinstance(expected, dict) else None
        sfn = self.world.client("stepfunctions", self.account)
        arn = parameters["executionArn"]
        still: list[Json] = [0, 0.0]

        def look() -> Json:
            try:
                events = sfn.get_execution_history(
                    executionArn=self.real(arn), maxResults=1000, reverseOrder=True
                )["events"]
            except ClientError as error:
                return error
            if any(event["type"] in _ENDS for event in events[:1]):
                return events
            if len(events) != still[0]:
                still[:] = [len(events), time.monotonic()]
            if wanted is not None:
                lasts = {event.get("type") for event in wanted}
                return events if not lasts & _ENDS and len(events) >= len(wanted) else None
            rests = events[0]["type"] in _RESTS or len(self.recording.calls) > 20
            return events if rests and time.monotonic() - still[1] > SETTLED_S else None

        seen = self._until(look)
        if isinstance(seen, ClientError) or wanted is not None:
            self.answered(call, self._all_pages(call, parameters))
            return True
        if seen:
            self._note_output(seen)
        return True

    def _all_pages(self, call: Call, parameters: dict[str, Json]) -> Json:
        answer = self.ask(call, {"maxResults": 1000, **parameters})
        answer.pop("nextToken", None)
        return answer

    def _note_output(self, events: list[Json]) -> None:
        """The input and the output of an execution that has ended; `events` are the newest first."""
        started, ended = events[-1].get("executionStartedEventDetails", {}), events[0]
        details: Json = next((value for key, value in ended.items() if key.endswith("EventDetails")), {})
        self.outputs.append({"input": started.get("input"), "output": details.get("output")})

    def _execution(self, arn: str) -> str:
        if "<the-execution>" in arn:
            began = [answer["executionArn"] for answer in self.answers if "executionArn" in answer]
            return str(began[-1])
        if not arn.startswith("arn:"):
            return arn
        known = set(texts(self.answers))
        if arn in known or PLACEHOLDER.search(arn):
            return self.bound(arn, "GetExecutionHistory")
        # Recorded by a name that is another one in this run: the next execution of the machine.
        head = arn.rpartition(":")[0] + ":"
        made = [text for text in texts(self.answers) if text.startswith(head)]
        return str(made[-1]) if made else arn

    def receive(self, _call: Call, parameters: dict[str, Json]) -> bool:
        """Take a message, waiting for it when the scenario is about messages."""
        awaited = self._executions_began()
        sqs = self.world.client("sqs")
        limit_s = 20.0 if awaited and self._messages_wanted() else 1.0
        parameters = {**parameters, "MaxNumberOfMessages": 1, "WaitTimeSeconds": 0}
        parameters.pop("VisibilityTimeout", None)

        def look() -> Json:
            return sqs.receive_message(**parameters).get("Messages")

        for message in self._until(look, limit_s) or []:
            self.messages.append(read_json(message["Body"]))
        return True

    def _executions_began(self) -> bool:
        return any(isinstance(answer, dict) and "executionArn" in answer for answer in self.answers)

    def _messages_wanted(self) -> bool:
        operations = [call.operation for call in self.recording.calls]
        expected = self.recording.expected
        return (
            "messages" in expected
            or "stepfunctions_events" in expected
            or any(operation.startswith("SendTask") for operation in operations)
        )

    def wait_for_messages(self, count: int) -> list[Json]:
        sqs = self.world.client("sqs")

        def look() -> bool:
            for url in self.queues:
                for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                    self.messages.append(read_json(message["Body"]))
            return len(self.messages) >= count

        self._until(look, 15.0)
        return self.messages

    def token(self, call: Call, parameters: dict[str, Json]) -> bool:
        """The token in a call is that of the run it was recorded in; ours came with a message."""
        recorded = call.parameters["taskToken"]
        if recorded not in self.tokens and not recorded.startswith("<invalid"):
            found = [
                token
                for message in self.messages
                for token in _tokens(message)
                if token not in self.tokens.values()
            ]
            if not found and self.queues and len(self._starts()) > len(self.tokens):
                self.wait_for_messages(len(self.messages) + 1)
                found = [
                    token
                    for message in self.messages
                    for token in _tokens(message)
                    if token not in self.tokens.values()
                ]
            if found:
                self.tokens[recorded] = found[0]
        parameters["taskToken"] = self.tokens.get(recorded, parameters["taskToken"])
        return False

    def _starts(self) -> list[Call]:
        return [call for call in self.recording.calls if call.operation == "StartExecution"]

    def get_log(self, _call: Call, parameters: dict[str, Json]) -> bool:
        """Read the log once it has what was recorded (or has had the time to)."""
        self.answers.append({"log": parameters})
        expected = self.recording.expected
        if "end_event" in expected:
            self.wait_for_log(int(expected["end_event"]["id"]))
        return True

    def wait_for_log(self, count: int) -> None:
        asked = next(answer["log"] for answer in reversed(self.answers) if "log" in answer)
        logs = self.world.client("logs")

        def look() -> bool:
            try:
                streams = logs.describe_log_streams(logGroupName=asked["logGroupName"])["logStreams"]
            except ClientError:
                return False
            self.log_events = [
                json.loads(event["message"])
                for stream in streams
                if stream["logStreamName"].startswith("states/")
                for event in logs.get_log_events(
                    logGroupName=asked["logGroupName"],
                    logStreamName=stream["logStreamName"],
                    startFromHead=True,
                )["events"]
            ]
            return len(self.log_events) >= count > 0

        self._until(look, 15.0 if count else 1.0)

    def of_an_execution(self, call: Call, parameters: dict[str, Json]) -> bool:
        """Describe, stop, list: the ARN may be one that only an answer named."""
        for key in ("executionArn", "mapRunArn", "stateMachineArn"):
            if isinstance(parameters.get(key), str) and PLACEHOLDER.search(parameters[key]):
                parameters[key] = self.bound(parameters[key], call.operation)
        if call.operation in {"DescribeExecution", "DescribeMapRun"} and call.recorded_as:
            self._wait_for_status(call, parameters)
        if call.operation == "ListExecutions" and call.recorded_as:
            self._wait_for_statuses(parameters, self.recording.expected[call.recorded_as[0]])
        return False

    def _wait_for_status(self, call: Call, parameters: dict[str, Json]) -> None:
        expected = self.recording.expected[call.recorded_as[0]]
        wanted = expected.get("status") if isinstance(expected, dict) else None
        if wanted not in {None, "RUNNING"}:
            self._until(lambda: self.ask(call, parameters).get("status") != "RUNNING")

    def _wait_for_statuses(self, parameters: dict[str, Json], expected: Json) -> None:
        sfn = self.world.client("stepfunctions", self.account)
        statuses = (
            [each.get("status") for each in expected.get("executions", [])]
            if isinstance(expected, dict)
            else []
        )
        if "RUNNING" in statuses or not statuses:
            return

        def look() -> bool:
            try:
                found = sfn.list_executions(stateMachineArn=parameters["stateMachineArn"])["executions"]
            except (ClientError, KeyError, ParamValidationError):
                return True
            return all(each["status"] != "RUNNING" for each in found)

        self._until(look, 20.0)


def read_json(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _tokens(message: Json) -> Iterator[str]:
    if isinstance(message, dict):
        for key, value in message.items():
            if key.lower() == "tasktoken" and isinstance(value, str):
                yield value
            else:
                yield from _tokens(read_json(value) if isinstance(value, str) else value)
