from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from etl_runner.asl.dataflow import compile_template
from etl_runner.clock import ManualClock, SystemClock
from etl_runner.errors import InvalidInput, NotFound, StatesError, StoreUnavailable
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.schedule.events import EventService, RuleSpec, execution_name
from etl_runner.schedule.patterns import compile_pattern
from etl_runner.schedule.put_events import ENTRY_LIMIT_BYTES
from etl_runner.store.ledger import Ledger
from etl_runner.store.store import Store
from tests.schedule.ledgers import FakeLauncher
from tests.schedule.machines import engine_on

ID = "6a7e8feb-b491-4cf7-a9f1-bf3703467718"


def rule(name: str = "orders", pattern: Json = None, **fields: Any) -> RuleSpec:
    """A rule that starts the workflow "work" for events of the shop."""
    compiled = compile_pattern(pattern or {"source": ["shop"]})
    return RuleSpec(name=name, pattern=compiled, workflow=fields.pop("workflow", "work"), **fields)


def event(**fields: Any) -> Json:
    return {"id": ID, "source": "shop", "detail-type": "order", "detail": {"n": 1}} | fields


def entry(**fields: Any) -> Json:
    return {"Source": "shop", "DetailType": "order", "Detail": '{"n": 1}'} | fields


class World:
    def __init__(self, folder: Path) -> None:
        self.store = Store(folder / "store.db")
        self.ledger = Ledger(self.store)
        self.launcher = FakeLauncher(self.store)
        self.clock = ManualClock(1_772_323_200_000)
        self.events = EventService(self.store, self.launcher, self.clock)

    def inputs(self) -> list[Json]:
        return list(self.launcher.executions.values())


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    made = World(tmp_path)
    yield made
    assert len(made.launcher.started) == len(set(made.launcher.started))
    made.store.close()


# --- starting


def test_an_event_starts_each_rule_that_it_matches_with_the_whole_event(world: World) -> None:
    world.events.apply([rule(), rule("all", {"detail": {"n": [1]}}), rule("others", {"source": ["depot"]})])
    taken = world.events.put_event(event())

    assert [(match.rule, match.outcome) for match in taken.matches] == [
        ("all", "started"),
        ("orders", "started"),
    ]
    assert set(world.launcher.executions) == {("work", f"all-{ID}"), ("work", f"orders-{ID}")}
    assert world.inputs()[0] == event() | {
        "version": "0",
        "account": "123456789012",
        "time": "2026-03-01T00:00:00Z",
        "region": "us-east-1",
        "resources": [],
    }


def test_a_rules_input_is_made_over_event_and_rule(world: World) -> None:
    template = compile_template({"n.$": "$.event.detail.n", "by.$": "$.rule.name", "fixed": True})
    world.events.apply([rule(template=template)])
    world.events.put_event(event())

    assert world.inputs() == [{"n": 1, "by": "orders", "fixed": True}]


def test_a_disabled_rule_starts_nothing(world: World) -> None:
    world.events.apply([rule(enabled=False)])

    assert world.events.put_event(event()).matches == ()


def test_an_event_that_comes_again_starts_nothing_and_gets_the_same_answer(world: World) -> None:
    world.events.apply([rule()])
    first = world.events.put_event(event())
    world.clock.advance(1_000)
    again = world.events.put_event(event())

    assert again == first
    assert len(world.launcher.started) == 1


def test_an_event_that_comes_again_starts_a_rule_that_is_new(world: World) -> None:
    world.events.apply([rule()])
    world.events.put_event(event())
    world.events.apply([rule(), rule("second")])
    taken = world.events.put_event(event())

    assert [match.rule for match in taken.matches] == ["orders", "second"]
    assert len(world.launcher.started) == 2


def test_a_commit_whose_answer_was_lost_is_not_done_again(world: World) -> None:
    world.events.apply([rule()])
    world.launcher.holding = True
    with ThreadPoolExecutor(1) as pool:
        lost = pool.submit(world.events.put_event, event())
        world.launcher.wait_for(1)
        world.launcher.commit()
        lost.result(timeout=10)
    world.launcher.holding = False
    restarted = EventService(world.store, world.launcher, world.clock)
    restarted.apply([rule()])

    assert restarted.put_event(event()).matches[0].outcome == "started"
    assert len(world.launcher.started) == 1


