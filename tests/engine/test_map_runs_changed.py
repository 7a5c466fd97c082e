"""Map runs whose bounds change while they run, that are redriven, or whose children cannot be committed."""

import json
import sqlite3
from contextlib import closing
from typing import Any

import pytest

from etl_runner.engine.map_runs import MapRunNotRunning
from etl_runner.errors import Conflict
from etl_runner.machine import facts as f
from etl_runner.machine.state import Status
from etl_runner.store.reads import MapRunSummary, Reads
from etl_runner.store.unit import Unit
from etl_runner.tasks.contract import Failed, Invocation, Outcome, Succeeded
from tests.engine.harness import Script, World, distributed, echo, never


def begin(world: World, definition: dict[str, Any], items: Any, **given: Any) -> int:
    asked = world.ask(definition, {"items": items, **given})
    world.until(asked.done)
    return asked.result(0).execution_id


def failing(*values: Any) -> Any:
    """A task that fails for some inputs; batches fail for the first of their items."""

    def behave(told: Invocation) -> list[Outcome]:
        given = told.arguments["Items"][0] if isinstance(told.arguments, dict) else told.arguments
        if given in values:
            return [Failed(token=told.token, error="Bad", cause="item")]
        return [Succeeded(token=told.token, output=told.arguments)]

    return behave


def summary(world: World, parent: int) -> MapRunSummary:
    """The last map run of an execution, as operators see it."""
    return Reads(world.store).map_runs(parent)[-1]


def update(world: World, parent: int, **changes: Any) -> None:
    done = world.engine.update_map_run(summary(world, parent).id, changes)
    world.until(done.done)
    done.result(0)


# --- bounds that change -------------------------------------------------------------------------------------


def test_more_concurrency_starts_more_children_at_once(world: World) -> None:
    world.script.default = never
    parent = begin(world, distributed(MaxConcurrency=1), list(range(9)))
    world.until(lambda: len(world.script.invocations) == 1)
    update(world, parent, max_concurrency=4)
    world.until(lambda: len(world.script.invocations) == 4)

    assert summary(world, parent).max_concurrency == 4
    assert summary(world, parent).counts["RUNNING"] == 4


def test_less_concurrency_waits_until_enough_have_ended(world: World) -> None:
    world.script.default = never
    parent = begin(world, distributed(MaxConcurrency=4), list(range(9)))
    world.until(lambda: len(world.script.invocations) == 4)
    update(world, parent, max_concurrency=2)
    for told in world.script.invocations[:2]:
        world.script.succeed(told)
    world.drive()
    still = len(world.script.invocations)
    world.script.succeed(world.script.invocations[2])
    world.until(lambda: len(world.script.invocations) == 5)

    assert still == 4
    assert summary(world, parent).counts["RUNNING"] == 2


def test_what_is_tolerated_may_grow_before_it_is_too_much(world: World) -> None:
    world.script.default = never
    parent = begin(world, distributed(MaxConcurrency=3), list(range(3)))
    world.until(lambda: len(world.script.invocations) == 3)
    update(world, parent, tolerated_percentage=100)
    for told in world.script.invocations:
        world.script.tell(Failed(token=told.token, error="Bad"))
    world.until_ended(parent)

    assert [each["Error"] for each in world.output(parent)] == ["Bad"] * 3


def test_what_is_tolerated_may_shrink_below_what_has_failed(world: World) -> None:
    world.script.default = never
    parent = begin(world, distributed(MaxConcurrency=3, ToleratedFailureCount=2), list(range(3)))
    world.until(lambda: len(world.script.invocations) == 3)
    for told in world.script.invocations[:2]:
        world.script.tell(Failed(token=told.token, error="Bad"))
    world.drive()
    before = world.status(parent)
    update(world, parent, tolerated_count=1)
    world.until_ended(parent)

    assert before is Status.RUNNING
    assert world.error(parent) == (
        "States.ExceedToleratedFailureThreshold",
        "The specified tolerated failure threshold was exceeded",
    )


def test_changed_bounds_survive_a_restart(world: World) -> None:
    world.script.default = never
    parent = begin(world, distributed(MaxConcurrency=1), list(range(5)))
    world.until(lambda: len(world.script.invocations) == 1)
    update(world, parent, max_concurrency=3, tolerated_count=2, tolerated_percentage=50.5)
    world.restart(Script(never))
    world.until(lambda: len(world.script.invocations) == 3)
    found = summary(world, parent)

    assert (found.max_concurrency, found.tolerated_count, found.tolerated_percentage) == (3, 2, 50.5)


@pytest.mark.parametrize(("tolerated", "status"), [(50, "SUCCEEDED"), (20, "FAILED")])
def test_a_map_run_of_an_earlier_release_goes_on_by_its_plan(
    world: World, tolerated: int, status: str
) -> None:
    world.script.default = never
    fields: dict[str, Any] = {"MaxConcurrency": 1, "ToleratedFailurePercentage": tolerated}
    parent = begin(world, distributed(**fields), list(range(3)))
    world.until(lambda: len(world.script.invocations) == 1)
    world.crash()
    with closing(sqlite3.connect(world.path)) as connection, connection:
        connection.execute(
            "UPDATE map_run SET max_concurrency = NULL, tolerated_percentage = NULL, items_started = 0"
        )
    world.script = Script(failing(1))
    world.begin()
    world.until_ended(parent)

    assert world.status(parent) == status
    assert summary(world, parent).items_started == 3


