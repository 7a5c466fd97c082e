"""What the schema holds by itself, and which way the questions of the engine take."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from etl_runner.errors import Conflict, LostExecution, StoreError, StoreUnavailable
from etl_runner.machine import facts as f
from etl_runner.machine.codec import FORMAT, encode_page
from etl_runner.store.ledger import Ledger
from etl_runner.store.store import Store
from etl_runner.store.unit import Unit

MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:machine"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store.db")
    store.put_definition("{}", yaml=False, now_ms=1)
    yield store
    store.close()


def execution(number: int, **columns: Any) -> dict[str, Any]:
    return {
        "id": number, "arn": f"arn:{number}", "state_machine_arn": MACHINE, "name": f"run-{number}",
        "definition_id": 1, "scope": 0, "origin": "api", "input_sha256": "", "started_ms": 1,
        "map_run_id": None, "item_index": None, "status": "RUNNING", "stopped_ms": None, "error": None,
        "cause": None, "working": True, "wake_at_ms": None,
    } | columns  # fmt: skip


def page(number: int, seq: int = 0) -> dict[str, Any]:
    data = encode_page([f.TimerFired(token=1)])
    return {"execution_id": number, "seq": seq, "at_ms": 1, "format": FORMAT, "data": data}


def map_run(number: int, execution_id: int, **columns: Any) -> dict[str, Any]:
    return {
        "id": number, "arn": f"map:{number}", "execution_id": execution_id, "token": number,
        "status": "RUNNING", "started_ms": 1, "stopped_ms": None,
    } | columns  # fmt: skip


TICK = {"schedule": "s", "due_ms": 1, "outcome": "started", "recorded_ms": 1, "lateness_ms": 0}
MATCH = {"event_id": "e", "rule": "r", "outcome": "started", "recorded_ms": 1}
WRITTEN = {
    "execution_id": 1, "token": 1, "position": 0, "state": "S", "bucket": "b", "key": "k", "version_id": "v",
    "etag": None, "bytes": 1, "sha256": None, "replaced_version_id": None, "unchanged": False, "at_ms": 1,
}  # fmt: skip


def count(store: Store, table: str) -> int:
    with store.engine.connect() as connection:
        return int(connection.exec_driver_sql(f"SELECT count(*) FROM {table}").scalar_one())


@pytest.mark.parametrize(
    ("first", "second"),
    [
        (Unit(executions=[execution(1)]), Unit(executions=[execution(1, arn="other", name="other")])),
        (Unit(executions=[execution(1)]), Unit(executions=[execution(2, name="run-1")])),
        (Unit(executions=[execution(1)]), Unit(executions=[execution(2, arn="arn:1")])),
        (Unit(), Unit(executions=[execution(1, status="DONE")])),
        (Unit(), Unit(executions=[execution(1, definition_id=99)])),
        (Unit(ticks=[TICK]), Unit(ticks=[TICK])),
        (Unit(event_matches=[MATCH]), Unit(event_matches=[MATCH])),
        (Unit(executions=[execution(1)], written=[WRITTEN]), Unit(written=[WRITTEN])),
        (Unit(map_runs=[map_run(1, 5)]), Unit(map_runs=[map_run(2, 5, token=1)])),
        (
            Unit(map_runs=[map_run(1, 5)], executions=[execution(1, map_run_id=1, item_index=0)]),
            Unit(executions=[execution(2, map_run_id=1, item_index=0)]),
        ),
    ],
    ids=[
        "id", "name", "arn", "status", "definition", "tick", "event", "receipt", "map run of a token", "item",
    ],
)  # fmt: skip
def test_what_may_be_there_once_is_there_once(store: Store, first: Unit, second: Unit) -> None:
    store.commit(first)

    with pytest.raises(Conflict, match="already there"):
        store.commit(second)


def test_a_second_page_of_the_same_number_is_a_lost_execution(store: Store) -> None:
    store.commit(Unit(executions=[execution(1)], pages=[page(1)]))

    with pytest.raises(LostExecution):
        store.commit(Unit(pages=[page(1)]))


def test_a_unit_is_written_whole_or_not_at_all(store: Store) -> None:
    store.commit(Unit(ticks=[TICK]))
    with pytest.raises(Conflict):
        store.commit(Unit(executions=[execution(1)], pages=[page(1)], event_matches=[MATCH], ticks=[TICK]))

    assert [count(store, table) for table in ("execution", "fact_page", "event_match")] == [0, 0, 0]
    store.commit(Unit(executions=[execution(1)], pages=[page(1)]))
    assert count(store, "execution") == 1


def test_another_due_time_and_a_fire_by_hand_are_rows_of_their_own(store: Store) -> None:
    store.commit(Unit(ticks=[TICK, {**TICK, "due_ms": 2}, {**TICK, "fire_id": "by-hand"}]))

    assert count(store, "tick") == 3


def test_a_value_that_cannot_be_bound_does_not_pass_for_an_unavailable_store(store: Store) -> None:
    with pytest.raises(Exception, match="type 'dict' is not supported") as caught:
        store.commit(Unit(ticks=[{**TICK, "reason": {}}]))

    assert not isinstance(caught.value, StoreUnavailable)
    store.commit(Unit(ticks=[TICK]))
    assert count(store, "tick") == 1


def test_a_page_of_an_unknown_format_is_refused_by_name(store: Store) -> None:
    store.commit(Unit(executions=[execution(1)], pages=[{**page(1), "format": 99}]))

    with pytest.raises(StoreError, match="format 99"):
        store.pages(1)


def test_orphans_are_the_running_children_of_ended_map_runs_and_all_below_them(store: Store) -> None:
    store.commit(
        Unit(
            map_runs=[map_run(1, 1, status="ABORTED"), map_run(2, 2), map_run(3, 7), map_run(4, 3)],
            executions=[
                execution(1, status="ABORTED"),
                execution(2, map_run_id=1, item_index=0),
                execution(3, map_run_id=1, item_index=1, status="SUCCEEDED"),
                execution(4, map_run_id=2, item_index=0, working=False),
                execution(7),
                execution(8, map_run_id=3, item_index=0),
            ],
        )
    )

    assert sorted(store.orphans()) == [2, 4]


def test_what_is_due_comes_soonest_first(store: Store) -> None:
    times = {1: 30, 2: 10, 3: None, 4: 99}
    store.commit(Unit(executions=[execution(n, wake_at_ms=at) for n, at in times.items()]))

    assert store.due(30, 10) == [(10, 2), (30, 1)]
    assert store.due(30, 1) == [(10, 2)]


def test_children_come_in_the_order_of_their_items_however_they_are_read(store: Store) -> None:
    children = [execution(100 - n, map_run_id=1, item_index=n) for n in range(7)]
    pages = [page(child["id"], seq) for child in children for seq in (0, 1)]
    store.commit(Unit(map_runs=[map_run(1, 1)], executions=children, pages=pages))

    for batch in (2, 7, 200):
        found = list(store.children(1, batch=batch))
        assert [(row.item_index, len(its_pages)) for row, its_pages in found] == [(n, 2) for n in range(7)]


QUESTIONS: dict[str, Callable[[Store], object]] = {
    "execution": lambda store: store.execution(1),
    "by arn": lambda store: store.execution_by_arn("arn:1"),
    "by name": lambda store: store.executions_by_name([(MACHINE, "a"), (MACHINE, "b"), (MACHINE, "c")]),
    "pages": lambda store: store.pages(1),
    "open working": lambda store: store.open_working(),
    "due": lambda store: store.due(5, 10),
    "definition": lambda store: store.definition_text(1),
    "put definition": lambda store: store.put_definition("{}", yaml=False, now_ms=1),
    "map run": lambda store: store.map_run(1, 1),
    "children by status": lambda store: store.children_by_status(1),
    "orphans": lambda store: store.orphans(),
    "open children": lambda store: store.open_children(1),
    "children": lambda store: list(store.children(1)),
    "change": lambda store: store.commit(
        Unit(
            execution_changes=[
                {
                    "b_id": 1, "status": "FAILED", "stopped_ms": 1, "error": None, "cause": None,
                    "working": False, "wake_at_ms": None,
                }
            ],
            map_run_changes=[
                {
                    "b_id": 1, "status": "FAILED", "stopped_ms": 1, "source": None, "cursor": None,
                    "next_index": 1, "read_all": True,
                }
            ],
        )
    ),
    "recorded dues": lambda store: Ledger(store).recorded_dues("s", after_ms=0, until_ms=9),
    "beyond states": lambda store: Ledger(store).recorded_beyond_states(),
    "ticks": lambda store: Ledger(store).ticks(),
    "ticks of one": lambda store: Ledger(store).ticks("s", before_ms=5),
    "fired": lambda store: Ledger(store).fired("s", "x"),
    "last ticks": lambda store: Ledger(store).last_ticks(["s"]),
    "matches of": lambda store: Ledger(store).matches_of("e"),
    "matches": lambda store: Ledger(store).matches(before_ms=5),
}  # fmt: skip
SMALL = ("schedule_state",)
"""Tables with a row per schedule: reading all of them is what is wanted."""


@pytest.mark.parametrize("question", QUESTIONS)
def test_no_question_of_the_engine_walks_through_a_table(store: Store, question: str) -> None:
    plans: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        if statement.startswith(("SELECT", "UPDATE")):
            given = values[0] if isinstance(values, list) else values
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", given).fetchall()
            plans.extend(row[3] for row in rows)

    event.listen(store.engine, "before_cursor_execute", explain)
    store.commit(
        Unit(
            map_runs=[map_run(1, 1, status="ABORTED")],
            executions=[execution(1), execution(2, map_run_id=1, item_index=0)],
        )
    )
    QUESTIONS[question](store)
    walks = [plan for plan in plans if plan.startswith("SCAN") and plan.split()[1] not in SMALL]

    assert plans
    # A scan of an index in its order, cut by LIMIT, reads only what it gives.
    assert [
        plan for plan in walks if question not in {"ticks", "matches"} or " USING INDEX " not in plan
    ] == []


def test_recovery_looks_only_at_what_is_open(store: Store) -> None:
    """The index of open executions, also where SQLite knows nothing of how the rows are distributed."""
    plans: list[str] = []

    def explain(_connection: Any, cursor: Any, statement: str, values: Any, *_more: Any) -> None:
        if statement.startswith("SELECT"):
            rows = cursor.connection.execute(f"EXPLAIN QUERY PLAN {statement}", values).fetchall()
            plans.append(rows[0][3])

    event.listen(store.engine, "before_cursor_execute", explain)
    store.open_working()
    store.orphans()

    assert len(plans) == 2
    assert all("execution_open" in plan for plan in plans), plans
