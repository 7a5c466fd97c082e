"""What an execution may use by default, and with bounds that were lifted."""

import json
import random
from typing import Any

import pytest

from etl_runner.asl.parse import parse_definition
from etl_runner.machine.decide import start
from etl_runner.machine.facts import ExecutionFailed
from etl_runner.machine.limits import Limits
from etl_runner.machine.state import Machine, Status
from etl_runner.machine.stimuli import Start

ENDLESS = {
    "StartAt": "Count",
    "States": {
        "Count": {
            "Type": "Pass",
            "Parameters": {"n.$": "States.MathAdd($.n, 1)"},
            "Next": "Enough",
        },
        "Enough": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.n", "NumericEquals": 9_000, "Next": "Done"}],
            "Default": "Count",
        },
        "Done": {"Type": "Succeed"},
    },
}
"""About 36,000 events."""


def begin(definition: Any, given: Any, limits: Limits, *, express: bool = False) -> tuple[Machine, list[Any]]:
    stimulus = Start(
        execution_arn="arn:aws:states:us-east-1:123456789012:execution:m:x",
        name="x",
        state_machine_arn="arn:aws:states:us-east-1:123456789012:stateMachine:m",
        state_machine_name="m",
        input=given,
        express=express,
    )
    return start(parse_definition(json.dumps(definition)), stimulus, 0, random.Random(0), limits)


def test_the_25000th_event_of_a_history_is_its_execution_failed() -> None:
    machine, facts = begin(ENDLESS, {"n": 0}, Limits())

    assert (machine.events, facts[-1]) == (
        25_000,
        ExecutionFailed(
            error="States.Runtime",
            cause="The execution reached the maximum number of history events (25000).",
        ),
    )


@pytest.mark.parametrize(("limits", "express"), [(Limits(events=50_000), False), (Limits(), True)])
def test_more_events_are_for_express_executions_and_where_the_bound_is_lifted(
    limits: Limits, express: bool
) -> None:
    machine, _ = begin(ENDLESS, {"n": 0}, limits, express=express)

    assert (machine.status, machine.events > 30_000) == (Status.SUCCEEDED, True)


GROWING = {
    "StartAt": "Grow",
    "States": {
        "Grow": {
            "Type": "Pass",
            "Parameters": {"twice.$": "States.Format('{}{}', $.text, $.text)"},
            "End": True,
        }
    },
}
ASSIGNING = {
    "StartAt": "Keep",
    "States": {"Keep": {"Type": "Pass", "Assign": {"a.$": "$.text", "b.$": "$.text"}, "End": True}},
}


def test_a_states_output_of_more_than_256_kib_ends_the_execution_as_on_aws() -> None:
    machine, _ = begin(GROWING, {"text": "x" * 131_100}, Limits())

    cause = (
        "The state/task 'Grow' returned a result with a size exceeding the maximum number of bytes service "
        "limit."
    )

    assert (machine.error, machine.cause) == ("States.DataLimitExceeded", cause)


def test_a_states_output_fits_where_the_bound_is_lifted() -> None:
    machine, _ = begin(GROWING, {"text": "x" * 131_100}, Limits(payload_bytes=1_000_000))

    assert (machine.status, machine.output) == (Status.SUCCEEDED, {"twice": "x" * 262_200})


@pytest.mark.parametrize(
    ("size", "limits", "error"),
    [
        (130_000, Limits(), None),
        (131_100, Limits(), "States.DataLimitExceeded"),
        (131_100, Limits(assign_bytes=400_000), None),
        (262_000, Limits(assign_bytes=600_000), None),
        (262_200, Limits(assign_bytes=600_000), "States.DataLimitExceeded"),
        (262_200, Limits(assign_bytes=600_000, variable_bytes=300_000, payload_bytes=300_000), None),
        (130_000, Limits(variables_bytes=250_000), "States.DataLimitExceeded"),
    ],
)
def test_variables_are_bounded_one_by_one_in_an_assign_and_in_all(
    size: int, limits: Limits, error: str | None
) -> None:
    machine, _ = begin(ASSIGNING, {"text": "x" * size}, limits)

    assert machine.error == error
