"""What the world is told: status changes to EventBridge, events of histories to CloudWatch Logs."""

import json
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from etl_runner.aws import AwsAccess
from etl_runner.clock import SystemClock
from etl_runner.engine.deliver import Delivery, Parcel
from etl_runner.engine.engine import Engine
from etl_runner.engine.policy import Policy
from etl_runner.engine.published import is_logged
from etl_runner.store.outbox import pages_to_tell
from tests.conftest import access_to, close_clients
from tests.engine.harness import PASS, TASK, World, chain, fail, single

STREAM = "states/arn:aws:states:us-east-1:123456789012:stateMachine:machine"


def logging(group: str, level: str = "ALL", *, data: bool = True) -> dict[str, Any]:
    arn = f"arn:aws:logs:us-east-1:123456789012:log-group:{group}:*"
    return {
        "level": level,
        "includeExecutionData": data,
        "destinations": [{"cloudWatchLogsLogGroup": {"logGroupArn": arn}}],
    }


class Told(World):
    """A world whose engine runs in real time and publishes."""

    tell_status = False

    def begin(self) -> None:
        super().begin()
        self.engine = Engine(
            store=self.store,
            invoker=self.script,
            aws=self.aws,
            clock=SystemClock(),
            policy=Policy(tell_status=self.tell_status),
        )

    def run(self, definition: Any, given: Any = None, **more: Any) -> str:
        """Start an execution, and wait until it has ended; gives its ARN."""
        started = self.engine.start(self.request(definition, given, **more)).result(10)
        self.engine.when_ended(started.execution_id).result(10)
        return started.arn

    def settle(self) -> None:
        """End the engine, which delivers what waits."""
        self.engine.close(1)


@pytest.fixture(scope="module")
def moto(moto_url: str) -> Iterator[AwsAccess]:
    """One access for all tests here: each makes names of its own instead of emptying the server."""
    access = access_to(moto_url)
    yield access
    close_clients(access)


@pytest.fixture
def group(moto: AwsAccess) -> str:
    name = f"executions-{uuid.uuid4().hex}"
    moto.client("logs").create_log_group(logGroupName=name)
    return name


@pytest.fixture
def told(tmp_path: Path, moto: AwsAccess) -> Iterator[Told]:
    world = Told(tmp_path, aws=moto)
    world.engine.open()
    yield world
    world.end()


def lines(moto: AwsAccess, group: str) -> list[dict[str, Any]]:
    logs = moto.client("logs")
    found = logs.get_log_events(logGroupName=group, logStreamName=STREAM, startFromHead=True)["events"]
    return [json.loads(each["message"]) for each in found]


def test_all_events_of_a_history_are_logged_with_their_data(told: Told, moto: AwsAccess, group: str) -> None:
    arn = told.run(single(PASS), {"a": 1}, logging=logging(group))
    told.settle()
    logged = lines(moto, group)

    assert [(each["id"], each["previous_event_id"], each["type"]) for each in logged] == [
        ("1", "0", "ExecutionStarted"),
        ("2", "0", "PassStateEntered"),
        ("3", "2", "PassStateExited"),
        ("4", "3", "ExecutionSucceeded"),
    ]
    assert {each["execution_arn"] for each in logged} == {arn}
    assert {each["redrive_count"] for each in logged} == {"0"}
    assert logged[1]["details"] == {"input": '{"a":1}', "inputDetails": {"truncated": False}, "name": "Only"}
    assert logged[3]["event_timestamp"].isdigit()


def test_without_data_the_details_are_what_is_left(told: Told, moto: AwsAccess, group: str) -> None:
    told.run(single(PASS), {"a": 1}, logging=logging(group, data=False), role_arn="role")
    told.settle()

    assert [each["details"] for each in lines(moto, group)] == [
        {"roleArn": "role"},
        {"name": "Only"},
        {"name": "Only"},
        {},
    ]


@pytest.mark.parametrize(
    ("level", "logged"),
    [
        ("ERROR", ["FailStateEntered", "ExecutionFailed"]),
        ("FATAL", ["ExecutionFailed"]),
    ],
)
def test_a_level_logs_its_events_only(
    told: Told, moto: AwsAccess, group: str, level: str, logged: list[str]
) -> None:
    machine = told.define(
        {"StartAt": "P", "States": {"P": {"Type": "Pass", "Next": "F"}, "F": {"Type": "Fail"}}}
    )
    told.run(machine, logging=logging(group, level))
    told.run(single(PASS), logging=logging(group, level))
    told.settle()

    assert [each["type"] for each in lines(moto, group)] == logged


