import json
from typing import Any

import pytest

from etl_runner.asl.parse import parse_definition
from etl_runner.errors import InvalidInput
from etl_runner.offline.answers import Returned, Thrown, Unmocked
from etl_runner.offline.mock_config import MockConfig
from etl_runner.offline.recorded import read_history
from etl_runner.offline.run import run
from tests.conformance.recordings import read_all
from tests.shared_data import SHARED, needs_shared


def config(**parts: Any) -> str:
    return json.dumps({"StateMachines": {}, "MockedResponses": {}, **parts})


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("[]", "the whole has to be an object"),
        ("{", "is no JSON"),
        (config(Odd=1), "has the field 'Odd'"),
        (config(MockedResponses={"r": {}}), "/MockedResponses/r has no answer"),
        (config(MockedResponses={"r": {"x": {"Return": 1}}}), "/MockedResponses/r/x is no number"),
        (config(MockedResponses={"r": {"2-1": {"Return": 1}}}), "/MockedResponses/r/2-1 is no number"),
        (config(MockedResponses={"r": {"0-2": {"Return": 1}, "2": {"Return": 1}}}), "answers number 2"),
        (config(MockedResponses={"r": {"0": {}}}), "either Return or Throw"),
        (
            config(MockedResponses={"r": {"0": {"Return": 1, "Throw": {"Error": "E"}}}}),
            "either Return or Throw",
        ),
        (config(MockedResponses={"r": {"0": {"Throw": {"Cause": "c"}}}}), "has to have Error"),
        (config(StateMachines={"m": {"TestCases": {"c": {"S": "r"}}}}), "names the mocked response 'r'"),
        (config(StateMachines={"m": {}}, Expectations={"m": {"c": {}}}), "names the test case 'c'"),
    ],
)
def test_a_file_that_is_wrong_is_refused_with_the_place(text: str, wrong: str) -> None:
    with pytest.raises(InvalidInput) as raised:
        MockConfig.read(text, "mocks.json")

    assert wrong in str(raised.value)
    assert str(raised.value).startswith("mocks.json")


def test_a_range_answers_each_of_its_numbers() -> None:
    responses = {"r": {"0": {"Throw": {"Error": "A"}}, "1-2": {"Throw": {"Error": "B"}}, "3": {"Return": 1}}}
    text = config(MockedResponses=responses, StateMachines={"m": {"TestCases": {"c": {"S": "r"}}}})
    mocks = MockConfig.read(text, "f").machines["m"]["c"].mocks()

    found = [mocks.answer("S", {}) for _ in range(4)]

    assert found == [Thrown(error="A"), Thrown(error="B"), Thrown(error="B"), Returned(output=1)]
    with pytest.raises(Unmocked):
        mocks.answer("S", {})


def entered(number: int, name: str, previous: int = 0) -> Any:
    details = {"name": name, "input": "{}"}
    told = {"id": number, "previousEventId": previous, "type": "TaskStateEntered"}
    return {**told, "stateEnteredEventDetails": details}


def event(number: int, previous: int, kind: str, **details: Any) -> Any:
    name = kind[0].lower() + kind[1:] + "EventDetails"
    return {"id": number, "previousEventId": previous, "type": kind, name: details}


HISTORY = [
    event(1, 0, "ExecutionStarted", input='{"n": 1}'),
    entered(2, "Fetch"),
    event(3, 2, "TaskScheduled", parameters='{"a":1}'),
    event(4, 3, "TaskFailed", error="Busy"),
    event(5, 4, "TaskScheduled", parameters='{"a":1}'),
    event(6, 5, "TaskSucceeded", output='{"done":true}'),
    event(7, 6, "ExecutionSucceeded", output='{"done":true}'),
]


@pytest.mark.parametrize("events", [HISTORY, HISTORY[::-1]], ids=["forward", "reverse"])
def test_a_history_gives_input_answers_and_end(events: Any) -> None:
    run_ = read_history(json.dumps({"events": events}), "history.json")
    mocks = run_.mocks()

    assert (run_.input, run_.status, run_.output) == ({"n": 1}, "SUCCEEDED", ({"done": True},))
    assert mocks.answer("Fetch", {"a": 1}) == Thrown(error="Busy")
    assert mocks.answer("Fetch", {"a": 1}) == Returned(output={"done": True})
    with pytest.raises(Unmocked, match="ran out of answers"):
        mocks.answer("Fetch", {"a": 1})


def test_side_by_side_work_gets_the_answer_to_its_own_arguments() -> None:
    events = [
        HISTORY[0],
        entered(2, "Work"),
        event(3, 2, "TaskScheduled", parameters="1"),
        entered(4, "Work"),
        event(5, 4, "TaskScheduled", parameters="2"),
        event(6, 5, "TaskSucceeded", output='"two"'),
        event(7, 3, "TaskSucceeded", output='"one"'),
    ]
    mocks = read_history(json.dumps(events), "h").mocks()

    assert [mocks.answer("Work", n) for n in (1, 2)] == [Returned(output="one"), Returned(output="two")]


def test_of_a_redriven_execution_the_run_before_is_given_again() -> None:
    events = [
        HISTORY[0],
        entered(2, "Work"),
        event(3, 2, "TaskScheduled", parameters="1"),
        event(4, 3, "TaskFailed", error="E"),
        event(5, 4, "ExecutionFailed", error="E"),
        event(6, 5, "ExecutionRedriven"),
        event(7, 6, "TaskScheduled", parameters="1"),
        event(8, 7, "TaskSucceeded", output="1"),
        event(9, 8, "ExecutionSucceeded", output="1"),
    ]
    run = read_history(json.dumps(events), "h")

    assert (run.status, run.error, run.output) == ("FAILED", "E", None)
    assert run.mocks().answer("Work", 1) == Thrown(error="E", cause=None)


@pytest.mark.parametrize("text", ["{}", "[]", "1", '{"events": [{"id": 1}]}', '{"events": 1}', "nope"])
def test_what_is_no_history_is_refused(text: str) -> None:
    with pytest.raises(InvalidInput, match="is no execution history"):
        read_history(text, "h.json")


def recorded() -> list[Any]:
    """The recorded executions of one machine each, whose input has no moment that the recording hides."""
    if SHARED is None:
        return []
    found = []
    for case in read_all(SHARED / "conformance"):
        histories = [each for each in case.expected.values() if isinstance(each, dict) and "events" in each]
        hidden = any(
            word in json.dumps(case.inputs) + str(histories[:1]) for word in ("<timestamp>", "'date'")
        )
        known = histories and all(isinstance(each["id"], int) for each in histories[0]["events"])
        if len(case.definitions) == 1 and isinstance(case.definitions[0], dict) and known and not hidden:
            found.append(pytest.param(case.definitions[0], histories[0], id=case.name))
    return found


@needs_shared
@pytest.mark.parametrize(("definition", "history"), recorded())
def test_a_recorded_execution_ends_offline_as_it_did(definition: Any, history: Any) -> None:
    past = read_history(json.dumps(history), "history")
    if not past.status:
        pytest.skip("it did not end")

    ran = run(parse_definition(json.dumps(definition)), past.input, past.mocks())

    assert (ran.stopped, ran.status, ran.error) == ("", past.status, past.error)
