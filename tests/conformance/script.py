"""Plays the calls of one recording, in order, and compares every answer that was recorded.

A recording leaves out what its client polled for. So before a history that came to its end we wait for that
end, before a message for the message, and a placeholder in a call stands for what an earlier answer held.
"""

import json
import re
import time
import zlib
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from botocore.exceptions import ClientError, ParamValidationError

from tests.conformance.comparing import comparable, nearest_order
from tests.conformance.matching import Difference, Matcher
from tests.conformance.recordings import Call, Recording, is_error
from tests.conformance.world import ACCOUNT, REGION, World

Json = Any

PATIENCE_S: Final = 75.0
SETTLED_S: Final = 0.4
_LISTS: Final = {"ListStateMachines", "ListActivities"}
_NAMED_BY: Final = {
    "CreateBucket": "Bucket",
    "CreateQueue": "QueueName",
    "CreateTable": "TableName",
    "CreateTopic": "Name",
    "CreateLogGroup": "logGroupName",
    "PutRule": "Name",
}
_OWN: Final = {"CreateStateMachine", "CreateActivity"}
_MESSAGES: Final = {"stepfunctions_events", "messages"}
_PLACEHOLDER: Final = re.compile(r"<[A-Za-z_][\w:\-]*>")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")


def play(recording: Recording, world: World) -> list[Difference]:
    """Everything that did not go as recorded; empty when the scenario passes."""
    return _Script(recording, world).play()


