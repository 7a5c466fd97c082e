import sqlite3
import threading
from contextlib import closing
from typing import Any

import pytest

from etl_runner.errors import Conflict, Fault, InvalidInput, NotFound, StoreUnavailable
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES
from etl_runner.tasks.contract import Failed, Invocation, Outcome, Succeeded
from tests.api.stage import Stage
from tests.engine.harness import fail

RECEIPT = {"Bucket": "b", "Key": "k.csv", "VersionId": "v1", "ETag": "e", "Bytes": 5, "Sha256": "s"}


def writes(invocation: Invocation) -> list[Outcome]:
    return [Succeeded(token=invocation.token, output={}, written=(RECEIPT,))]


def by_state(view: Any) -> dict[str, Any]:
    return {each["state"]: each for each in view["states"]}


def test_an_execution_is_started_once_and_shown_with_its_input_and_output(stage: Stage) -> None:
    first = stage.operations.start_execution("greet", {"name": "Ada"}, "one")
    again = stage.operations.start_execution("greet", {"name": "Ada"}, "one")
    view = stage.operations.wait("greet/one", 30)

    assert (first["existed"], again["existed"]) == (False, True)
    assert first["executionArn"].endswith(":execution:greet:one")
    assert (view["status"], view["input"], view["output"]) == ("SUCCEEDED", {"name": "Ada"}, {"name": "Ada"})
    assert {name: each["status"] for name, each in by_state(view).items()} == {
        "Fetch": "succeeded",
        "Greet": "succeeded",
    }


def test_a_name_with_another_input_is_a_conflict(stage: Stage) -> None:
    stage.operations.start_execution("greet", {"name": "Ada"}, "one")

    with pytest.raises(Conflict, match="another input"):
        stage.operations.start_execution("greet", {"name": "Bob"}, "one")


def test_an_unknown_workflow_is_refused_with_names_like_it(stage: Stage) -> None:
    with pytest.raises(NotFound, match=r"'gret'; did you mean greet\?"):
        stage.operations.start_execution("gret", {})
    with pytest.raises(NotFound, match="there are: boom, flaky, greet, spread, stuck"):
        stage.operations.start_execution("zzz", {})


def test_an_input_over_the_limit_is_refused_with_its_size(stage: Stage) -> None:
    with pytest.raises(InvalidInput, match=r"262,147 bytes.*262,144 are allowed"):
        stage.operations.start_execution("greet", "x" * (PAYLOAD_LIMIT_BYTES + 1))


def test_executions_are_found_by_arn_by_workflow_and_name_and_by_name_alone(stage: Stage) -> None:
    arn = stage.operations.start_execution("greet", {}, "one")["executionArn"]
    stage.operations.start_execution("boom", {}, "two")
    stage.operations.start_execution("greet", {}, "two")

    assert {stage.operations.get_execution(ref)["executionArn"] for ref in (arn, "greet/one", "one")} == {arn}
    with pytest.raises(InvalidInput, match="boom/two and greet/two"):
        stage.operations.get_execution("two")
    with pytest.raises(NotFound, match=r"did you mean one\?"):
        stage.operations.get_execution("greet/onne")


def test_a_failed_execution_says_what_ran_what_did_not_and_why(stage: Stage) -> None:
    view = stage.ended("boom")

    assert (view["status"], view["error"], view["cause"]) == ("FAILED", "Broken", "on purpose")
    assert view["lastError"]["state"] == "Break"
    assert [(each["state"], each["status"]) for each in view["states"]] == [
        ("First", "succeeded"),
        ("Break", "failed"),
        ("Rest", "not reached"),
    ]
    assert by_state(view)["Rest"]["why"] == "the execution failed in Break"


def test_a_retry_shows_its_attempt_its_error_and_when_it_goes_on(stage: Stage) -> None:
    stage.script.behaviours["Flaky"] = fail("Busy", "try later")
    arn = stage.operations.start_execution("flaky", {}, "one")["executionArn"]
    view = stage.operations.wait(arn, 0)
    while not view["current"] or view["current"][0]["doing"] != "retrying":
        view = stage.operations.wait(arn, 0.01)

    (current,) = view["current"]
    assert (current["state"], current["attempt"], current["error"]) == ("Flaky", 1, "Busy")
    assert current["until"] == view["wakeAt"] > view["startedAt"]
    assert by_state(view)["Flaky"] | {"firstEnteredAt": ""} == {
        "state": "Flaky", "type": "Task", "status": "running", "entered": 1, "succeeded": 0, "failed": 0,
        "caught": 0, "retries": 1, "firstEnteredAt": "", "error": "Busy", "cause": "try later",
    }  # fmt: skip


