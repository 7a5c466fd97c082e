import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event, insert

from etl_runner.errors import InvalidInput
from etl_runner.store import tables as t
from etl_runner.store.reads import ExecutionQuery, Reads
from etl_runner.store.store import Store

BASE_MS = 1_700_000_000_000
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:import"
OTHER = "arn:aws:states:us-east-1:123456789012:stateMachine:export"
RUN_ID = 77


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store.db")
    store.put_definition("{}", yaml=False, now_ms=BASE_MS)
    yield store
    store.close()


@pytest.fixture
def reads(store: Store) -> Reads:
    return Reads(store)


def execution(number: int, **more: Any) -> dict[str, Any]:
    machine = more.get("state_machine_arn", MACHINE)
    started = BASE_MS + number * 1_000
    row: dict[str, Any] = {
        "id": (started << 21) + number,
        "arn": f"{machine.replace('stateMachine', 'execution')}:e{number}",
        "state_machine_arn": MACHINE,
        "name": f"e{number}",
        "definition_id": 1,
        "scope": 0,
        "status": "SUCCEEDED",
        "origin": "api",
        "input_sha256": "",
        "started_ms": started,
        "stopped_ms": None,
        "error": None,
        "cause": None,
        "working": False,
        "wake_at_ms": None,
        "map_run_id": None,
        "item_index": None,
    }
    return row | more


def add(store: Store, rows: list[dict[str, Any]], table: Any = t.Execution) -> None:
    with store.engine.connect().execution_options(immediate=True) as connection, connection.begin():
        connection.execute(insert(table), rows)


def map_run(execution_id: int, run_id: int = RUN_ID) -> dict[str, Any]:
    return {
        "id": run_id,
        "arn": f"arn:aws:states:us-east-1:123456789012:mapRun:import/M:{run_id:x}",
        "execution_id": execution_id,
        "token": 1,
        "status": "RUNNING",
        "started_ms": BASE_MS,
        "next_index": 3,
        "read_all": True,
    }


def child(number: int, index: int, run_id: int = RUN_ID, **more: Any) -> dict[str, Any]:
    return execution(
        number,
        state_machine_arn=f"{MACHINE}/M",
        name=f"{run_id:x}-{index}",
        map_run_id=run_id,
        item_index=index,
        origin="map",
        **more,
    )


def written(execution_id: int, position: int = 0, key: str = "k") -> dict[str, Any]:
    return {
        "execution_id": execution_id,
        "token": 1,
        "position": position,
        "state": "Put",
        "bucket": "b",
        "key": key,
        "bytes": 5,
        "unchanged": False,
        "at_ms": BASE_MS,
    }


def names(reads: Reads, **query: Any) -> list[str]:
    return [row.name for row in reads.executions(ExecutionQuery(**query)).rows]


def test_executions_are_listed_newest_first_without_the_children_of_map_runs(
    store: Store, reads: Reads
) -> None:
    add(store, [execution(1), execution(2, status="FAILED"), execution(3, status="RUNNING")])
    add(store, [map_run(execution(3)["id"])], t.MapRun)
    add(store, [child(4, 0), child(5, 1, status="FAILED")])

    assert names(reads) == ["e3", "e2", "e1"]
    assert names(reads, map_run=RUN_ID) == ["4d-1", "4d-0"]
    assert names(reads, map_run=RUN_ID, status="FAILED") == ["4d-1"]


def test_a_list_can_be_narrowed_by_machine_status_origin_and_time(store: Store, reads: Reads) -> None:
    add(
        store,
        [
            execution(1),
            execution(2, state_machine_arn=OTHER),
            execution(3, status="FAILED"),
            execution(4, origin="schedule:nightly"),
        ],
    )

    assert names(reads, machine=OTHER) == ["e2"]
    assert names(reads, status="FAILED") == ["e3"]
    assert names(reads, origin="schedule:nightly") == ["e4"]
    assert names(reads, machine=MACHINE, status="SUCCEEDED", origin="api") == ["e1"]
    assert names(reads, after_ms=BASE_MS + 2_000, before_ms=BASE_MS + 4_000) == ["e3", "e2"]


def test_pages_follow_each_other_without_gap_or_overlap(store: Store, reads: Reads) -> None:
    add(store, [execution(number, status=t.STATUSES[number % 5]) for number in range(23)])
    seen: list[str] = []
    token = None
    while True:
        page = reads.executions(ExecutionQuery(), limit=5, token=token)
        seen += [row.name for row in page.rows]
        token = page.next_token
        if token is None:
            break

    assert seen == [f"e{number}" for number in reversed(range(23))]


@pytest.mark.parametrize("token", ["", "x", "AAAA", "W10", "eyJhIjoxfQ", "☃"])
def test_a_token_that_was_never_given_out_is_refused(reads: Reads, token: str) -> None:
    with pytest.raises(InvalidInput, match="begin without one"):
        reads.executions(ExecutionQuery(), token=token)


def test_a_token_of_another_query_is_refused(store: Store, reads: Reads) -> None:
    add(store, [execution(1), execution(2)])
    token = reads.executions(ExecutionQuery(), limit=1).next_token

    with pytest.raises(InvalidInput, match="another question"):
        reads.executions(ExecutionQuery(status="FAILED"), limit=1, token=token)


