"""A decision that has taken long enough: its frames pause where they are, and no history shows it."""

import random
from typing import Any

import pytest

from etl_runner.machine import facts as f
from etl_runner.machine.aws_history import project
from etl_runner.machine.decide import decide, start
from etl_runner.machine.history_lint import lint
from etl_runner.machine.state import Status, fold
from etl_runner.machine.stimuli import Wake
from tests.machine.shell import PASS, compiled, scope, single, start_of

BRANCHES: dict[str, Any] = {
    "Type": "Parallel",
    "Branches": [scope("A", PASS | {"End": True}), scope("B", {"Type": "Wait", "Seconds": 0, "End": True})],
    "Next": "Each",
}
EACH: dict[str, Any] = {
    "Type": "Map",
    "ItemProcessor": scope("Item", PASS),
    "Next": "Check",
}
CHECK: dict[str, Any] = {
    "Type": "Choice",
    "Choices": [{"Variable": "$[0]", "IsString": True, "Next": "Done"}],
    "Default": "Wrong",
}
WRONG: dict[str, Any] = {"Type": "Fail", "Error": "Wrong"}
DEFINITION = single(
    {"Type": "Pass", "Result": "given", "Next": "Branches"},
    Branches=BRANCHES,
    Each=EACH,
    Check=CHECK,
    Done={"Type": "Succeed"},
    Wrong=WRONG,
)


def run(*, tired: bool) -> list[tuple[int, list[f.Fact]]]:
    definition, rng = compiled(DEFINITION), random.Random(1)
    machine, facts = start(definition, start_of(), 1_000, rng, tired=lambda: tired)
    pages = [(1_000, facts)]
    while machine.status is Status.RUNNING:
        assert machine.wake_at_ms() == 1_000
        pages.append((1_000, decide(definition, machine, Wake(), 1_000, rng, tired=lambda: tired)))
        assert (lint(pages), fold(pages)) == ([], machine)
    return pages


@pytest.mark.parametrize("include_data", [True, False])
def test_a_history_is_the_same_wherever_its_execution_paused(include_data: bool) -> None:
    def events(*, tired: bool) -> list[Any]:
        pages = run(tired=tired)
        shown = project(compiled(DEFINITION), pages, region="us-east-1", include_data=include_data)
        return sorted(str({**event, "id": 0, "previousEventId": 0}) for event in shown)

    assert events(tired=True) == events(tired=False)
    assert len(run(tired=False)) == 1
    assert len(run(tired=True)) > 5