def test_an_execution_can_be_stopped_once(stage: Stage) -> None:
    stage.operations.start_execution("stuck", {}, "one")

    stopped = stage.operations.stop_execution("stuck/one", "Stopped", "wrong day")

    assert (stopped["status"], stopped["error"], stopped["cause"]) == ("ABORTED", "Stopped", "wrong day")
    view = stage.operations.get_execution("stuck/one")
    assert by_state(view)["Stuck"]["status"] == "stopped"
    with pytest.raises(Conflict, match="has ended before"):
        stage.operations.stop_execution("stuck/one")


def test_waiting_ends_with_the_execution_or_with_the_time(stage: Stage) -> None:
    arn = stage.operations.start_execution("stuck", {}, "one")["executionArn"]
    views: list[Any] = []
    waiter = threading.Thread(target=lambda: views.append(stage.operations.wait(arn, 30)))
    waiter.start()

    assert stage.operations.wait(arn, 0.01)["status"] == "RUNNING"
    stage.operations.stop_execution(arn)
    waiter.join(30)
    assert views[0]["status"] == "ABORTED"
    assert stage.operations._ends == {}


def test_the_history_is_awss_and_comes_in_pages(stage: Stage) -> None:
    arn = stage.ended("greet", {"n": 1})["executionArn"]

    whole = stage.operations.history(arn)
    front = stage.operations.history(arn, limit=4)
    rest = stage.operations.history(arn, after=front["next"])
    back = stage.operations.history(arn, newest_first=True, limit=1, include_data=False)

    assert [each["type"] for each in whole["events"]][:2] == ["ExecutionStarted", "TaskStateEntered"]
    assert whole["next"] is None
    assert front["events"] + rest["events"] == whole["events"]
    assert [each["type"] for each in back["events"]] == ["ExecutionSucceeded"]
    assert "output" not in back["events"][0]["executionSucceededEventDetails"]


def test_map_runs_show_counts_and_written_objects_are_those_of_the_children(stage: Stage) -> None:
    stage.script.behaviours["Item"] = writes
    view = stage.ended("spread", {"items": [1, 2, 3]}, "one")
    objects = stage.operations.written("spread/one")

    (run,) = view["mapRuns"]
    assert (run["status"], run["counts"]["SUCCEEDED"], run["allItemsRead"]) == ("SUCCEEDED", 3, True)
    assert [(each["key"], each["versionId"], each["state"]) for each in objects["objects"]] == [
        ("k.csv", "v1", "Item")
    ] * 3
    children = stage.operations.list_executions(map_run=run["mapRunArn"])["executions"]
    assert [each["itemIndex"] for each in children] == [2, 1, 0]
    child = stage.operations.get_execution(children[0]["name"])
    assert [each["state"] for each in child["states"]] == ["Item"]
    assert [each["name"] for each in stage.operations.list_executions()["executions"]] == ["one"]


def test_lists_are_narrowed_and_paged(stage: Stage) -> None:
    for number in range(3):
        stage.ended("greet", {}, f"n{number}")
    stage.ended("boom", {}, "b")

    page = stage.operations.list_executions(workflow="greet", limit=2)
    rest = stage.operations.list_executions(workflow="greet", limit=2, token=page["next"])
    failed = stage.operations.list_executions(status="failed")

    assert [each["name"] for each in page["executions"] + rest["executions"]] == ["n2", "n1", "n0"]
    assert [each["name"] for each in failed["executions"]] == ["b"]
    with pytest.raises(NotFound, match="did you mean greet"):
        stage.operations.list_executions(workflow="greeet")


def test_workflows_are_listed_with_their_counts(stage: Stage) -> None:
    stage.ended("boom")
    found = {each["name"]: each for each in stage.operations.workflows()}

    assert (found["greet"]["description"], found["greet"]["states"]) == ("Says hello.", 2)
    assert found["boom"]["counts"]["FAILED"] == 1
    assert stage.operations.workflow("greet")["definition"].startswith("{")


