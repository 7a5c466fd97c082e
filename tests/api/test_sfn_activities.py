"""Activities and task tokens over Step Functions' API."""

import json
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import httpx
import pytest

from tests.api.sfn_stage import REGION, Served, refusal, serving, told
from tests.engine.harness import single

GONE = ("TaskTimedOut", "Task Timed Out: 'Provided task does not exist anymore'")
UNKNOWN = ("InvalidToken", "Invalid Token: 'Invalid token'")


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("activities")) as served:
        yield served


@pytest.fixture
def activity(api: Served, request: pytest.FixtureRequest) -> str:
    return str(api.sfn.create_activity(name=request.node.name[:80])["activityArn"])


def machine_of(api: Served, activity: str, **fields: Any) -> str:
    return api.machine(single({"Type": "Task", "Resource": activity, "End": True, **fields}))


# --- the register -------------------------------------------------------------------------------------------


def test_an_activity_is_created_once_described_and_deleted(api: Served) -> None:
    created = told(api.sfn.create_activity(name="once"))
    again = told(api.sfn.create_activity(name="once"))
    arn = created["activityArn"]
    described = told(api.sfn.describe_activity(activityArn=arn))
    deleted = [told(api.sfn.delete_activity(activityArn=arn)) for _ in range(2)]

    assert created == again
    assert arn == "arn:aws:states:us-east-1:123456789012:activity:once"
    assert described == {**created, "name": "once", "encryptionConfiguration": {"type": "AWS_OWNED_KEY"}}
    assert deleted == [{}, {}]
    assert refusal(api.sfn.describe_activity, activityArn=arn) == (
        "ActivityDoesNotExist",
        f"Activity Does Not Exist: '{arn}'",
    )
    assert refusal(api.sfn.get_activity_task, activityArn=arn)[0] == "ActivityDoesNotExist"


@pytest.mark.parametrize("name", ["activity\u001f", "\u0000activity", "activity]name", "activity name", "é&"])
def test_an_activity_with_a_forbidden_name_is_refused(api: Served, name: str) -> None:
    assert refusal(api.sfn.create_activity, name=name) == ("InvalidName", f"Invalid Name: '{name}'")


def test_activities_are_listed_in_pages_for_their_account_alone(api: Served) -> None:
    mine = api.client("222222222222")
    for name in ("a", "b", "c"):
        mine.create_activity(name=name)
    first = mine.list_activities(maxResults=2)
    second = mine.list_activities(maxResults=2, nextToken=first["nextToken"])

    assert [each["name"] for each in first["activities"] + second["activities"]] == ["a", "b", "c"]
    assert refusal(api.sfn.list_activities, nextToken=first["nextToken"]) == UNKNOWN


def test_an_activity_has_the_tags_it_was_created_with_until_it_is_deleted(api: Served) -> None:
    tags = [{"key": "team", "value": "data"}]
    arn = api.sfn.create_activity(name="tagged", tags=tags)["activityArn"]
    had = api.sfn.list_tags_for_resource(resourceArn=arn)["tags"]
    api.sfn.delete_activity(activityArn=arn)
    api.sfn.create_activity(name="tagged")

    assert (had, api.sfn.list_tags_for_resource(resourceArn=arn)["tags"]) == (tags, [])


# --- workers ------------------------------------------------------------------------------------------------


def test_a_worker_fetches_a_task_and_answers_it(api: Served, activity: str) -> None:
    execution = api.start(machine_of(api, activity), input='{"n": 1}')
    task = told(api.sfn.get_activity_task(activityArn=activity, workerName="w"))
    heartbeat = told(api.sfn.send_task_heartbeat(taskToken=task["taskToken"]))
    sent = told(api.sfn.send_task_success(taskToken=task["taskToken"], output='{"n": 2}'))
    ended = api.ended(execution)

    assert (json.loads(task["input"]), heartbeat, sent) == ({"n": 1}, {}, {})
    assert (ended["status"], json.loads(ended["output"])) == ("SUCCEEDED", {"n": 2})
    assert refusal(api.sfn.send_task_success, taskToken=task["taskToken"], output="1") == GONE
    assert refusal(api.sfn.send_task_heartbeat, taskToken=task["taskToken"]) == GONE


def test_a_worker_lets_a_task_fail(api: Served, activity: str) -> None:
    execution = api.start(machine_of(api, activity))
    task = api.sfn.get_activity_task(activityArn=activity)
    api.sfn.send_task_failure(taskToken=task["taskToken"], error="Worn", cause="out")
    ended = api.ended(execution)

    assert (ended["status"], ended["error"], ended["cause"]) == ("FAILED", "Worn", "out")


def test_a_worker_that_waits_gets_the_task_as_soon_as_there_is_one(api: Served, activity: str) -> None:
    machine = machine_of(api, activity)
    with ThreadPoolExecutor(1) as pool:
        waiting = pool.submit(api.sfn.get_activity_task, activityArn=activity)
        execution = api.start(machine)
        task = waiting.result(20)
    api.sfn.send_task_success(taskToken=task["taskToken"], output="{}")

    assert api.ended(execution)["status"] == "SUCCEEDED"


def test_a_worker_that_hung_up_is_given_no_task(api: Served, activity: str) -> None:
    machine = machine_of(api, activity)
    headers = {
        "X-Amz-Target": "AWSStepFunctions.GetActivityTask",
        "Content-Type": "application/x-amz-json-1.0",
        "Authorization": f"AWS4-HMAC-SHA256 Credential=123456789012/20260101/{REGION}/states/aws4_request",
    }
    with pytest.raises(httpx.ReadTimeout):
        httpx.post(api.url, headers=headers, json={"activityArn": activity}, timeout=0.3)
    _until_nobody_waits(api, activity)
    api.start(machine)

    assert told(api.sfn.get_activity_task(activityArn=activity))["taskToken"]


def _until_nobody_waits(api: Served, activity: str) -> None:
    """The server hears of the hang-up a moment later than the client does it."""
    waiting = api.stage.engine._polls._waiting
    looked = threading.Event()
    for _ in range(200):
        if all(poll.done.cancelled() for poll in waiting.get(activity, ())):
            return
        looked.wait(0.02)
    raise AssertionError("the worker still waits")


def test_answers_without_a_task_or_without_json_are_refused(api: Served, activity: str) -> None:
    api.start(machine_of(api, activity))
    token = api.sfn.get_activity_task(activityArn=activity)["taskToken"]

    assert refusal(api.sfn.send_task_success, taskToken="nothing", output="{}") == UNKNOWN
    assert refusal(api.sfn.send_task_failure, taskToken="nothing") == UNKNOWN
    assert refusal(api.sfn.send_task_heartbeat, taskToken="nothing") == UNKNOWN
    assert refusal(api.sfn.send_task_success, taskToken=token, output="nothing")[0] == "InvalidOutput"
