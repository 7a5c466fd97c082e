"""Plays the calls of one recording, in order, and compares every answer that was recorded."""

import re
import zlib
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError, ParamValidationError

from tests.conformance.comparing import comparable, nearest_order
from tests.conformance.matching import Difference, Matcher
from tests.conformance.names import renamed
from tests.conformance.recordings import Call, Recording, is_error
from tests.conformance.waiting import Waiting
from tests.conformance.world import ACCOUNT, REGION, World

Json = Any

_LISTS: Final = {"ListStateMachines", "ListActivities"}
_MESSAGES: Final = {"stepfunctions_events", "messages"}


def play(recording: Recording, world: World) -> list[Difference]:
    """Everything that did not go as recorded; empty when the scenario passes."""
    return _Script(recording, world).play()


@dataclass(slots=True)
class _Script(Waiting):
    matcher: Matcher = field(default_factory=Matcher)

    def play(self) -> list[Difference]:
        recording = self.recording
        tag = f"{zlib.crc32(recording.name.encode()):08x}"
        if any(call.operation in _LISTS for call in recording.calls):
            self.account = f"2{int(tag, 16) % 10**11:011d}"
        self.values = {"<region>": REGION, "<partition>": "aws", ACCOUNT: self.account}
        self.name_things(tag)
        self.matcher = Matcher(lenient_paths=recording.lenient_paths, known=self.values)
        for call in recording.calls:
            self._call(call)
        self._compare_the_rest()
        return self.differences

    def _call(self, call: Call) -> None:
        parameters = self.filled(call.parameters)
        if len(parameters.get("nextToken", "")) > 1 and "xxx" not in parameters["nextToken"]:
            parameters["nextToken"] = self.answers[-1].get("nextToken", parameters["nextToken"])
        waits = _WAITS.get(call.operation)
        if waits is not None and not call.error and waits(self, call, parameters):
            return
        self.answered(call, self.ask(call, parameters))

    def ask(self, call: Call, parameters: dict[str, Json]) -> Json:
        if call.operation == "CreateBucket":
            parameters.pop("CreateBucketConfiguration", None)  # the default region takes none
        if self.twin is not None:
            parameters = self.for_the_twin(call, parameters)
            return renamed(self._asked(call, parameters), self.twin[1], self.twin[0])
        return self._asked(call, parameters)

    def _asked(self, call: Call, parameters: dict[str, Json]) -> Json:
        method = re.sub(r"(?<!^)(?=[A-Z])", "_", call.operation).lower().replace("_s_m_s", "_sms")
        client = self.world.client(call.service, self.account if call.service == "stepfunctions" else ACCOUNT)
        operations = {operation: name for name, operation in client.meta.method_to_api_mapping.items()}
        try:
            answer = getattr(client, operations.get(call.operation, method))(**parameters)
            return {
                key: item.read().decode() if hasattr(item, "read") else item for key, item in answer.items()
            }
        except ClientError as error:
            return {**error.response, "raised": error}
        except ParamValidationError as error:
            return {"raised": error}

    def answered(self, call: Call, answer: Json) -> None:
        raised = answer.pop("raised", None)
        self.answers.append(answer)
        failed = raised is not None
        if failed and not call.error and call.service == "stepfunctions":
            self.differ(f"{call.operation}", "an answer", str(raised))
            return
        if call.error and call.error != "any":
            code = (
                type(raised).__name__
                if isinstance(raised, ParamValidationError)
                else answer.get("Error", {}).get("Code")
            )
            if code != call.error:
                self.differ(f"{call.operation} error", call.error, code or "an answer")
        for name in call.recorded_as:
            expected = self.recording.expected[name]
            told = _told(answer, raised, expected)
            if call.service != "stepfunctions" and isinstance(expected, dict):
                # The stand-in's own answer: what it leaves out is not ours to judge.
                expected = {key: value for key, value in expected.items() if key in told}
            self._compare(name, expected, told)

    def _compare(self, name: str, expected: Json, actual: Json) -> None:
        expected = self.filled(expected)
        if isinstance(expected, dict) and isinstance(actual, dict):
            expected, actual = comparable(expected, actual, month=self.recording.month)
        for difference in self.matcher.differences(expected, actual):
            self.differ(name + difference.path[1:], difference.expected, difference.actual)

    def _compare_the_rest(self) -> None:
        """Entries that no call answers with directly: what was found in queues, logs, and last events."""
        named = {name for call in self.recording.calls for name in call.recorded_as}
        for name, recorded in self.recording.expected.items():
            if name in named:
                continue
            expected = recorded
            if name in _MESSAGES:  # one that was not deleted was received, and recorded, again
                expected = [item for place, item in enumerate(recorded) if item not in recorded[:place]]
            self._compare(name, expected, self._found(name, expected))

    def _found(self, name: str, expected: Json) -> Json:
        if name == "cases":
            return [
                {"input": found["input"], "output": found["output"]}
                for found, _ in zip(self.outputs, expected, strict=False)
            ]
        if name == "logged_execution_events":
            self.wait_for_log(len(expected))
            return sorted(
                self.log_events,
                key=lambda event: (event["event_timestamp"][:0], self._place(event), int(event["id"])),
            )
        if name == "end_event":
            return max(self.log_events, key=lambda event: int(event["id"]), default=None)
        if name in _MESSAGES:
            return nearest_order(expected, self.wait_for_messages(len(expected)), self._probe)
        return self._pages_together(expected) if isinstance(expected, list) else None

    def _pages_together(self, expected: list[Json]) -> Json:
        """Pages that follow each other, as long together as the recorded list: those that are it, if any."""
        found = [value for answer in self.answers for value in answer.values() if isinstance(value, list)]
        runs = [
            [item for page in found[begin:end] for item in page]
            for begin in range(len(found))
            for end in range(begin + 1, len(found) + 1)
        ]
        fitting = [run for run in runs if len(run) == len(expected)]
        alike = (run for run in fitting if not self._probe(expected, run))
        return next(alike, fitting[0] if fitting else None)

    def _probe(self, expected: Json, actual: Json) -> list[Difference]:
        trial = Matcher(lenient_paths=self.recording.lenient_paths, known=dict(self.values))
        return trial.differences(self.filled(expected), actual)

    def _place(self, event: Json) -> int:
        arns = [
            answer["executionArn"]
            for answer in self.answers
            if isinstance(answer, dict) and "startDate" in answer
        ]
        return arns.index(event["execution_arn"]) if event["execution_arn"] in arns else -1