@dataclass(slots=True)
class _Script:
    recording: Recording
    world: World
    account: str = ACCOUNT
    matcher: Matcher = field(default_factory=Matcher)
    values: dict[str, str] = field(default_factory=dict)
    answers: list[Json] = field(default_factory=list)
    messages: list[Json] = field(default_factory=list)
    outputs: list[Json] = field(default_factory=list)
    log_events: list[Json] = field(default_factory=list)
    tokens: dict[str, str] = field(default_factory=dict)
    queues: list[str] = field(default_factory=list)
    twin: tuple[str, str] | None = None
    differences: list[Difference] = field(default_factory=list)

    def play(self) -> list[Difference]:
        recording = self.recording
        tag = f"{zlib.crc32(recording.name.encode()):08x}"
        if any(call.operation in _LISTS for call in recording.calls):
            self.account = f"2{int(tag, 16) % 10**11:011d}"
        self.values = {"<region>": REGION, "<partition>": "aws", ACCOUNT: self.account}
        self._name_things(tag)
        self.matcher = Matcher(lenient_paths=recording.lenient_paths, known=self.values)
        for call in recording.calls:
            self._call(call)
        self._compare_the_rest()
        return self.differences

    def _name_things(self, tag: str) -> None:
        """Give what a scenario makes a name of its own, since many scenarios share the servers."""
        self.values["<aws-endpoint>"] = self.world.aws_url.removeprefix("http://")
        for name, behaviour in self.recording.lambdas:
            self.values[name] = self.world.functions[behaviour]
        for place, call in enumerate(self.recording.calls):
            key = "name" if call.operation in _OWN else _NAMED_BY.get(call.operation, "")
            given = call.parameters.get(key)
            if isinstance(given, str) and (given[:1] == "<" or _NAME.fullmatch(given)):
                self._name(call, given, tag, place)
            if call.operation == "PutRule":
                for word in _PLACEHOLDER.findall(call.parameters.get("EventPattern", "")):
                    self.values.setdefault(word, f"{word.strip('<>')}-{tag}")
            asked = call.parameters.get("name")
            if call.operation == "StartExecution" and isinstance(asked, str) and asked[:1] == "<":
                self.values.setdefault(asked, f"execution-{tag}")
            if call.error.endswith("DoesNotExist"):
                self._name_the_missing(call)
        self._name_roles()
        buckets = [
            call.parameters["Bucket"] for call in self.recording.calls if call.operation == "CreateBucket"
        ]
        if buckets:
            self.values.setdefault("bucket-name", self.values[buckets[0]])

    def _name(self, call: Call, given: str, tag: str, place: int) -> None:
        if call.operation in _OWN and given[:1] != "<" and call.error:
            return  # the name itself may be what is wrong
        if given in self.values:
            self._name_a_twin(call, given)
            return
        plain = re.sub(r"[^a-z0-9]+", "-", given.lower()).strip("-")[:30]
        actual = f"{plain}-{tag}-{place:02d}" if call.operation == "CreateStateMachine" else f"{plain}-{tag}"
        if "ArnPart" in given:
            actual = f"machine-{tag}_{_number(given)}_"
        if call.operation == "CreateActivity":
            actual = given  # recorded by its name; the account keeps it apart
            self.account = self.values[ACCOUNT] = f"2{int(tag, 16) % 10**11:011d}"
            self.values["activity_arn"] = f"arn:aws:states:{REGION}:{self.account}:activity:{given}"
        if call.operation == "CreateQueue":
            url = f"http://{self.values['<aws-endpoint>']}/{ACCOUNT}/{actual}"
            self.queues.append(url)
            for symbol in ("sqs_queue_url", "<sqs_queue_url>"):
                self.values.setdefault(symbol, url)
        self.values[given] = actual

    def _name_a_twin(self, call: Call, given: str) -> None:
        """Two state machines were recorded under one placeholder: the second is the one that is started."""
        made = [
            each
            for each in self.recording.calls
            if each.operation == "CreateStateMachine" and each.parameters.get("name") == given
        ]
        different = {each.parameters["definition"] for each in made}
        deletes = any(each.operation == "DeleteStateMachine" for each in self.recording.calls)
        if made and call is made[-1] and len(different) > 1 and not call.error and not deletes:
            self.twin = (self.values[given], f"{self.values[given]}twin")

    def _name_roles(self) -> None:
        roles = [call.parameters.get("roleArn") or "" for call in self.recording.calls]
        literal = next((role for role in roles if role.startswith("arn:")), None)
        for role in ("snf_role_arn", "sfn_role_arn", "<trusted_role_arn>"):
            own = f"arn:aws:iam::{self.account}:role/{role.strip('<>')}"
            only_literal = literal is not None and role not in roles and role[:1] != "<"
            self.values.setdefault(role, str(literal) if only_literal else own)
        self.values.setdefault("<secondary_test_aws_account_id>", self.account)

    def _name_the_missing(self, call: Call) -> None:
        """An ARN of something that is not there, recorded as a word."""
        for key, value in call.parameters.items():
            if key == "stateMachineArn" and re.fullmatch(r"\w+_arn", str(value)):
                missing = f"arn:aws:states:{REGION}:{self.account}:stateMachine:not-there"
                self.values.setdefault(value, missing)

    # --- calls ----------------------------------------------------------------------------------------------

    def _call(self, call: Call) -> None:
        parameters = self._filled(call.parameters)
        if len(parameters.get("nextToken", "")) > 1 and "xxx" not in parameters["nextToken"]:
            parameters["nextToken"] = self.answers[-1].get("nextToken", parameters["nextToken"])
        waits = _WAITS.get(call.operation)
        if waits is not None and not call.error and waits(self, call, parameters):
            return
        self._answered(call, self._ask(call, parameters))

    def _ask(self, call: Call, parameters: dict[str, Json]) -> Json:
        if call.operation == "CreateBucket":
            parameters.pop("CreateBucketConfiguration", None)  # the default region takes none
        if self.twin is not None:
            parameters = self._for_the_twin(call, parameters)
            return _renamed(self._asked(call, parameters), self.twin[1], self.twin[0])
        return self._asked(call, parameters)

    def _for_the_twin(self, call: Call, parameters: dict[str, Json]) -> dict[str, Json]:
        """The second of two machines of one name, once it is made."""
        assert self.twin is not None
        first, second = self.twin
        made = any("stateMachineArn" in each for each in self.answers)
        makes = call.operation == "CreateStateMachine" and made
        keys = {"name"} if makes else {"stateMachineArn", "executionArn"}
        return {
            key: value.replace(first, second) if key in keys and second not in value else value
            for key, value in parameters.items()
        }

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

    def _answered(self, call: Call, answer: Json) -> None:
        raised = answer.pop("raised", None)
        self.answers.append(answer)
        failed = raised is not None
        if failed and not call.error and call.service == "stepfunctions":
            self._differ(f"{call.operation}", "an answer", str(raised))
            return
        if call.error and call.error != "any":
            code = (
                type(raised).__name__
                if isinstance(raised, ParamValidationError)
                else answer.get("Error", {}).get("Code")
            )
            if code != call.error:
                self._differ(f"{call.operation} error", call.error, code or "an answer")
        for name in call.recorded_as:
            expected = self.recording.expected[name]
            told = _told(answer, raised, expected)
            if call.service != "stepfunctions" and isinstance(expected, dict):
                # The stand-in's own answer: what it leaves out is not ours to judge.
                expected = {key: value for key, value in expected.items() if key in told}
            self._compare(name, expected, told)

    def _differ(self, path: str, expected: Json, actual: Json) -> None:
        self.differences.append(Difference(path, expected, actual))

    def _compare(self, name: str, expected: Json, actual: Json) -> None:
        expected = self._filled(expected)
        if isinstance(expected, dict) and isinstance(actual, dict):
            expected, actual = comparable(expected, actual, month=self.recording.month)
        for difference in self.matcher.differences(expected, actual):
            self._differ(name + difference.path[1:], difference.expected, difference.actual)

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
            self._wait_for_log(len(expected))
            return sorted(
                self.log_events,
                key=lambda event: (event["event_timestamp"][:0], self._place(event), int(event["id"])),
            )
        if name == "end_event":
            return max(self.log_events, key=lambda event: int(event["id"]), default=None)
        if name in _MESSAGES:
            return nearest_order(expected, self._wait_for_messages(len(expected)), self._probe)
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
        return trial.differences(self._filled(expected), actual)

    def _place(self, event: Json) -> int:
        arns = [
            answer["executionArn"]
            for answer in self.answers
            if isinstance(answer, dict) and "startDate" in answer
        ]
        return arns.index(event["execution_arn"]) if event["execution_arn"] in arns else -1

    # --- placeholders ---------------------------------------------------------------------------------------

    def _filled(self, value: Json) -> Json:
        """A value with the names of this run in it."""
        if isinstance(value, dict):
            return {self._filled(key): self._filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self._filled(item) for item in value]
        return self._filled_text(value) if isinstance(value, str) else value

    def _filled_text(self, text: str) -> str:
        definition = re.fullmatch(r"@definitions\[(\d+)\]", text)
        if definition:
            found = self.recording.definitions[int(definition[1])]
            return self._filled_text(found if isinstance(found, str) else json.dumps(found))
        for name in sorted(self.values, key=len, reverse=True):
            if name in text and name != "<partition>":
                text = _replaced(text, name, self.values[name])
        return text

    def _bound(self, text: str, kind: str) -> str:
        """A text of a call in which a placeholder is still open: an earlier answer that fits has it."""
        if not _PLACEHOLDER.search(text):
            return text
        names = [name for name in _PLACEHOLDER.findall(text) if name not in self.values]
        pattern = re.escape(text)
        for place, name in enumerate(names):
            pattern = pattern.replace(re.escape(name), f"(?P<g{place}>[^:/]+)", 1)
        taken = set(self.values.values())
        for found in _texts(self.answers):
            match = re.fullmatch(pattern, found)
            if match and not set(match.groups()) & taken:
                for place, name in enumerate(names):
                    self.values[name] = match[f"g{place}"]
                return found
        self._differ(f"{kind} {text}", "something that an earlier answer named", "nothing")
        return text

    # --- waiting --------------------------------------------------------------------------------------------

    def until(self, look: Callable[[], Json], patience_s: float = PATIENCE_S) -> Json:
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
                    executionArn=self._real(arn), maxResults=1000, reverseOrder=True
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

        seen = self.until(look)
        if isinstance(seen, ClientError) or wanted is not None:
            self._answered(call, self._all_pages(call, parameters))
            return True
        if seen:
            self._note_output(seen)
        return True

    def _real(self, arn: str) -> str:
        return arn if self.twin is None or self.twin[1] in arn else arn.replace(*self.twin)

    def _all_pages(self, call: Call, parameters: dict[str, Json]) -> Json:
        answer = self._ask(call, {"maxResults": 1000, **parameters})
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
        known = set(_texts(self.answers))
        if arn in known or _PLACEHOLDER.search(arn):
            return self._bound(arn, "GetExecutionHistory")
        # Recorded by a name that is another one in this run: the next execution of the machine.
        head = arn.rpartition(":")[0] + ":"
        made = [text for text in _texts(self.answers) if text.startswith(head)]
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

        for message in self.until(look, limit_s) or []:
            self.messages.append(_read(message["Body"]))
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

    def _wait_for_messages(self, count: int) -> list[Json]:
        sqs = self.world.client("sqs")

        def look() -> bool:
            for url in self.queues:
                for message in sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", []):
                    self.messages.append(_read(message["Body"]))
            return len(self.messages) >= count

        self.until(look, 15.0)
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
                self._wait_for_messages(len(self.messages) + 1)
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
            self._wait_for_log(int(expected["end_event"]["id"]))
        return True

    def _wait_for_log(self, count: int) -> None:
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

        self.until(look, 15.0 if count else 1.0)

    def of_an_execution(self, call: Call, parameters: dict[str, Json]) -> bool:
        """Describe, stop, list: the ARN may be one that only an answer named."""
        for key in ("executionArn", "mapRunArn", "stateMachineArn"):
            if isinstance(parameters.get(key), str) and _PLACEHOLDER.search(parameters[key]):
                parameters[key] = self._bound(parameters[key], call.operation)
        if call.operation in {"DescribeExecution", "DescribeMapRun"} and call.recorded_as:
            self._wait_for_status(call, parameters)
        if call.operation == "ListExecutions" and call.recorded_as:
            self._wait_for_statuses(parameters, self.recording.expected[call.recorded_as[0]])
        return False

    def _wait_for_status(self, call: Call, parameters: dict[str, Json]) -> None:
        expected = self.recording.expected[call.recorded_as[0]]
        wanted = expected.get("status") if isinstance(expected, dict) else None
        if wanted not in {None, "RUNNING"}:
            self.until(lambda: self._ask(call, parameters).get("status") != "RUNNING")

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

        self.until(look, 20.0)


_ENDS: Final = {"ExecutionSucceeded", "ExecutionFailed", "ExecutionTimedOut", "ExecutionAborted"}
_RESTS: Final = {"TaskSubmitted", "WaitStateEntered", "ActivityScheduled", "ActivityStarted"}
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


def _number(placeholder: str) -> str:
    """The number in `<ArnPart_10idx>`; recorded names had it between underscores, which lists sort by."""
    return re.sub(r"\D", "", placeholder)


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


def _replaced(text: str, name: str, value: str) -> str:
    if name[:1] == "<":
        return text.replace(name, value)
    return re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", lambda _: value, text)


def _renamed(value: Json, name: str, to: str) -> Json:
    if isinstance(value, dict):
        return {key: item if key == "raised" else _renamed(item, name, to) for key, item in value.items()}
    if isinstance(value, list):
        return [_renamed(item, name, to) for item in value]
    return value.replace(name, to) if isinstance(value, str) else value


def _texts(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
    elif isinstance(value, str):
        yield value


def _read(text: str) -> Json:
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
                yield from _tokens(_read(value) if isinstance(value, str) else value)