def test_a_map_run_that_has_ended_is_not_changed(world: World) -> None:
    parent = begin(world, distributed(), [1])
    world.until_ended(parent)
    done = world.engine.update_map_run(summary(world, parent).id, {"max_concurrency": 5})
    world.until(done.done)

    assert isinstance(done.exception(0), MapRunNotRunning)
    assert summary(world, parent).max_concurrency == 0


# --- items and children -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("tolerated", "status"),
    [
        ({"ToleratedFailureCount": 3}, "SUCCEEDED"),
        ({"ToleratedFailureCount": 2}, "FAILED"),
        ({"ToleratedFailurePercentage": 30}, "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 29}, "FAILED"),
    ],
)
def test_items_are_tolerated_not_the_batches_that_they_are_in(
    world: World, tolerated: dict[str, Any], status: str
) -> None:
    world.script.default = failing(3)
    batcher = {"MaxItemsPerBatch": 3}
    parent = begin(world, distributed(ItemBatcher=batcher, **tolerated), list(range(10)))
    world.until_ended(parent)

    assert world.status(parent) == status


def test_items_and_children_are_counted_by_their_status(world: World) -> None:
    world.script.default = failing(3)
    definition = distributed(ItemBatcher={"MaxItemsPerBatch": 3}, ToleratedFailurePercentage=100)
    parent = begin(world, definition, list(range(10)))
    world.until_ended(parent)
    found = summary(world, parent)

    assert (found.counts["SUCCEEDED"], found.counts["FAILED"]) == (3, 1)
    assert (found.item_counts["SUCCEEDED"], found.item_counts["FAILED"]) == (7, 3)
    assert (found.children_started, found.items_started, found.items_known) == (4, 10, 10)
    assert found.results_written


def test_items_that_wait_are_known_of(world: World) -> None:
    world.script.default = never
    parent = begin(world, distributed(MaxConcurrency=2), list(range(3_000)))
    world.until(lambda: len(world.script.invocations) == 2)
    found = summary(world, parent)

    assert (found.items_known, found.items_started, found.counts["RUNNING"]) == (3_000, 2, 2)
    assert not found.results_written


def test_a_failure_of_a_batch_is_counted_by_its_items_after_a_restart(world: World) -> None:
    world.script.default = never
    definition = distributed(ItemBatcher={"MaxItemsPerBatch": 3}, ToleratedFailureCount=4, MaxConcurrency=2)
    parent = begin(world, definition, list(range(9)))
    world.until(lambda: len(world.script.invocations) == 2)
    world.script.tell(Failed(token=world.script.invocations[0].token, error="Bad"))
    world.until(lambda: len(world.script.invocations) == 3)
    world.restart(Script(failing(3)))
    world.until_ended(parent)

    assert world.error(parent)[0] == "States.ExceedToleratedFailureThreshold"
    assert summary(world, parent).item_counts["FAILED"] == 6


# --- redrive ------------------------------------------------------------------------------------------------


def redrive(world: World, parent: int) -> None:
    done = world.engine.redrive(parent)
    world.until(done.done)
    done.result(0)


def test_a_redriven_map_run_redrives_what_had_not_succeeded(world: World) -> None:
    world.script.default = failing(1, 3)
    parent = begin(world, distributed(MaxConcurrency=5, ToleratedFailureCount=1), list(range(8)))
    world.until_ended(parent)
    before = summary(world, parent)
    asked = {each.arguments for each in world.script.invocations}
    world.script.invocations.clear()
    world.script.default = echo
    redrive(world, parent)
    world.until_ended(parent)
    after = summary(world, parent)
    again = [each.arguments for each in world.script.invocations]
    statuses = [child.status for child in world.children()]

    assert before.status == "FAILED"
    assert world.output(parent) == list(range(8))
    assert (after.arn, after.id, after.status, after.redrive_count) == (before.arn, before.id, "SUCCEEDED", 1)
    assert after.redriven_ms is not None
    assert {1, 3} <= set(again)
    assert len(again) == len(set(again))
    assert 0 not in again
    assert asked | set(again) == set(range(8))
    assert statuses == ["SUCCEEDED"] * 8
    assert [fact.count for fact in world.facts(parent, f.MapRunRedriven)] == [1]


def test_children_wait_to_be_redriven_as_long_as_there_is_no_room(world: World) -> None:
    world.script.default = failing(*range(4))
    definition = distributed(MaxConcurrency=4, ItemBatcher={"MaxItemsPerBatch": 1})
    parent = begin(world, definition, list(range(4)))
    world.until_ended(parent)
    world.script.default = never
    update_to = {"max_concurrency": 1}
    world.script.invocations.clear()
    redrive(world, parent)
    world.engine.update_map_run(summary(world, parent).id, update_to)
    world.until(lambda: len(world.script.invocations) > 0)
    found = summary(world, parent)

    assert found.pending_redrive == found.pending_redrive_items
    assert found.pending_redrive + len(world.script.invocations) == 4
    assert sum(found.counts[status] for status in ("FAILED", "ABORTED", "TIMED_OUT")) == 0


