"""How long an Express execution may run."""

import json
import random

import pytest

from etl_runner.asl.parse import parse_definition
from etl_runner.machine.decide import start
from etl_runner.machine.limits import Limits
from etl_runner.machine.stimuli import Start

WAIT = {"StartAt": "Only", "States": {"Only": {"Type": "Wait", "Seconds": 9_000, "End": True}}}


@pytest.mark.parametrize(
    ("timeout_s", "express", "limit_s", "deadline_ms"),
    [
        (None, False, 300, None),
        (None, True, 300, 300_000),
        (10, True, 300, 10_000),
        (1_000, True, 300, 300_000),
        (1_000, True, 5_000, 1_000_000),
    ],
)
def test_an_express_execution_ends_after_five_minutes_at_the_latest(
    timeout_s: int | None, express: bool, limit_s: int, deadline_ms: int | None
) -> None:
    definition = WAIT if timeout_s is None else {**WAIT, "TimeoutSeconds": timeout_s}
    stimulus = Start(
        execution_arn="arn:aws:states:us-east-1:123456789012:express:m:x:1",
        name="x",
        state_machine_arn="arn:aws:states:us-east-1:123456789012:stateMachine:m",
        state_machine_name="m",
        input={},
        express=express,
    )
    limits = Limits(express_seconds=limit_s)
    machine, _ = start(parse_definition(json.dumps(definition)), stimulus, 0, random.Random(0), limits)

    assert machine.deadline_ms == deadline_ms