def test_an_event_twice_among_those_put_together_starts_once(world: World) -> None:
    world.events.apply([rule()])
    first, other, again = world.events.put_all([event(), event(id="other"), event()])

    assert again == first != other
    assert len(world.launcher.started) == 2
    assert world.launcher.commits == 2


def test_a_rule_that_cannot_start_leaves_a_row_and_harms_no_other(world: World) -> None:
    world.launcher.refusals["gone"] = NotFound("there is no workflow 'gone'")
    broken = compile_template({"x.$": "$.event.detail.missing"})
    world.events.apply([rule("a", workflow="gone"), rule("b", template=broken), rule("c")])
    taken = world.events.put_event(event())

    assert [match.outcome for match in taken.matches] == ["failed", "failed", "started"]
    assert taken.matches[0].reason == "there is no workflow 'gone'"
    assert "$.event.detail.missing" in taken.matches[1].reason


def test_what_has_failed_stays_failed_when_the_event_comes_again(world: World) -> None:
    world.launcher.refusals["work"] = NotFound("there is no workflow 'work'")
    world.events.apply([rule()])
    first = world.events.put_event(event())
    world.launcher.refusals.clear()

    assert world.events.put_event(event()) == first
    assert world.launcher.started == []


def test_a_start_refused_after_it_was_handed_over_is_a_failed_match(world: World) -> None:
    world.events.apply([rule()])
    world.launcher.failures = [StatesError("States.Runtime", "no such thing")]

    assert world.events.put_event(event()).matches[0].outcome == "failed"


def test_a_store_in_trouble_is_an_error_and_the_event_may_come_again(world: World) -> None:
    world.events.apply([rule()])
    world.launcher.failures = [StoreUnavailable("the disk is full")]
    with pytest.raises(StoreUnavailable, match="the disk is full"):
        world.events.put_event(event())

    assert world.events.put_event(event()).matches[0].outcome == "started"


def test_two_rules_of_one_name_are_refused(world: World) -> None:
    with pytest.raises(InvalidInput, match="two rules named 'orders'"):
        world.events.apply([rule(), rule()])


def test_an_event_without_an_id_gets_one(world: World) -> None:
    bare = {name: value for name, value in event().items() if name != "id"}

    assert world.events.put_event(bare).event_id != world.events.put_event(bare).event_id


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ([], "an event is a JSON object"),
        (event(source=""), "the 'source' of the event is \"\"; it must be a string that is not empty"),
        (event(**{"detail-type": 5}), "the 'detail-type' of the event is 5; it must be a string"),
        (event(detail="[]"), r"the 'detail' of the event is \"\[\]\"; it must be a JSON object"),
        ({"source": "shop", "detail-type": "order"}, "the event has no 'detail'"),
        (event(id="x" * 257), "'id' has 257 characters"),
        (event(id=7), "'id' must be a string"),
        (event(time=1), "'time' must be a string"),
        (event(resources="arn"), "'resources' must be a list"),
        (event(detail={"text": "x" * 1_048_576}), "the most is 1,048,576"),
    ],
)
def test_what_is_no_event_is_refused(world: World, wrong: Json, sentence: str) -> None:
    with pytest.raises(InvalidInput, match=sentence):
        world.events.put_event(wrong)


# --- PutEvents


def test_an_entry_becomes_an_event_with_an_id_of_its_own(world: World) -> None:
    world.events.apply([rule()])
    (answer,) = world.events.put([entry(Time=1_772_000_000, Resources=["arn:x"], EventBusName="default")])

    (made,) = world.inputs()
    assert answer == {"EventId": made["id"]}
    assert made["time"] == "2026-02-25T06:13:20Z"
    assert (made["resources"], made["detail"]) == (["arn:x"], {"n": 1})


