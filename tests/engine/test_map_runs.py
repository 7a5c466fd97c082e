"""Distributed Map over an array: children, their order, failures, restarts."""

import math
from pathlib import Path
from typing import Any

import pytest

from etl_runner.engine import feeder, map_children, starts
from etl_runner.machine import decide
from etl_runner.machine import facts as f
from etl_runner.machine.state import Status
from etl_runner.tasks.contract import Failed, Invocation, Outcome, Succeeded
from tests.engine.harness import TASK, Script, World, distributed, echo, never, single


def begin(world: World, definition: dict[str, Any], items: Any, **given: Any) -> int:
    """Start a map; gives the parent once it is on the disk."""
    asked = world.ask(definition, {"items": items, **given})
    world.until(asked.done)
    return asked.result(0).execution_id


def run(world: World, definition: dict[str, Any], items: Any, **given: Any) -> int:
    parent = begin(world, definition, items, **given)
    world.until_ended(parent)
    return parent


def failing(*values: Any) -> Any:
    """A task that fails for some items."""

    def behave(told: Invocation) -> list[Outcome]:
        if told.arguments in values:
            return [Failed(token=told.token, error="Bad", cause="item")]
        return [Succeeded(token=told.token, output=told.arguments)]

    return behave


def map_rows(world: World) -> list[tuple[Any, ...]]:
    return world.sql("SELECT status, next_index, read_all FROM map_run ORDER BY id")


def test_results_come_in_the_order_of_the_items(world: World) -> None:
    world.script.default = never
    parent = begin(world, distributed(), list("abcdef"))
    world.until(lambda: len(world.script.invocations) == 6)
    for told in reversed(world.script.invocations):
        world.script.succeed(told, told.arguments.upper())
    world.until_ended(parent)

    assert world.output(parent) == list("ABCDEF")
    assert map_rows(world) == [("SUCCEEDED", 6, 1)]


def test_children_are_executions_of_their_own(world: World) -> None:
    parent = run(world, distributed(Label="Each"), [{"n": 1}, {"n": 2}])
    (arn,) = world.sql("SELECT arn FROM map_run")[0]
    children = world.children()

    assert world.row(parent).arn.endswith(":execution:machine:run-1")
    assert ":mapRun:machine/Each:" in arn
    assert [child.state_machine_arn.rpartition(":")[2] for child in children] == ["machine/Each"] * 2
    assert [child.arn for child in children] == [
        f"arn:aws:states:us-east-1:123456789012:execution:machine/Each:{child.name}" for child in children
    ]
    assert [each.execution_arn for each in world.script.invocations] == [child.arn for child in children]


def test_no_items_give_an_empty_result(world: World) -> None:
    parent = run(world, distributed(), [])

    assert world.output(parent) == []
    assert map_rows(world) == [("SUCCEEDED", 0, 1)]


@pytest.mark.parametrize("concurrency", [1, 3])
def test_no_more_children_than_max_concurrency_are_open_at_once(world: World, concurrency: int) -> None:
    open_at_once: list[int] = []

    def count(told: Invocation) -> list[Outcome]:
        open_at_once.append(
            world.sql("SELECT count(*) FROM execution WHERE map_run_id AND status = 'RUNNING'")[0][0]
        )
        return echo(told)

    world.script.default = count
    parent = run(world, distributed(MaxConcurrency=concurrency), list(range(20)))

    assert world.output(parent) == list(range(20))
    assert max(open_at_once) == concurrency


def test_the_next_child_follows_without_waiting_for_the_idle_tick(world: World) -> None:
    parent = begin(world, distributed(MaxConcurrency=1), list(range(30)))
    turns = 0
    world.until(lambda: len(world.script.invocations) > 0)
    while world.status(parent) is Status.RUNNING:
        world.engine.step()
        turns += 1
        assert turns < 500


def test_item_selector_sees_the_item_its_index_and_the_states_input(world: World) -> None:
    selector = {
        "value.$": "$$.Map.Item.Value",
        "index.$": "$$.Map.Item.Index",
        "day.$": "$.day",
        "of.$": "$$.Execution.Name",
    }
    parent = run(world, distributed(ItemSelector=selector), ["x", "y"], day=3)

    assert world.output(parent) == [
        {"value": "x", "index": 0, "day": 3, "of": "run-1"},
        {"value": "y", "index": 1, "day": 3, "of": "run-1"},
    ]