def test_schedules_are_shown_paused_resumed_and_fired(stage: Stage) -> None:
    paused = stage.operations.pause("nightly")
    resumed = stage.operations.resume("nightly")
    fired = stage.operations.fire("nightly", "first")
    again = stage.operations.fire("nightly", "first")
    ticks = stage.operations.ticks("nightly")
    listed = {each["name"]: each for each in stage.operations.schedules()}

    assert (paused["paused"], resumed["paused"]) == (True, False)
    assert fired["executionArn"] == again["executionArn"]
    assert (fired["existed"], again["existed"]) == (False, True)
    assert [each["fireId"] for each in ticks] == ["first"]
    assert listed["nightly"]["words"].startswith("At 04:00")
    assert (listed["hourly"]["enabled"], listed["hourly"]["nextDue"]) == (False, None)
    assert len(stage.operations.schedule_next("nightly", 3)) == 3
    for act in (stage.operations.pause, stage.operations.resume, stage.operations.fire):
        with pytest.raises(NotFound, match=r"'nightli'; did you mean nightly\?"):
            act("nightli")


def test_events_start_what_they_match_once(stage: Stage) -> None:
    event = {"id": "e1", "source": "shop", "detail-type": "CustomerCreated", "detail": {"name": "Ada"}}
    first = stage.operations.put_events([event, {"source": "other", "detail-type": "x", "detail": {}}])
    again = stage.operations.put_events([event])

    assert [[match["outcome"] for match in each["matches"]] for each in first["events"]] == [["started"], []]
    assert again["events"] == first["events"][:1]
    assert [each["eventId"] for each in stage.operations.event_matches()] == ["e1"]


def test_a_bad_event_is_refused_and_the_others_are_taken(stage: Stage) -> None:
    found = stage.operations.put_events(["nonsense", {"source": "shop", "detail-type": "x", "detail": {}}])

    assert found["failed"] == 1
    assert found["events"][0]["error"]["type"] == "InvalidInput"
    assert len(found["events"][1]["matches"]) == 1
    with pytest.raises(InvalidInput, match="0 events"):
        stage.operations.put_events([])


def test_health_is_good_and_tells_of_a_bad_edit(stage: Stage) -> None:
    good = stage.operations.health()
    stage.faults = (Fault(what="the expression is wrong", file="s.yaml", line=3, column=5, code="x"),)
    degraded = stage.operations.health()

    assert (good["status"], good["config"]["fingerprint"]) == ("ok", stage.config.fingerprint)
    assert degraded["status"] == "degraded"
    assert degraded["config"]["faults"][0]["text"] == "s.yaml:3:5: the expression is wrong [x]"


def test_a_store_that_cannot_be_written_is_told_by_health_and_to_who_starts(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    stage.operations.start_execution("greet", {}, "before")
    monkeypatch.setattr("etl_runner.api.operations.COMMIT_WAIT_S", 0.1)
    # Both the engine and the check would wait for the lock as long as SQLite's busy timeout.
    monkeypatch.setattr("etl_runner.api.health.ANSWER_WAIT_S", 0.1)
    with closing(sqlite3.connect(stage.store.path, isolation_level=None)) as other:
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StoreUnavailable, match=r"may still come about.*again with the same name"):
            stage.operations.start_execution("greet", {}, "during")
        health = stage.operations.health()
        other.execute("ROLLBACK")

    assert health["status"] == "unavailable"
    assert "locked" in health["store"]["trouble"]
    assert stage.operations.wait("greet/before", 30)["status"] == "SUCCEEDED"
    assert stage.ended("greet", {}, "during")["status"] == "SUCCEEDED"


def test_a_failure_that_a_task_reports_is_the_executions(stage: Stage) -> None:
    stage.script.behaviours["Greet"] = lambda invocation: [
        Failed(token=invocation.token, error="Oops", cause="c")
    ]
    view = stage.ended("greet")

    assert (view["status"], view["error"]) == ("FAILED", "Oops")
    assert by_state(view)["Fetch"]["status"] == "succeeded"