def test_a_redrive_that_fails_again_may_be_redriven_again(world: World) -> None:
    world.script.default = failing(2)
    parent = begin(world, distributed(), [1, 2])
    world.until_ended(parent)
    redrive(world, parent)
    world.until_ended(parent)
    failed = world.error(parent)[0]
    world.restart(Script(echo))
    redrive(world, parent)
    world.until_ended(parent)

    assert failed == "States.ExceedToleratedFailureThreshold"
    assert world.output(parent) == [1, 2]
    assert summary(world, parent).redrive_count == 2
    assert len(world.sql("SELECT id FROM map_run")) == 1


def test_a_redriven_map_run_goes_on_after_a_restart(world: World) -> None:
    world.script.default = failing(*range(6))
    parent = begin(world, distributed(MaxConcurrency=1), list(range(6)))
    world.until_ended(parent)
    world.script.default = never
    redrive(world, parent)
    world.until(lambda: summary(world, parent).counts["RUNNING"] == 1)
    world.restart(Script(echo))
    world.until_ended(parent)

    assert world.output(parent) == list(range(6))


def test_an_execution_that_was_stopped_goes_on_with_its_map_run(world: World) -> None:
    world.script.default = never
    parent = begin(world, distributed(MaxConcurrency=2), list(range(5)))
    world.until(lambda: len(world.script.invocations) == 2)
    world.engine.stop(parent)
    world.until(lambda: all(row.status == "ABORTED" for row in world.rows()))
    world.script.default = echo
    redrive(world, parent)
    world.until_ended(parent)

    assert world.output(parent) == list(range(5))
    assert [row[0] for row in world.sql("SELECT status FROM map_run")] == ["SUCCEEDED"]


# --- children that cannot be committed ----------------------------------------------------------------------


class Refusing:
    """Refuses to commit the children of one map run, as a store with a damaged row would."""

    def __init__(self, world: World, run_id: int) -> None:
        self._commit = world.store.commit
        self._run_id = run_id
        self.refused = 0

    def __call__(self, unit: Unit) -> None:
        if any(row["map_run_id"] == self._run_id for row in unit.executions):
            self.refused += 1
            raise Conflict("a row of executions is already there: made up")
        self._commit(unit)


def test_a_map_run_whose_children_cannot_be_committed_fails_and_no_other(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    world.script.default = never
    bad = begin(world, distributed(MaxConcurrency=1), [1, 2])
    world.until(lambda: len(world.script.invocations) == 1)
    good = begin(world, distributed(MaxConcurrency=1), [1, 2])
    world.until(lambda: len(world.script.invocations) == 2)
    refusing = Refusing(world, summary(world, bad).id)
    monkeypatch.setattr(world.store, "commit", refusing)
    world.script.default = echo
    for told in list(world.script.invocations):
        world.script.succeed(told, told.arguments)
    world.until_ended(bad)
    world.until_ended(good)

    assert world.output(good) == [1, 2]
    assert world.error(bad)[0] == "States.Runtime"
    assert "could not be committed" in str(world.error(bad)[1])
    assert summary(world, bad).status == "FAILED"
    assert refusing.refused < 15


# --- results of a run that failed ---------------------------------------------------------------------------


def test_a_failed_run_leaves_the_files_that_its_result_writer_asks_for(aws_world: World) -> None:
    world = aws_world
    assert world.aws is not None
    s3 = world.aws.client("s3")
    s3.create_bucket(Bucket="results")
    world.script.default = failing(1)
    writer = {"Resource": "arn:aws:states:::s3:putObject", "Parameters": {"Bucket": "results"}}
    parent = begin(world, distributed(ResultWriter=writer, MaxConcurrency=1), [0, 1, 2, 3])
    world.until_ended(parent)
    found = summary(world, parent)
    folder = found.arn.rpartition(":")[2]
    manifest = json.loads(s3.get_object(Bucket="results", Key=f"{folder}/manifest.json")["Body"].read())
    files = {
        status: json.loads(s3.get_object(Bucket="results", Key=file["Key"])["Body"].read())
        for status, (file,) in manifest["ResultFiles"].items()
    }

    assert world.error(parent)[0] == "States.ExceedToleratedFailureThreshold"
    assert [each["Input"] for each in files["SUCCEEDED"]] == ["0"]
    assert [(each["Input"], each["Error"], each["RedriveStatus"]) for each in files["FAILED"]] == [
        ("1", "Bad", "REDRIVABLE")
    ]
    assert [(each["Input"], each["Status"]) for each in files["PENDING"]] == [
        ("2", "PENDING"),
        ("3", "PENDING"),
    ]
    assert found.results_written
