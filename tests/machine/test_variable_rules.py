"""Variables: where a value comes from, who sees it, for how long, and how much there may be."""

from typing import Any

import pytest

from etl_runner.jsontypes import Json
from etl_runner.machine import stimuli as s
from etl_runner.machine.decide import decide, start
from etl_runner.machine.limits import Limits
from tests.machine.shell import BEGUN_MS, PASS, TASK, Run, compiled, outcome, scope, single, start_of

ERROR = {"Error": "E", "Cause": "why"}


def read(name: str = "x") -> dict[str, Any]:
    """A state that ends with what a variable holds."""
    return {"Type": "Pass", "Parameters": {"got.$": f"${name}"}, "OutputPath": "$.got", "End": True}


def to(state: dict[str, Any], target: str = "Read") -> dict[str, Any]:
    return {key: value for key, value in state.items() if key != "End"} | {"Next": target}


def done(state: dict[str, Any], given: Json = None, answer: Json = None) -> Json:
    """Run a state that assigns `x`, answer its task, and give what `x` holds afterwards."""
    run = Run(single(to(state), Read=read()), given)
    if answer is not None:
        run.succeed(answer)
    return run.output


def test_pass_assigns_from_its_result_and_not_from_where_the_result_goes() -> None:
    assert done(PASS | {"Result": {"a": 1}, "ResultPath": "$.r", "Assign": {"x.$": "$"}}, {"b": 2}) == {
        "a": 1
    }
    assert done(PASS | {"InputPath": "$.b", "Assign": {"x.$": "$"}}, {"b": 2}) == 2
    assert done(PASS | {"Parameters": {"p.$": "$.b"}, "Assign": {"x.$": "$.p"}}, {"b": 2}) == 2


def test_task_assigns_from_its_result_after_the_result_selector() -> None:
    assert done(TASK | {"ResultPath": None, "Assign": {"x.$": "$.a"}}, answer={"a": 1}) == 1
    selected = TASK | {"ResultSelector": {"b.$": "$.a"}, "Assign": {"x.$": "$"}}
    assert done(selected, answer={"a": 1}) == {"b": 1}


def test_a_catcher_assigns_from_the_error_output_and_the_state_itself_does_not() -> None:
    catch = [{"ErrorEquals": ["E"], "Next": "Read", "Assign": {"x.$": "$"}}]
    run = Run(single(to(TASK | {"Assign": {"x": "not"}, "Catch": catch}), Read=read()))

    run.fail("E", "why")

    assert run.output == ERROR


def test_a_jsonata_catcher_sees_the_input_and_the_error_output() -> None:
    given = {"a": 1}
    values = {"x": "{% [$states.input, $states.errorOutput] %}"}
    catch = [
        {"ErrorEquals": ["E"], "Next": "Read", "Assign": values, "Output": "{% $states.errorOutput.Error %}"}
    ]
    run = Run(single(to(TASK | {"QueryLanguage": "JSONata", "Catch": catch}), Read=read()), given)

    run.fail("E", "why")

    assert run.output == [given, ERROR]
    assert [
        e["stateExitedEventDetails"]["output"] for e in run.events() if e["type"] == "TaskStateExited"
    ] == ['"E"']


@pytest.mark.parametrize(("n", "expected"), [(1, "rule"), (2, "state")])
def test_choice_assigns_what_its_rule_says_and_by_default_what_the_state_says(n: int, expected: str) -> None:
    rule = {"Variable": "$.n", "NumericEquals": 1, "Next": "Read", "Assign": {"x": "rule"}}
    choice = {"Type": "Choice", "Choices": [rule], "Default": "Read", "Assign": {"x": "state"}}

    assert outcome(single(choice, Read=read()), {"n": n}) == expected


def test_wait_assigns_when_it_is_over() -> None:
    run = Run(
        single({"Type": "Wait", "Seconds": 5, "Assign": {"x.$": "$.a"}, "Next": "Read"}, Read=read()),
        {"a": 1},
    )
    assert "assignedVariables" not in str(run.events())

    run.wake()

    assert run.output == 1


def test_map_and_parallel_assign_from_the_results_of_all() -> None:
    assert done({"Type": "Map", "ItemProcessor": scope("Each", PASS), "Assign": {"x.$": "$[1]"}}, [1, 2]) == 2
    group = {"Type": "Parallel", "Branches": [scope("A", PASS), scope("B", PASS)], "Assign": {"x.$": "$"}}
    assert done(group, {"a": 1}) == [{"a": 1}, {"a": 1}]


