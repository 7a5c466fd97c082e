import json
import socket
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from etl_runner.aws import AwsAccess
from etl_runner.clock import ManualClock
from etl_runner.errors import InvalidInput, NotFound, StoreUnavailable
from etl_runner.jsontypes import Json
from etl_runner.schedule.events import EventService, RuleSpec
from etl_runner.schedule.messages import events_of_message
from etl_runner.schedule.patterns import compile_pattern
from etl_runner.schedule.queues import QueuePoller, QueueSpec
from etl_runner.store.store import Store
from tests.conftest import access_to, close_clients, fresh_bucket
from tests.schedule.ledgers import FakeLauncher

EVENT = {"id": "e-1", "source": "shop", "detail-type": "order", "detail": {"n": 1}}


class World:
    """A queue on moto, and rules that match everything that may come from it."""

    def __init__(self, folder: Path, aws: AwsAccess) -> None:
        self.aws = aws
        self.sqs = aws.client("sqs")
        self.url: str = self.sqs.create_queue(QueueName="events")["QueueUrl"]
        self.store = Store(folder / "store.db")
        self.launcher = FakeLauncher(self.store)
        self.events = EventService(self.store, self.launcher, ManualClock())
        self.events.apply(
            RuleSpec(name=name, pattern=compile_pattern({"source": [source]}), workflow="work")
            for name, source in [("shop", "shop"), ("s3", "aws.s3"), ("plain", "etl-runner.sqs")]
        )
        self.poller = self.make_poller()

    def make_poller(self, **fields: Any) -> QueuePoller:
        spec = QueueSpec(name="orders", queue_url=self.url, wait_s=0)
        return QueuePoller(replace(spec, **fields), self.aws, self.events)

    def send(self, body: Json) -> str:
        text = body if isinstance(body, str) else json.dumps(body)
        return str(self.sqs.send_message(QueueUrl=self.url, MessageBody=text)["MessageId"])

    def left(self) -> int:
        """Messages that were not deleted, in flight or not."""
        names = ["ApproximateNumberOfMessages", "ApproximateNumberOfMessagesNotVisible"]
        found = self.sqs.get_queue_attributes(QueueUrl=self.url, AttributeNames=names)["Attributes"]
        return sum(int(found[name]) for name in names)

    def inputs(self) -> list[Json]:
        return list(self.launcher.executions.values())


@pytest.fixture
def world(tmp_path: Path, aws: AwsAccess) -> Iterator[World]:
    made = World(tmp_path, aws)
    yield made
    assert len(made.launcher.started) == len(set(made.launcher.started))
    made.store.close()


def wait_until(condition: Callable[[], Any], within_s: float = 20) -> None:
    """Wait for what a poller's thread does."""
    until = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < until, "it did not happen in time"
        time.sleep(0.01)


# --- messages


def test_an_eventbridge_event_starts_its_rule_and_is_deleted(world: World) -> None:
    world.send(EVENT)

    assert world.poller.poll() == 1
    assert world.inputs()[0]["id"] == "e-1"
    assert world.left() == 0


def test_a_plain_json_message_is_the_detail_of_an_event_of_the_queue(world: World) -> None:
    message_id = world.send({"n": 5})
    world.poller.poll()

    (made,) = world.inputs()
    assert (made["id"], made["source"], made["detail-type"]) == (message_id, "etl-runner.sqs", "orders")
    assert (made["detail"], made["resources"]) == ({"n": 5}, [world.url])


