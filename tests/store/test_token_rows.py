"""Task tokens, activities and the outbox as they are read: in order, by indexes, and once each."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import event

from etl_runner.errors import StoreUnavailable
from etl_runner.store.activities import Activities, ActivityRow
from etl_runner.store.outbox import express_starts, pages_to_tell
from etl_runner.store.state_machines import StateMachineRows
from etl_runner.store.store import Store
from etl_runner.store.tokens import TokenReads
from etl_runner.store.unit import Row, Unit

ARN = "arn:aws:states:us-east-1:123456789012:activity:"


@pytest.fixture
def store(tmp_path: Path) -> Iterator[Store]:
    store = Store(tmp_path / "store.db")
    definition_id = store.put_definition("{}", yaml=False, now_ms=0)
    execution = {
        "id": 1,
        "arn": "arn",
        "state_machine_arn": "machine",
        "name": "one",
        "definition_id": definition_id,
        "scope": 0,
        "origin": "api",
        "input_sha256": "",
        "started_ms": 0,
        "status": "RUNNING",
        "stopped_ms": None,
        "error": None,
        "cause": None,
        "working": False,
        "wake_at_ms": None,
        "map_run_id": None,
        "item_index": None,
    }
    store.commit(Unit(executions=[execution], tokens=[token(n, state="scheduled") for n in (3, 1, 2)]))
    yield store
    store.close()


def token(number: int, *, state: str = "started", heartbeat_due_ms: int | None = None) -> Row:
    return {
        "execution_id": 1,
        "token": number,
        "text": f"text-{number}",
        "state": state,
        "scheduled_ms": 100 + number,
        "activity_arn": f"{ARN}work",
        "heartbeat_ms": None if heartbeat_due_ms is None else 10,
        "heartbeat_due_ms": heartbeat_due_ms,
        "hand_outs": 1,
    }


def test_what_waits_for_a_worker_is_read_oldest_first_until_it_is_fetched(store: Store) -> None:
    reads = TokenReads(store)
    before = [row.token for row in reads.waiting(f"{ARN}work", 2)]
    named = {"b_execution_id": 1, "b_token": 1}
    store.commit(
        Unit(token_fetches=[{**named, "worker": "me", "heartbeat_due_ms": 50}], token_hand_outs=[named])
    )
    row = reads.by_text(["text-1"])["text-1"]

    assert before == [1, 2]
    assert [row.token for row in reads.waiting(f"{ARN}work", 9)] == [2, 3]
    assert (row.state, row.worker, row.heartbeat_due_ms, row.hand_outs) == ("started", "me", 50, 2)
    assert reads.waiting(f"{ARN}other", 9) == []


def test_a_closed_token_owes_no_heartbeat_and_is_still_known(store: Store) -> None:
    reads = TokenReads(store)
    store.commit(Unit(tokens=[token(4, heartbeat_due_ms=70), token(5, heartbeat_due_ms=60)]))
    due = reads.lost(70, 9)
    store.commit(Unit(token_closes=[{"b_execution_id": 1, "b_token": 5}]))

    assert due == [(60, (1, 5)), (70, (1, 4))]
    assert reads.lost(70, 9) == [(70, (1, 4))]
    assert reads.by_text(["text-5", "nobody's"])["text-5"].state == "closed"


def test_an_activity_is_registered_once(store: Store) -> None:
    activities = Activities(store)
    first = activities.create(ActivityRow(arn=f"{ARN}a", name="a", created_ms=1))
    again = activities.create(ActivityRow(arn=f"{ARN}a", name="a", created_ms=2, encryption="{}"))
    activities.create(ActivityRow(arn=f"{ARN}b", name="b", created_ms=3))

    assert again == first == activities.get(f"{ARN}a")
    assert [row.name for row in activities.page(limit=1)] == ["a"]
    assert [row.name for row in activities.page(limit=9, after=f"{ARN}a")] == ["b"]
    assert activities.page(limit=9, prefix="arn:aws:states:eu-central-1:") == []
    assert (activities.delete(f"{ARN}a"), activities.delete(f"{ARN}a")) == (True, False)
    assert activities.get(f"{ARN}a") is None


def test_what_was_told_and_what_has_ended_leaves_no_row(store: Store) -> None:
    start = {"id": 7, "arn": "express", "started_ms": 1, "request": "{}"}
    pages = [{"execution_id": 1, "seq": seq} for seq in (4, 0, 9)]
    store.commit(Unit(express_starts=[start], outbox=pages))
    before = ([row.arn for row in express_starts(store)], pages_to_tell(store, 2))
    store.commit(
        Unit(
            express_ends=[{"b_arn": "express"}], told=[{"b_execution_id": 1, "b_seq": seq} for seq in (0, 4)]
        )
    )

    assert before == (["express"], [(1, 0), (1, 4)])
    assert (express_starts(store), pages_to_tell(store, 9)) == ([], [(1, 9)])


def test_an_activity_is_there_with_its_tags_or_not_at_all(store: Store) -> None:
    registry, row = Activities(store), ActivityRow(arn=f"{ARN}a", name="a", created_ms=1)

    with pytest.raises(StoreUnavailable):  # a tag cannot be kept, and with it nothing
        registry.create(row, {"k": None})  # type: ignore[dict-item]
    assert registry.get(row.arn) is None

    registry.create(row, {"k": "v"})
    registry.create(row, {"other": "of one that is there"})
    assert StateMachineRows(store).tags(row.arn) == {"k": "v"}

    registry.delete(row.arn)
    registry.create(row)
    assert StateMachineRows(store).tags(row.arn) == {}


@pytest.mark.parametrize(
    "ask",
    [
        lambda reads: reads.by_text(["a", "b"]),
        lambda reads: reads.of(1),
        lambda reads: reads.waiting("arn", 5),
        lambda reads: reads.lost(5, 5),
    ],
    ids=["by text", "of an execution", "waiting", "lost"],
)
def test_no_question_walks_through_all_tokens(store: Store, ask: Any) -> None:
    plans: list[str] = []

    def before(_c: Any, cursor: Any, statement: str, parameters: Any, _x: Any, _m: Any) -> None:
        cursor.execute(f"EXPLAIN QUERY PLAN {statement}", parameters)
        plans.extend(row[3] for row in cursor.fetchall())

    event.listen(store.engine, "before_cursor_execute", before)
    ask(TokenReads(store))
    event.remove(store.engine, "before_cursor_execute", before)

    assert plans
    assert not [plan for plan in plans if plan.startswith("SCAN") or "TEMP B-TREE" in plan]