ERRORS = [
    ({}, "InvalidArgument", "Parameter Source is not valid. Reason: Source is a required argument."),
    (
        {"Source": "shop"},
        "InvalidArgument",
        "Parameter DetailType is not valid. Reason: DetailType is a required argument.",
    ),
    (
        {"Source": "shop", "DetailType": "x"},
        "InvalidArgument",
        "Parameter Detail is not valid. Reason: Detail is a required argument.",
    ),
    (entry(Detail="{"), "MalformedDetail", "Detail is malformed."),
    (entry(Detail="[1]"), "MalformedDetail", "Detail is malformed."),
    (entry(Source="aws.s3"), "NotAuthorizedForSourceException", "Not authorized for the source."),
    (entry(EventBusName="mine"), "InvalidArgument", "there is no event bus 'mine'"),
    (entry(Time="soon"), "InvalidArgument", "Time is a number of seconds"),
    (entry(Resources="arn"), "InvalidArgument", "Resources is a list of strings"),
    (entry(DetailType="x" * 129), "InvalidArgument", "at most 128 characters"),
    (entry(Color="red"), "InvalidArgument", "Parameter Color is not valid"),
    (entry(Detail=dumps_text({"x": "y" * ENTRY_LIMIT_BYTES})), "InvalidArgument", "the most is 262,144"),
    ("text", "InvalidArgument", "An entry is a JSON object."),
]


@pytest.mark.parametrize(("wrong", "code", "message"), ERRORS)
def test_an_entry_is_refused_with_eventbridges_code_and_the_others_are_taken(
    world: World, wrong: Json, code: str, message: str
) -> None:
    first, refused, last = world.events.put([entry(), wrong, entry()])

    assert refused["ErrorCode"] == code
    assert message in refused["ErrorMessage"]
    assert set(first) == set(last) == {"EventId"}


def test_an_entry_of_exactly_the_limit_is_taken(world: World) -> None:
    detail = '{"x":"' + "y" * (ENTRY_LIMIT_BYTES - len("shop" + "order" + '{"x":""}')) + '"}'

    (answer,) = world.events.put([entry(Detail=detail)])

    assert "EventId" in answer


def test_an_entry_that_is_not_committed_is_an_internal_failure(world: World) -> None:
    world.events.apply([rule()])
    world.launcher.failures = [StoreUnavailable("the disk is full")]

    answers = world.events.put([entry(), entry()])
    assert answers[0]["ErrorCode"] == "InternalFailure"
    assert "EventId" in answers[1]


def test_entries_are_handed_over_before_the_first_commit(world: World) -> None:
    world.events.apply([rule()])
    world.launcher.holding = True
    with ThreadPoolExecutor(1) as pool:
        answers = pool.submit(world.events.put, [entry()] * 10)
        world.launcher.wait_for(10)
        world.launcher.commit()

        assert len(answers.result(timeout=10)) == 10
    assert world.launcher.commits == 1


# --- names


def test_an_executions_name_is_the_rule_and_the_events_id() -> None:
    assert execution_name("orders", ID) == f"orders-{ID}"
    assert len(execution_name("r" * 64, ID)) == 80


@given(
    st.lists(
        st.tuples(st.from_regex(r"\A[ab.-]{1,64}\Z"), st.text(max_size=40) | st.just(ID)),
        min_size=2,
        max_size=2,
        unique=True,
    )
)
def test_two_pairs_of_rule_and_event_never_meet_in_one_name(pairs: list[tuple[str, str]]) -> None:
    names = [execution_name(*pair) for pair in pairs]

    assert names[0] != names[1]
    assert all(len(name) <= 80 for name in names)


# --- the real engine


def test_an_event_put_by_many_at_once_starts_once(tmp_path: Path) -> None:
    with engine_on(tmp_path / "store.db") as (store, launch):
        events = EventService(store, launch, SystemClock())
        events.apply([rule(), rule("gone", workflow="nowhere")])
        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(lambda _: events.put_event(event()), range(32)))

        assert all(answer == answers[0] for answer in answers)
        assert [(match.rule, match.outcome) for match in answers[0].matches] == [
            ("gone", "failed"),
            ("orders", "started"),
        ]
        assert (
            len(
                store.executions_by_name(
                    [("arn:aws:states:us-east-1:123456789012:stateMachine:work", f"orders-{ID}")]
                )
            )
            == 1
        )


def test_an_answer_comes_after_the_real_commit(tmp_path: Path) -> None:
    with engine_on(tmp_path / "store.db") as (store, launch):
        events = EventService(store, launch, SystemClock())
        events.apply([rule()])
        taken = events.put_event(event())

        assert taken.matches[0].execution_arn is not None
        execution = store.execution_by_arn(taken.matches[0].execution_arn)
        assert execution is not None
        assert execution.origin == "rule:orders"