def test_items_are_put_into_batches(world: World) -> None:
    batcher = {"MaxItemsPerBatch": 3, "BatchInput": {"day.$": "$.day"}}
    parent = run(world, distributed(ItemBatcher=batcher), list(range(7)), day=1)

    assert world.output(parent) == [
        {"BatchInput": {"day": 1}, "Items": [0, 1, 2]},
        {"BatchInput": {"day": 1}, "Items": [3, 4, 5]},
        {"BatchInput": {"day": 1}, "Items": [6]},
    ]


def test_batches_are_cut_by_bytes(world: World) -> None:
    items = ["x" * 100 for _ in range(500)]
    run(world, distributed(ItemBatcher={"MaxInputBytesPerBatch": 5_000}), items)
    sizes = [len(each.arguments["Items"]) for each in world.script.invocations]

    assert sum(sizes) == 500
    assert set(sizes[:-1]) == {48}


def test_one_failed_child_fails_the_run_and_stops_the_others(world: World) -> None:
    world.script.default = never
    parent = begin(world, distributed(MaxConcurrency=3), list(range(9)))
    world.until(lambda: len(world.script.invocations) == 3)
    first = world.script.invocations[0]
    world.script.tell(Failed(token=first.token, error="Bad"))
    world.until_ended(parent)

    assert world.error(parent)[0] == "States.ExceedToleratedFailureThreshold"
    assert [row.status for row in world.children()] == ["FAILED", "ABORTED", "ABORTED"]
    assert len(world.script.cancelled) == 2
    assert map_rows(world) == [("FAILED", 3, 0)]