_WAITS: Final[dict[str, Callable[[_Script, Call, dict[str, Json]], bool]]] = {
    "GetExecutionHistory": _Script.get_history,
    "ReceiveMessage": _Script.receive,
    "GetLogEvents": _Script.get_log,
    "SendTaskSuccess": _Script.token,
    "SendTaskFailure": _Script.token,
    "SendTaskHeartbeat": _Script.token,
    "DeleteMessage": lambda *_: True,
    "DescribeExecution": _Script.of_an_execution,
    "DescribeMapRun": _Script.of_an_execution,
    "DescribeStateMachineForExecution": _Script.of_an_execution,
    "ListExecutions": _Script.of_an_execution,
    "ListMapRuns": _Script.of_an_execution,
    "StopExecution": _Script.of_an_execution,
    "UpdateMapRun": _Script.of_an_execution,
}


def _told(answer: Json, raised: Exception | None, expected: Json) -> Json:
    """An answer in the form in which it was recorded."""
    if raised is not None and isinstance(expected, str):
        return str(raised)
    if raised is not None and isinstance(expected, dict) and "exception_typename" in expected:
        shown = answer.get("Error", {}).get("Code", type(raised).__name__)
        return {"exception_typename": shown, "exception_value": str(raised)}
    if isinstance(raised, ParamValidationError):
        return {"Error": {"Code": "ParamValidationError", "Message": str(raised)}}
    found = dict(answer)
    metadata = found.get("ResponseMetadata")
    if metadata is not None:
        found["ResponseMetadata"] = {"HTTPHeaders": {}, "HTTPStatusCode": metadata["HTTPStatusCode"]}
    if is_error(expected) and "Error" in found:
        found["Error"] = {
            key: value
            for key, value in found["Error"].items()
            if key in {"Code", "Message"} or key in expected["Error"]
        }
    if isinstance(expected, list):
        return next((value for value in found.values() if isinstance(value, list)), found)
    return found