def test_which_events_belong_to_a_level() -> None:
    kinds = [
        "TaskFailed",
        "TaskTimedOut",
        "MapStateAborted",
        "ExecutionTimedOut",
        "TaskSucceeded",
        "EvaluationFailed",
    ]

    assert [kind for kind in kinds if is_logged(kind, "ERROR")] == [*kinds[:4], kinds[5]]
    assert [kind for kind in kinds if is_logged(kind, "FATAL")] == ["ExecutionTimedOut"]
    assert [kind for kind in kinds if is_logged(kind, "OFF")] == []


def test_events_of_many_turns_follow_one_another(told: Told, moto: AwsAccess, group: str) -> None:
    for _ in range(2):
        told.run(chain("A", "B", "C"), logging=logging(group))
    told.settle()
    logged = lines(moto, group)

    assert [each["id"] for each in logged] == [str(number) for number in range(1, 18)] * 2


def test_express_executions_are_logged_from_memory(told: Told, moto: AwsAccess, group: str) -> None:
    wanted = told.request(chain("A", "B"), logging=logging(group), express=True, sync=True)
    ended = told.engine.start_sync(wanted).result(10)
    told.settle()
    logged = lines(moto, group)

    assert [each["id"] for each in logged] == [str(number) for number in range(1, 13)]
    assert {each["execution_arn"] for each in logged} == {ended.arn}


def test_what_was_told_leaves_the_outbox(told: Told, group: str) -> None:
    told.run(chain("A", "B"), logging=logging(group))
    told.settle()

    assert pages_to_tell(told.store, 10) == []


def test_what_an_earlier_process_could_not_tell_is_told_by_the_next(
    told: Told, moto: AwsAccess, group: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl_runner.engine.deliver.Delivery.deliver", lambda _self, _parcel: False)
    told.run(chain("A", "B"), logging=logging(group))
    told.engine.close(1)
    waiting = pages_to_tell(told.store, 10)
    monkeypatch.undo()
    told.store.close()
    told.begin()
    told.engine.open()
    told.settle()

    assert len(waiting) == 3
    assert [each["id"] for each in lines(moto, group)] == [str(number) for number in range(1, 13)]
    assert pages_to_tell(told.store, 10) == []


def test_a_log_group_that_is_not_there_holds_up_nobody(told: Told, moto: AwsAccess, group: str) -> None:
    told.run(single(PASS), logging=logging("nowhere"))
    told.run(single(PASS), logging=logging(group))
    told.settle()

    assert len(lines(moto, group)) == 4
    assert pages_to_tell(told.store, 10) == []


def test_a_log_group_that_has_no_name_holds_up_nobody(told: Told, moto: AwsAccess, group: str) -> None:
    told.run(single(PASS), logging=logging(""))
    told.run(single(PASS), logging=logging(group))
    told.settle()

    assert len(lines(moto, group)) == 4
    assert pages_to_tell(told.store, 10) == []


def test_an_endpoint_that_cannot_be_reached_holds_up_no_execution(tmp_path: Path) -> None:
    nowhere = access_to("http://127.0.0.1:1")
    world = Told(tmp_path, aws=nowhere)
    world.engine.open()
    world.run(chain("A", "B"), logging=logging("nowhere"))
    world.engine._publisher.close(0)
    waiting = len(pages_to_tell(world.store, 10))
    world.end()
    close_clients(nowhere)

    assert waiting == 3


def test_a_place_that_cannot_be_reached_holds_up_no_other(told: Told, moto: AwsAccess, group: str) -> None:
    broken = threading.Event()
    put = Delivery._put_lines

    def refusing(delivery: Delivery, place: tuple[str, str, str], parcel: Parcel) -> None:
        if place[1] == "unreachable":
            broken.set()
            raise EndpointConnectionError(endpoint_url="http://unreachable")
        put(delivery, place, parcel)

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Delivery, "_put_lines", refusing)
        told.run(single(PASS), logging=logging("unreachable"))
        assert broken.wait(10)
        told.run(single(PASS), logging=logging(group))
        told.settle()

    assert len(lines(moto, group)) == 4
    assert len(pages_to_tell(told.store, 10)) == 1


# --- EventBridge --------------------------------------------------------------------------------------------