def test_a_notification_of_s3_becomes_an_event_with_the_plain_key(world: World) -> None:
    s3 = world.aws.client("s3")
    bucket = fresh_bucket(s3)
    arn = world.sqs.get_queue_attributes(QueueUrl=world.url, AttributeNames=["QueueArn"])["Attributes"]
    s3.put_bucket_notification_configuration(
        Bucket=bucket,
        NotificationConfiguration={
            "QueueConfigurations": [{"QueueArn": arn["QueueArn"], "Events": ["s3:ObjectCreated:*"]}]
        },
    )
    s3.put_object(Bucket=bucket, Key="in/a b+c.csv", Body=b"12345")
    while world.left():
        world.poller.poll()

    (made,) = world.inputs()
    assert (made["source"], made["detail-type"]) == ("aws.s3", "Object Created")
    assert made["detail"]["bucket"] == {"name": bucket}
    assert made["detail"]["object"]["key"] == "in/a b+c.csv"
    assert made["detail"]["object"]["size"] == 5
    assert made["detail"]["reason"] == "PutObject"


def test_a_message_delivered_twice_starts_its_rule_once(world: World) -> None:
    world.send({"n": 5})
    poller = world.make_poller(visibility_timeout_s=1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(poller, "_delete", lambda *_: None)
        poller.poll()
    wait_until(poller.poll)

    assert len(world.launcher.started) == 1
    assert world.left() == 0


def test_a_message_of_a_rule_that_cannot_start_is_done_with(world: World) -> None:
    world.launcher.refusals["work"] = NotFound("there is no workflow 'work'")
    world.send(EVENT)

    assert world.poller.poll() == 1
    assert world.events.matches()[0].outcome == "failed"


def test_a_message_that_is_not_committed_is_not_deleted_and_the_others_are(world: World) -> None:
    world.launcher.failures = [StoreUnavailable("the disk is full")]
    world.send(EVENT)
    world.send(EVENT | {"id": "e-2"})
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        world.poller.poll()

    assert world.left() == 1
    assert len(world.launcher.started) == 1


@pytest.mark.parametrize("body", ["no json", '{"source": "", "detail-type": "x", "detail": {}}'])
def test_a_poisoned_message_is_left_to_the_queue_and_reported_once(
    world: World, body: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.send(body)
    poller = world.make_poller(visibility_timeout_s=1)
    seen: list[str] = []
    report = poller._report

    def reporting(message: Any, error: Any) -> None:
        seen.append(message["MessageId"])
        report(message, error)

    monkeypatch.setattr(poller, "_report", reporting)
    with capture_logs() as logs:
        wait_until(lambda: poller.poll() == 0 and len(seen) == 2)

    assert [log["event"] for log in logs] == [
        "a message holds no event; it is left to the queue's redrive policy"
    ]
    assert world.left() == 1


def test_a_poisoned_message_does_not_hold_up_the_others(world: World) -> None:
    world.send("no json")
    world.send(EVENT)

    assert world.poller.poll() == 1
    assert len(world.launcher.started) == 1


# --- the thread


def test_the_thread_takes_what_comes_and_close_ends_it(world: World) -> None:
    poller = world.make_poller(wait_s=1)
    poller.open()
    world.send(EVENT)
    wait_until(lambda: world.launcher.started and not world.left())
    poller.close()

    assert not poller._thread.is_alive()
    assert poller.trouble is None


def test_a_message_that_comes_after_the_close_is_given_back(world: World) -> None:
    world.send(EVENT)
    world.poller.close()

    assert world.poller.poll() == 0
    assert len(world.sqs.receive_message(QueueUrl=world.url)["Messages"]) == 1


def test_a_queue_that_does_not_exist_is_reported_once_and_tried_again(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl_runner.schedule.queues.FIRST_BACKOFF_S", 0.01)
    url = world.url.replace("/events", "/later")
    poller = world.make_poller(queue_url=url)
    with capture_logs() as logs:
        poller.open()
        wait_until(lambda: poller.trouble)
        world.sqs.create_queue(QueueName="later")
        wait_until(lambda: poller.trouble is None)
        poller.close()

    assert [log["event"] for log in logs] == [
        "the queue cannot be polled; trying again",
        "the queue is polled again",
    ]


def test_close_is_prompt_while_sqs_is_down(world: World) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        access = access_to(f"http://127.0.0.1:{nobody.getsockname()[1]}")
        poller = QueuePoller(QueueSpec(name="orders", queue_url=world.url), access, world.events)
        poller.open()
        start = time.monotonic()
        poller.close()
        took = time.monotonic() - start
        poller._thread.join(timeout=60)
    close_clients(access)

    assert took < 3
    assert not poller._thread.is_alive()


# --- what a message says


def read(body: Json) -> list[Json]:
    text = body if isinstance(body, str) else json.dumps(body)
    return events_of_message(text, message_id="m-1", queue="orders", queue_url="http://q")


def record(name: str, key: str = "a", **fields: Any) -> Json:
    return {
        "eventSource": "aws:s3",
        "eventName": name,
        "eventTime": "2026-01-31T04:05:06.007Z",
        "awsRegion": "eu-west-1",
        "s3": {"bucket": {"name": "b"}, "object": {"key": key, "versionId": "v", "eTag": "e"}},
    } | fields


def test_each_record_of_a_notification_is_an_event_with_an_id_of_the_message() -> None:
    found = read({"Records": [record("ObjectCreated:Put"), record("ObjectRemoved:Delete")]})

    assert [each["id"] for each in found] == ["m-1-0", "m-1-1"]
    assert found[1] == {
        "id": "m-1-1",
        "detail-type": "Object Deleted",
        "source": "aws.s3",
        "time": "2026-01-31T04:05:06.007Z",
        "region": "eu-west-1",
        "resources": ["arn:aws:s3:::b"],
        "detail": {
            "version": "0",
            "bucket": {"name": "b"},
            "object": {"key": "a", "etag": "e", "version-id": "v"},
            "event-name": "ObjectRemoved:Delete",
            "reason": "DeleteObject",
            "deletion-type": "Permanently Deleted",
        },
    }


@pytest.mark.parametrize(
    ("encoded", "plain"), [("in%2Fx.csv", "in/x.csv"), ("a+b%2Bc", "a b+c"), ("%C3%A9", "é"), ("a/b", "a/b")]
)
def test_keys_are_decoded(encoded: str, plain: str) -> None:
    (found,) = read({"Records": [record("ObjectCreated:Put", encoded)]})

    assert found["detail"]["object"]["key"] == plain


@pytest.mark.parametrize(
    ("name", "detail_type"),
    [
        ("ObjectCreated:CompleteMultipartUpload", "Object Created"),
        ("s3:ObjectCreated:Put", "Object Created"),
        ("ObjectRemoved:DeleteMarkerCreated", "Object Deleted"),
        ("LifecycleExpiration:Delete", "Object Deleted"),
        ("ObjectTagging:Put", "Object Tags Added"),
        ("ObjectRestore:Completed", "Object Restore Completed"),
        ("ReducedRedundancyLostObject", "ReducedRedundancyLostObject"),
    ],
)
def test_s3s_events_have_the_names_that_eventbridge_gives_them(name: str, detail_type: str) -> None:
    (found,) = read({"Records": [record(name)]})

    assert found["detail-type"] == detail_type


def test_the_test_message_of_s3_holds_no_event() -> None:
    assert read({"Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "b"}) == []


def test_an_event_without_an_id_gets_the_messages() -> None:
    (found,) = read({"source": "a", "detail-type": "b", "detail": {}})

    assert found["id"] == "m-1"


@pytest.mark.parametrize("value", [[1, 2], "text", 7, None])
def test_json_that_is_no_object_becomes_the_body(value: Json) -> None:
    (found,) = read(json.dumps(value))

    assert found["detail"] == {"body": value}


@pytest.mark.parametrize("body", ["", "{", "no json"])
def test_a_body_that_is_no_json_is_refused(body: str) -> None:
    with pytest.raises(InvalidInput, match="no JSON"):
        read(body)


def test_a_notification_that_cannot_be_read_is_refused() -> None:
    with pytest.raises(InvalidInput, match=r"must have eventName, s3\.bucket\.name"):
        read({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put"}]})