def test_all_of_assign_and_the_output_see_the_values_of_the_states_entry() -> None:
    first = PASS | {"Assign": {"x": 1, "y": 2}}
    swap = PASS | {
        "QueryLanguage": "JSONata",
        "Assign": {"x": "{% $y %}", "y": "{% $x %}"},
        "Output": "{% $x %}",
    }
    last = {**PASS, "Parameters": {"out.$": "$", "x.$": "$x", "y.$": "$y"}}

    states = single(to(first, "Swap"), Swap=to(swap, "Last"), Last=last)

    assert outcome(states) == {"out": 1, "x": 2, "y": 1}


def test_an_inner_scope_reads_outer_variables_and_its_own_end_with_it() -> None:
    inner = to(PASS | {"Assign": {"y.$": "States.MathAdd($x, $)"}}, "Show")
    processor = {"StartAt": "Add", "States": {"Add": inner, "Show": PASS | {"InputPath": "$y"}}}
    each = {"Type": "Map", "ItemProcessor": processor, "Next": "After"}
    after = PASS | {"InputPath": "$y", "Parameters": {}}
    run = Run(single(to(PASS | {"Assign": {"x": 10}}, "Each"), Each=each, After=after), [1, 2])

    assert [
        e["stateExitedEventDetails"]["output"] for e in run.events() if e["type"] == "MapStateExited"
    ] == ["[11,12]"]
    assert run.error[0] == "States.Runtime"


def test_iterations_do_not_see_each_others_variables() -> None:
    count = PASS | {"QueryLanguage": "JSONata", "Assign": {"n": "{% $exists($n) ? $n + 1 : 1 %}"}}
    processor = {
        "StartAt": "Count",
        "States": {"Count": to(count, "Show"), "Show": PASS | {"InputPath": "$n"}},
    }

    assert outcome(single({"Type": "Map", "ItemProcessor": processor, "End": True}), [0, 0, 0]) == [1, 1, 1]


def test_an_empty_assign_leaves_no_trace_in_the_history() -> None:
    assert "assigned" not in str(Run(single(PASS | {"Assign": {}})).events())


def test_the_history_shows_each_value_as_json_text() -> None:
    details = Run(single(PASS | {"Assign": {"a": "t", "b": [1], "c": None}})).events()[2][
        "stateExitedEventDetails"
    ]

    assert details["assignedVariables"] == {"a": '"t"', "b": "[1]", "c": "null"}
    assert details["assignedVariablesDetails"] == {"truncated": False}


@pytest.mark.parametrize(
    ("limits", "what"),
    [
        (Limits(variable_bytes=10), "The variable 'x' was assigned a value with 14 bytes"),
        (Limits(assign_bytes=20), "The Assign field gives variables with 28 bytes together"),
        (Limits(variables_bytes=40), "The variables of the execution would have"),
    ],
)
def test_what_is_assigned_is_bounded(limits: Limits, what: str) -> None:
    big = {"x": "a" * 12, "y": "b" * 12}
    loop = single(to(PASS | {"Assign": big}, "Again"), Again=PASS | {"Assign": {"z": "c" * 12}})
    machine, _ = start(compiled(loop), start_of(), BEGUN_MS, Run(loop).rng, limits)

    assert machine.error == "States.DataLimitExceeded"
    assert machine.cause is not None
    assert what in machine.cause


def test_what_replaces_a_value_does_not_count_twice() -> None:
    loop = single(to(PASS | {"Assign": {"x": "a" * 30}}, "Again"), Again=PASS | {"Assign": {"x": "b" * 30}})

    machine, _ = start(compiled(loop), start_of(), BEGUN_MS, Run(loop).rng, Limits(variables_bytes=60))

    assert machine.error is None


def test_a_variable_too_large_fails_a_task_in_a_way_that_it_can_catch() -> None:
    catch = [{"ErrorEquals": ["States.DataLimitExceeded"], "Next": "Caught"}]
    raw = single(to(TASK | {"Assign": {"x.$": "$"}, "Catch": catch}, "Caught"), Caught=PASS)
    run, limits = Run(raw), Limits(variable_bytes=10)

    decide(run.definition, run.machine, s.TaskSuccess(token=1, output="a" * 20), run.now_ms, run.rng, limits)

    assert run.output["Error"] == "States.DataLimitExceeded"