@pytest.fixture
def queue(moto: AwsAccess) -> Iterator[str]:
    """The URL of a queue that gets what EventBridge hears of executions."""
    name = f"changes-{uuid.uuid4().hex}"
    url = moto.client("sqs").create_queue(QueueName=name)["QueueUrl"]
    events = moto.client("events")
    events.put_rule(Name=name, EventPattern=json.dumps({"source": ["aws.states"]}))
    target = {"Id": "1", "Arn": f"arn:aws:sqs:us-east-1:123456789012:{name}"}
    events.put_targets(Rule=name, Targets=[target])
    yield url
    events.remove_targets(Rule=name, Ids=["1"])
    events.delete_rule(Name=name)


@pytest.fixture
def changes(tmp_path: Path, moto: AwsAccess, monkeypatch: pytest.MonkeyPatch) -> Iterator[Told]:
    monkeypatch.setattr(Told, "tell_status", True)
    world = Told(tmp_path, aws=moto)
    world.engine.open()
    yield world
    world.end()


def heard(moto: AwsAccess, url: str) -> list[dict[str, Any]]:
    sqs = moto.client("sqs")
    found = sqs.receive_message(QueueUrl=url, MaxNumberOfMessages=10).get("Messages", [])
    return [json.loads(each["Body"]) for each in found]


def test_eventbridge_hears_of_the_start_and_the_end(changes: Told, moto: AwsAccess, queue: str) -> None:
    arn = changes.run(chain("A", "B"), {"a": 1}, name="one")
    changes.settle()
    started, ended = heard(moto, queue)

    assert started["detail-type"] == "Step Functions Execution Status Change"
    assert started["resources"] == [arn]
    detail = ended["detail"]
    assert detail.pop("startDate") == started["detail"].pop("startDate") <= detail["stopDate"]
    assert started["detail"].pop("stopDate") is None
    del detail["stopDate"]
    common = {
        "executionArn": arn,
        "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:machine",
        "name": "one",
        "input": '{"a":1}',
        "inputDetails": {"included": True},
        "stateMachineVersionArn": None,
        "stateMachineAliasArn": None,
        "redriveCount": 0,
        "redriveDate": None,
        "redriveStatus": "NOT_REDRIVABLE",
        "error": None,
        "cause": None,
    }
    assert started["detail"] == common | {
        "status": "RUNNING",
        "output": None,
        "outputDetails": None,
        "redriveStatusReason": "Execution is RUNNING and cannot be redriven",
    }
    assert detail == common | {
        "status": "SUCCEEDED",
        "output": '{"a":1}',
        "outputDetails": {"included": True},
        "redriveStatusReason": "Execution is SUCCEEDED and cannot be redriven",
    }


def test_eventbridge_hears_of_failures_and_redrives(changes: Told, moto: AwsAccess, queue: str) -> None:
    changes.script.default = fail("Broken", "why")
    started = changes.engine.start(changes.request(single(TASK))).result(10)
    changes.engine.when_ended(started.execution_id).result(10)
    changes.engine.redrive(started.execution_id).result(10)
    changes.engine.when_ended(started.execution_id).result(10)
    changes.settle()
    told = [each["detail"] for each in heard(moto, queue)]

    assert [(each["status"], each["redriveCount"], each["redriveStatus"]) for each in told] == [
        ("RUNNING", 0, "NOT_REDRIVABLE"),
        ("FAILED", 0, "REDRIVABLE"),
        ("RUNNING", 1, "NOT_REDRIVABLE"),
        ("FAILED", 1, "REDRIVABLE"),
    ]
    assert (told[1]["error"], told[1]["cause"], told[1]["output"]) == ("Broken", "why", None)


def test_eventbridge_does_not_hear_of_express_executions(changes: Told, moto: AwsAccess, queue: str) -> None:
    wanted = changes.request(single(PASS), express=True, sync=True)
    changes.engine.start_sync(wanted).result(10)
    changes.settle()

    assert heard(moto, queue) == []


def test_data_that_is_too_long_for_an_event_is_left_out(changes: Told, moto: AwsAccess, queue: str) -> None:
    changes.run(single(PASS), {"long": "x" * 130_000})
    changes.settle()
    started, ended = (each["detail"] for each in heard(moto, queue))

    assert (started["inputDetails"], started["input"] is None) == ({"included": True}, False)
    assert (ended["inputDetails"], ended["input"], ended["output"]) == ({"included": False}, None, None)
