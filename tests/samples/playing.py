"""One run of a sample: make what it needs, start it, answer it, look at what it left."""

import json
import time
from dataclasses import dataclass, field
from typing import Any, Final

from tests.samples.model import (
    Bucket,
    Bus,
    Json,
    Machine,
    Queue,
    Refusal,
    Resource,
    Sample,
    Table,
    Topic,
    differences,
    missing,
)
from tests.samples.stage import ACCOUNT, REGION, Stage, own_name, with_own_names
from tests.shared_data import shared_file

PATIENCE_S: Final = 30.0
SETTLED_S: Final = 5.0
_TOKEN_FIELDS: Final = {"TaskToken", "taskToken", "token"}
_ROLE: Final = f"arn:aws:iam::{ACCOUNT}:role/sample"


def play(sample: Sample, number: int, stage: Stage) -> list[str]:
    """Run a sample; how its end differs from what the table says, as sentences. None when it does not."""
    return Play(sample, number, stage).run()


@dataclass(slots=True)
class Play:
    """The run of one sample."""

    sample: Sample
    number: int
    stage: Stage
    _messages: dict[str, list[Json]] = field(default_factory=dict)
    _answered: dict[str, int] = field(default_factory=dict)

    def run(self) -> list[str]:
        """Everything in its order; what is not as the table says."""
        sample = self.sample
        for resource in sample.makes:
            self._make(resource)
        for name, machine in sample.machines.items():
            self._create(name, machine)
        own = Machine(file=sample.file, express=sample.express)
        arn = self._create(f"sample-{sample.file[-30:]}", own)
        text = json.dumps(with_own_names(sample.input, sample, self.number))
        if sample.express:
            end = self._sfn.start_sync_execution(stateMachineArn=arn, input=text)
            return self._compared(end)
        for each in [
            self._sfn.start_execution(stateMachineArn=arn, input=text) for _ in range(sample.before)
        ]:
            self._ended(each["executionArn"])
        execution = self._sfn.start_execution(stateMachineArn=arn, input=text)["executionArn"]
        return self._compared(self._ended(execution)) + self._passed(execution)

    @property
    def _sfn(self) -> Any:
        return self.stage.client("stepfunctions")

    def _make(self, resource: Resource) -> None:
        name = own_name(resource.name, self.number)
        match resource:
            case Table():
                dynamodb = self.stage.client("dynamodb")
                keys = [(resource.key, "HASH"), (resource.sort, "RANGE")][: 2 if resource.sort else 1]
                dynamodb.create_table(
                    TableName=name,
                    KeySchema=[{"AttributeName": key, "KeyType": kind} for key, kind in keys],
                    AttributeDefinitions=[{"AttributeName": key, "AttributeType": "S"} for key, _ in keys],
                    BillingMode="PAY_PER_REQUEST",
                )
                for item in resource.items:
                    dynamodb.put_item(TableName=name, Item=item)
            case Queue():
                self._queue(name)
            case Topic():
                sns = self.stage.client("sns")
                topic = sns.create_topic(Name=name)["TopicArn"]
                self._queue(name)
                sns.subscribe(
                    TopicArn=topic,
                    Protocol="sqs",
                    Endpoint=f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}",
                    Attributes={"RawMessageDelivery": "true"},
                )
            case Bus():
                events = self.stage.client("events")
                events.create_event_bus(Name=name)
                self._queue(name)
                rule = {"Name": "all", "EventBusName": name}
                events.put_rule(**rule, EventPattern=json.dumps({"account": [ACCOUNT]}))
                target = {"Id": "1", "Arn": f"arn:aws:sqs:{REGION}:{ACCOUNT}:{name}"}
                events.put_targets(Rule="all", EventBusName=name, Targets=[target])
            case Bucket():
                s3 = self.stage.client("s3")
                s3.create_bucket(Bucket=name)
                for key, text in resource.objects.items():
                    s3.put_object(Bucket=name, Key=key, Body=text.encode())

    def _queue(self, name: str) -> None:
        self.stage.client("sqs").create_queue(QueueName=name)

    def _create(self, name: str, machine: Machine) -> str:
        definition = machine.definition
        if machine.file:
            path = shared_file("corpus", "valid", f"{machine.file}.asl.json")
            definition = json.loads(path.read_text())
        definition = with_own_names(definition, self.sample, self.number)
        waits = _shortened(definition, dict(self.sample.seconds))
        if machine.file == self.sample.file:
            assert not waits, f"no Wait state with Seconds is called {', '.join(waits)}"
        created = self._sfn.create_state_machine(
            name=own_name(name, self.number),
            definition=json.dumps(definition),
            roleArn=_ROLE,
            type="EXPRESS" if machine.express else "STANDARD",
        )
        return str(created["stateMachineArn"])

    def _ended(self, execution: str) -> Json:
        limit = time.monotonic() + PATIENCE_S
        pause = 0.03
        while True:
            for name in self.sample.answers:
                self._read(name)
            end = self._sfn.describe_execution(executionArn=execution)
            if end["status"] != "RUNNING" or time.monotonic() > limit:
                return end
            time.sleep(pause)
            pause = min(pause * 1.5, 0.3)

    def _read(self, name: str) -> None:
        """Take what is in a queue, and send the next answer for every token."""
        sqs = self.stage.client("sqs")
        url = f"https://sqs.{REGION}.amazonaws.com/{ACCOUNT}/{own_name(name, self.number)}"
        while True:
            messages = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
            if not messages:
                return
            for message in messages:
                sqs.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
                body = _parsed(message["Body"])
                self._messages.setdefault(name, []).append(body)
                token = _token(body) if name in self.sample.answers else None
                if token is not None:
                    self._answer(name, token)

    def _answer(self, name: str, token: str) -> None:
        place = self._answered.get(name, 0)
        self._answered[name] = place + 1
        answer = self.sample.answers[name][place]
        if isinstance(answer, Refusal):
            self._sfn.send_task_failure(taskToken=token, error=answer.error, cause=answer.cause)
        else:
            self._sfn.send_task_success(taskToken=token, output=json.dumps(answer))

    def _compared(self, end: Json) -> list[str]:
        sample = self.sample
        found = differences(sample.status, end["status"], "status")
        if found:
            told = {name: end[name] for name in ("error", "cause", "output") if name in end}
            return [*found, json.dumps(told)[:2000]]
        found += differences(sample.error, end.get("error"), "error")
        found += differences(sample.cause, end.get("cause"), "cause")
        found += differences(sample.output, json.loads(end.get("output", "null")), "output")
        return found + [each for name in sample.leaves for each in self._left(name)]

    def _left(self, name: str) -> list[str]:
        """What is not in a resource, or too much in it; waits for what comes a little later."""
        limit = time.monotonic() + SETTLED_S
        while True:
            found = self._look(name)
            if not found or time.monotonic() > limit:
                return [f"{name}: {each}" for each in found]
            time.sleep(0.2)

    def _look(self, name: str) -> list[str]:
        resource = next(each for each in self.sample.makes if each.name == name)
        expected, own = self.sample.leaves[name], own_name(name, self.number)
        match resource:
            case Table():
                items = self.stage.client("dynamodb").scan(TableName=own)["Items"]
                return missing(expected, items)
            case Bucket():
                s3 = self.stage.client("s3")
                keys = [each["Key"] for each in s3.list_objects_v2(Bucket=own).get("Contents", [])]
                bodies = {key: s3.get_object(Bucket=own, Key=key)["Body"].read().decode() for key in keys}
                return differences(expected, {key: _parsed(body) for key, body in bodies.items()})
            case _:
                self._read(name)
                return missing(expected, self._messages.get(name, []))

    def _passed(self, execution: str) -> list[str]:
        if not self.sample.passes:
            return []
        pages = self._sfn.get_paginator("get_execution_history").paginate(executionArn=execution)
        events = [event for page in pages for event in page["events"]]
        entered = [
            event["stateEnteredEventDetails"]["name"]
            for event in events
            if "stateEnteredEventDetails" in event
        ]
        return differences(list(self.sample.passes), entered, "states passed")


def _parsed(text: str) -> Json:
    try:
        return json.loads(text)
    except ValueError:
        return text


def _token(body: Json) -> str | None:
    """The task token that is anywhere in a message."""
    if not isinstance(body, dict):
        return None
    for name, value in body.items():
        if name in _TOKEN_FIELDS and isinstance(value, str):
            return value
        found = _token(value)
        if found is not None:
            return found
    return None


def _shortened(definition: Json, seconds: dict[str, int]) -> dict[str, int]:
    """Shorten Wait states in place; gives back those that were not found."""
    if isinstance(definition, list):
        for each in definition:
            seconds = _shortened(each, seconds)
    elif isinstance(definition, dict):
        for name, state in definition.get("States", {}).items():
            if name in seconds and "Seconds" in state:
                state["Seconds"] = seconds.pop(name)
        for each in definition.values():
            seconds = _shortened(each, seconds)
    return seconds
