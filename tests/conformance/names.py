"""Names: what a placeholder of a recording stands for in this run.

Many scenarios share the servers, so what one makes has a name of its own. A placeholder that is still open
when a call needs it stands for what an earlier answer held.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any, Final

from tests.conformance.matching import Difference
from tests.conformance.recordings import Call, Recording
from tests.conformance.world import ACCOUNT, REGION, World

Json = Any

_NAMED_BY: Final = {
    "CreateBucket": "Bucket",
    "CreateQueue": "QueueName",
    "CreateTable": "TableName",
    "CreateTopic": "Name",
    "CreateLogGroup": "logGroupName",
    "PutRule": "Name",
}
_OWN: Final = {"CreateStateMachine", "CreateActivity"}
_MISSING: Final = {"stateMachineArn": "stateMachine:not-there", "executionArn": "execution:not-there:either"}
PLACEHOLDER: Final = re.compile(r"<[A-Za-z_][\w:\-]*>")
_NAME: Final = re.compile(r"[A-Za-z0-9_.-]+")


@dataclass(slots=True)
class Names:
    """The names of one scenario, and what it has been answered so far."""

    recording: Recording
    world: World
    account: str = ACCOUNT
    values: dict[str, str] = field(default_factory=dict)
    answers: list[Json] = field(default_factory=list)
    queues: list[str] = field(default_factory=list)
    twin: tuple[str, str] | None = None
    differences: list[Difference] = field(default_factory=list)

    def name_things(self, tag: str) -> None:
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
                for word in PLACEHOLDER.findall(call.parameters.get("EventPattern", "")):
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
            kind = _MISSING.get(key)
            if kind is not None and re.fullmatch(r"\w+_arn", str(value)):
                self.values.setdefault(value, f"arn:aws:states:{REGION}:{self.account}:{kind}")

    def for_the_twin(self, call: Call, parameters: dict[str, Json]) -> dict[str, Json]:
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

    def differ(self, path: str, expected: Json, actual: Json) -> None:
        self.differences.append(Difference(path, expected, actual))

    def filled(self, value: Json) -> Json:
        """A value with the names of this run in it."""
        if isinstance(value, dict):
            return {self.filled(key): self.filled(item) for key, item in value.items()}
        if isinstance(value, list):
            return [self.filled(item) for item in value]
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

    def bound(self, text: str, kind: str) -> str:
        """A text of a call in which a placeholder is still open: an earlier answer that fits has it."""
        if not PLACEHOLDER.search(text):
            return text
        names = [name for name in PLACEHOLDER.findall(text) if name not in self.values]
        pattern = re.escape(text)
        for place, name in enumerate(names):
            pattern = pattern.replace(re.escape(name), f"(?P<g{place}>[^:/]+)", 1)
        taken = set(self.values.values())
        for found in texts(self.answers):
            match = re.fullmatch(pattern, found)
            if match and not set(match.groups()) & taken:
                for place, name in enumerate(names):
                    self.values[name] = match[f"g{place}"]
                return found
        self.differ(f"{kind} {text}", "something that an earlier answer named", "nothing")
        return text

    def real(self, arn: str) -> str:
        return arn if self.twin is None or self.twin[1] in arn else arn.replace(*self.twin)


def _number(placeholder: str) -> str:
    """The number in `<ArnPart_10idx>`; recorded names had it between underscores, which lists sort by."""
    return re.sub(r"\D", "", placeholder)


def _replaced(text: str, name: str, value: str) -> str:
    if name[:1] == "<":
        return text.replace(name, value)
    return re.sub(rf"(?<![\w-]){re.escape(name)}(?![\w-])", lambda _: value, text)


def renamed(value: Json, name: str, to: str) -> Json:
    if isinstance(value, dict):
        return {key: item if key == "raised" else renamed(item, name, to) for key, item in value.items()}
    if isinstance(value, list):
        return [renamed(item, name, to) for item in value]
    return value.replace(name, to) if isinstance(value, str) else value


def texts(value: Json) -> Iterator[str]:
    if isinstance(value, dict):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from texts(item)
    elif isinstance(value, str):
        yield value