@pytest.mark.parametrize(
    ("tolerated", "failed", "status"),
    [
        ({"ToleratedFailureCount": 2}, (1, 2), "SUCCEEDED"),
        ({"ToleratedFailureCount": 1}, (1, 2), "FAILED"),
        ({"ToleratedFailurePercentage": 20}, (1, 2), "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 19}, (1, 2), "FAILED"),
        ({"ToleratedFailurePercentage": 100}, tuple(range(10)), "SUCCEEDED"),
        ({"ToleratedFailurePercentage": 50, "ToleratedFailureCount": 1}, (1, 2), "FAILED"),
    ],
)
def test_failures_are_tolerated_up_to_the_threshold(
    world: World, tolerated: dict[str, Any], failed: tuple[int, ...], status: str
) -> None:
    world.script.default = failing(*failed)
    parent = run(world, distributed(**tolerated), list(range(10)))

    assert world.status(parent) == status
    if status == "SUCCEEDED":
        assert [n for n in world.output(parent) if isinstance(n, int)] == [
            n for n in range(10) if n not in failed
        ]


def test_a_map_run_that_fails_can_be_caught_and_retried(world: World) -> None:
    world.script.default = failing(1)
    retry = {
        "ErrorEquals": ["States.ExceedToleratedFailureThreshold"],
        "IntervalSeconds": 1,
        "MaxAttempts": 1,
    }
    catch = {"ErrorEquals": ["States.ALL"], "Next": "Mend"}
    definition = distributed(Retry=[retry], Catch=[catch])
    definition["States"]["Mend"] = {"Type": "Pass", "Result": "mended", "End": True}
    parent = begin(world, definition, [1])
    world.until(lambda: map_rows(world) == [("FAILED", 1, 1)])
    world.pass_time(1_000)
    world.until_ended(parent)

    assert world.output(parent) == "mended"
    assert map_rows(world) == [("FAILED", 1, 1)] * 2
    assert len({arn for (arn,) in world.sql("SELECT arn FROM map_run")}) == 2


def test_stopping_the_parent_stops_the_children(world: World) -> None:
    world.script.default = never
    parent = begin(world, distributed(MaxConcurrency=4), list(range(9)))
    world.until(lambda: len(world.script.invocations) == 4)
    world.engine.stop(parent)
    world.until(lambda: all(row.status == "ABORTED" for row in world.rows()))

    assert map_rows(world) == [("ABORTED", 4, 0)]
    assert sorted(world.script.cancelled) == sorted(each.token for each in world.script.invocations)
    assert len(world.engine._map_runs) == 0


def test_a_parent_that_times_out_stops_the_children(world: World) -> None:
    world.script.default = never
    parent = begin(world, {**distributed(), "TimeoutSeconds": 5}, [1, 2])
    world.until(lambda: len(world.script.invocations) == 2)
    world.manual.advance(5_000)
    world.until(lambda: all(row.status != "RUNNING" for row in world.rows()))

    assert world.status(parent) is Status.TIMED_OUT
    assert [row.status for row in world.children()] == ["ABORTED", "ABORTED"]


def test_a_map_in_a_branch_that_is_aborted_is_stopped(world: World) -> None:
    world.script.behaviours = {"Item": never, "Side": never}
    inner = distributed()["States"]["Only"]
    branches = [
        {"StartAt": "Each", "States": {"Each": inner}},
        {"StartAt": "Side", "States": {"Side": TASK}},
    ]
    parent = begin(world, single({"Type": "Parallel", "Branches": branches, "End": True}), [1, 2])
    world.until(lambda: len(world.script.of("Item")) == 2)
    world.script.tell(Failed(token=world.script.of("Side")[0].token, error="Bad"))
    world.until(lambda: all(row.status != "RUNNING" for row in world.rows()))

    assert world.error(parent) == ("Bad", "")
    assert map_rows(world) == [("ABORTED", 2, 1)]


def test_maps_within_maps_run_and_are_stopped_together(world: World) -> None:
    inner = distributed()["States"]["Only"] | {"ItemsPath": "$"}
    outer = distributed({"StartAt": "Inner", "States": {"Inner": inner}})
    parent = run(world, outer, [[1, 2], [], [3]])
    world.script.default = never
    second = begin(world, outer, [[1, 2], [3]])
    world.until(lambda: len(world.script.invocations) == 6)
    world.engine.stop(second)
    world.until(lambda: all(row.status != "RUNNING" for row in world.rows()))

    assert world.output(parent) == [[1, 2], [], [3]]
    assert {status for status, *_ in map_rows(world)[4:]} == {"ABORTED"}


def test_a_restart_in_the_middle_goes_on_where_it_was(world: World) -> None:
    done: list[Any] = []

    def some(told: Invocation) -> list[Outcome]:
        if told.arguments % 3:
            done.append(told.arguments)
            return echo(told)
        return []

    world.script.default = some
    parent = begin(world, distributed(MaxConcurrency=10), list(range(250)))
    world.until(lambda: len(world.script.invocations) - len(done) == 10)
    held = [each.idempotency_key for each in world.script.invocations if each.arguments % 3 == 0]
    world.restart()
    again = [each.idempotency_key for each in world.script.invocations]
    world.until_ended(parent)

    assert sorted(again) == sorted(held)
    assert world.output(parent) == list(range(250))
    assert not {each.arguments for each in world.script.invocations} & set(done)


def test_a_restart_inside_a_page_of_batches_makes_the_same_batches(world: World) -> None:
    world.script.default = never
    parent = begin(world, distributed(MaxConcurrency=2, ItemBatcher={"MaxItemsPerBatch": 4}), list(range(30)))
    world.until(lambda: len(world.script.invocations) == 2)
    for told in list(world.script.invocations):
        world.script.succeed(told, told.arguments["Items"])
    world.until(lambda: len(world.script.invocations) == 4)
    script = Script(lambda told: [Succeeded(token=told.token, output=told.arguments["Items"])])
    world.restart(script)
    world.until_ended(parent)

    assert [n for items in world.output(parent) for n in items] == list(range(30))


def test_a_restart_after_the_last_child_ended_still_ends_the_map(world: World) -> None:
    world.script.default = never
    parent = begin(world, distributed(), [1, 2])
    world.until(lambda: len(world.script.invocations) == 2)
    for told in world.script.invocations:
        world.script.succeed(told, told.arguments)
    world.engine._map_runs._stopped = True  # the ends of the children are committed, nothing after them
    world.drive()
    before = world.status(parent)
    world.restart(Script(never))
    world.until_ended(parent)

    assert before is Status.RUNNING
    assert world.output(parent) == [1, 2]
    assert world.script.invocations == []


def test_orphans_are_stopped_on_recovery_and_their_tasks_not_begun_again(world: World) -> None:
    world.script.default = never
    parent = begin(world, distributed(), [1, 2, 3])
    world.until(lambda: len(world.script.invocations) == 3)
    world.engine.stop(parent)
    world.engine.step()  # the parent's end is committed; the children have not heard of it
    statuses = [row.status for row in world.rows()]
    world.restart()
    world.drive()

    assert statuses == ["ABORTED", "RUNNING", "RUNNING", "RUNNING"]
    assert [row.status for row in world.rows()] == ["ABORTED"] * 4
    assert world.script.invocations == []


def test_children_of_orphans_are_stopped_too(world: World) -> None:
    world.script.default = never
    inner = distributed()["States"]["Only"] | {"ItemsPath": "$"}
    parent = begin(world, distributed({"StartAt": "Inner", "States": {"Inner": inner}}), [[1], [2]])
    world.until(lambda: len(world.script.invocations) == 2)
    world.engine.stop(parent)
    world.engine.step()
    world.restart()
    world.drive()

    assert [row.status for row in world.rows()] == ["ABORTED"] * 5
    assert map_rows(world) == [("ABORTED", 2, 1), ("ABORTED", 1, 1), ("ABORTED", 1, 1)]
    assert world.script.invocations == []


def test_a_map_that_opens_and_is_closed_in_one_turn_leaves_no_running_row(world: World) -> None:
    inner = distributed()["States"]["Only"]
    branches = [
        {"StartAt": "Each", "States": {"Each": inner}},
        {"StartAt": "Bad", "States": {"Bad": {"Type": "Fail", "Error": "Bad"}}},
    ]
    parent = begin(world, single({"Type": "Parallel", "Branches": branches, "End": True}), [1])
    world.drive()

    assert world.status(parent) is Status.FAILED
    assert map_rows(world) == [("ABORTED", 0, 0)]
    assert world.children() == []


def test_a_child_that_cannot_be_started_fails_its_map_and_nothing_else(
    world: World, monkeypatch: pytest.MonkeyPatch
) -> None:
    start = decide.start

    def faulty(definition: Any, stimulus: Any, *more: Any) -> Any:
        if stimulus.input == "poison":
            raise ZeroDivisionError("inside")
        return start(definition, stimulus, *more)

    monkeypatch.setattr(starts, "start", faulty)
    world.script.default = never
    parent = begin(world, distributed(), ["a", "poison", "b"])
    other = world.ask(single(TASK))
    world.until_ended(parent)

    assert "ZeroDivisionError: inside" in str(world.error(parent)[1])
    assert [row.status for row in world.children()] == ["ABORTED"]
    assert world.status(other.result(0).execution_id) is Status.RUNNING


def test_results_over_the_limit_fail_with_the_name_that_aws_gives(world: World) -> None:
    world.script.default = lambda told: [Succeeded(token=told.token, output="x" * 100_000)]
    parent = run(world, distributed(), [1, 2, 3])

    assert world.error(parent)[0] == "States.DataLimitExceeded"
    assert [row.status for row in world.children()] == ["SUCCEEDED"] * 3


def test_an_item_selector_that_fails_fails_the_map(world: World) -> None:
    parent = run(world, distributed(ItemSelector={"x.$": "$.missing"}), [1])

    assert str(world.error(parent)[0]).startswith("States.")
    assert world.children() == []


def test_items_are_read_only_a_few_pages_ahead(world: World) -> None:
    world.script.default = never
    begin(world, distributed(MaxConcurrency=1), list(range(5_000)))
    world.until(lambda: len(world.script.invocations) == 1)
    (reader,) = world.engine._map_runs._runs.values()
    ahead = sum(len(page.children) for page in reader.feeder._pages)

    assert ahead <= feeder.PAGES_AHEAD * feeder.PAGE_CHILDREN


@pytest.mark.slow
def test_ten_thousand_items(world: World) -> None:
    world.script.default = lambda told: [Succeeded(token=told.token, output=None)]
    parent = begin(world, distributed(), list(range(10_000)))
    for _ in range(10_000):
        world.engine.step(0.05)
        if world.status(parent) is not Status.RUNNING:
            break
    keys = {each.idempotency_key for each in world.script.invocations}

    assert world.output(parent) == [None] * 10_000
    assert len(keys) == len(world.script.invocations) == 10_000
    assert world.engine.turns < 3 * math.ceil(10_000 / map_children.CHILDREN_PER_TURN) + 300
    assert world.facts(parent, f.MapRunSucceeded)


def test_a_map_run_is_parked_by_close_and_goes_on_after(tmp_path: Path) -> None:
    world = World(tmp_path)
    world.script.default = never
    parent = begin(world, distributed(MaxConcurrency=2), list(range(10)))
    world.until(lambda: len(world.script.invocations) == 2)
    told = world.script.invocations[0]
    world.script.at_close = lambda: world.script.succeed(told, told.arguments)
    world.engine._thread.start()
    world.engine.close(1)
    world.check()
    world.store.close()
    open_children = world.sql("SELECT count(*) FROM execution WHERE map_run_id AND status = 'RUNNING'")
    world.script = Script()
    world.begin()
    world.until_ended(parent)

    assert open_children == [(1,)]
    assert world.output(parent) == list(range(10))
    world.end()