def test_an_unknown_status_and_a_limit_out_of_range_are_refused(reads: Reads) -> None:
    with pytest.raises(InvalidInput, match="DONE"):
        reads.executions(ExecutionQuery(status="DONE"))
    with pytest.raises(InvalidInput, match="1,000"):
        reads.executions(ExecutionQuery(), limit=0)


def test_executions_are_found_by_name_children_included(store: Store, reads: Reads) -> None:
    add(store, [execution(1), execution(2, name="e1", state_machine_arn=OTHER, arn="x")])
    add(store, [map_run(execution(1)["id"])], t.MapRun)
    add(store, [child(3, 2)])

    assert [row.state_machine_arn for row in reads.named("e1", reads.machines())] == [MACHINE, OTHER]
    assert [row.item_index for row in reads.named("4d-2", reads.machines())] == [2]
    assert reads.named("nobody", []) == []


def test_counts_leave_children_out_and_name_every_status(store: Store, reads: Reads) -> None:
    add(store, [execution(1), execution(2, status="FAILED"), execution(3, state_machine_arn=OTHER)])
    add(store, [map_run(execution(1)["id"])], t.MapRun)
    add(store, [child(4, 0)])

    expected = {"RUNNING": 0, "SUCCEEDED": 2, "FAILED": 1, "TIMED_OUT": 0, "ABORTED": 0}
    assert reads.counts() == expected
    assert reads.counts(OTHER)["SUCCEEDED"] == 1
    assert reads.map_runs(execution(1)["id"])[0].counts["SUCCEEDED"] == 1


def test_written_objects_are_those_of_the_execution_its_children_and_theirs(
    store: Store, reads: Reads
) -> None:
    parent, stranger = execution(1), execution(9)
    add(store, [parent, stranger])
    add(store, [map_run(parent["id"])], t.MapRun)
    first, second = child(2, 0), child(3, 1)
    add(store, [first, second])
    add(store, [map_run(second["id"], 88)], t.MapRun)
    grandchild = child(4, 0, run_id=88)
    add(store, [grandchild])
    rows = [parent, first, second, grandchild, stranger]
    add(store, [written(row["id"], key=f"of {row['name']}") for row in rows], t.WrittenObject)

    whole = reads.written(parent["id"])
    front = reads.written(parent["id"], limit=3)
    rest = reads.written(parent["id"], limit=3, token=front.next_token)

    assert [row.key for row in whole.rows] == ["of e1", "of 4d-0", "of 4d-1", "of 58-0"]
    assert front.rows + rest.rows == whole.rows
    assert (whole.next_token, rest.next_token) == (None, None)


QUERIES: dict[str, Any] = {
    "all": lambda reads: reads.executions(ExecutionQuery()),
    "status": lambda reads: reads.executions(ExecutionQuery(status="FAILED")),
    "machine": lambda reads: reads.executions(ExecutionQuery(machine=MACHINE)),
    "origin": lambda reads: reads.executions(ExecutionQuery(origin="api")),
    "time": lambda reads: reads.executions(ExecutionQuery(after_ms=BASE_MS, before_ms=BASE_MS + 5)),
    "children": lambda reads: reads.executions(ExecutionQuery(map_run=RUN_ID)),
    "name": lambda reads: reads.named("e1", [MACHINE, OTHER]),
    "arn": lambda reads: reads.by_arn("x"),
    "machines": lambda reads: reads.machines(),
    "counts of one": lambda reads: reads.counts(MACHINE),
    "detail": lambda reads: reads.detail(1),
    "map runs": lambda reads: reads.map_runs(1),
    "written": lambda reads: reads.written(1),
}


@pytest.mark.parametrize("ask", QUERIES.values(), ids=QUERIES)
def test_no_question_walks_through_a_table(store: Store, reads: Reads, ask: Any) -> None:
    plans: list[str] = []

    def explain(cursor: Any, statement: str, parameters: Any) -> None:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        plans.extend(row[3] for row in cursor.fetchall())

    def before(_c: Any, cursor: Any, statement: str, parameters: Any, _x: Any, _m: Any) -> None:
        if statement.startswith(("SELECT", "WITH")):
            explain(cursor, statement, parameters)

    event.listen(store.engine, "before_cursor_execute", before)
    ask(reads)
    event.remove(store.engine, "before_cursor_execute", before)

    tables = ("SCAN execution", "SCAN fact_page", "SCAN map_run", "SCAN written_object")
    walked = [plan for plan in plans if plan.startswith(tables) and "INDEX execution_" not in plan]
    assert plans
    assert walked == []


def test_lists_stay_quick_when_one_kind_is_rare(store: Store, reads: Reads) -> None:
    add(store, [execution(0, status="FAILED")])
    add(store, [execution(number) for number in range(1, 50_000)])

    begun = time.perf_counter()
    for _ in range(10):
        assert names(reads, status="FAILED") == ["e0"]
        assert len(names(reads)) == 50
    spent = time.perf_counter() - begun

    assert spent < 2  # about 0.02 s on an idle machine
