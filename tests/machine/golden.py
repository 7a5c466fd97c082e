"""Histories cut off in the middle, kept as this release writes them, and how each goes on.

`python -m tests.machine.golden` writes those that are missing under tests/histories/v<format>. What is there
is never written again: every later release must load it and bring it to the same end.
"""

import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, get_args

import msgspec

from etl_runner.jsontypes import Json
from etl_runner.machine import stimuli as s
from etl_runner.machine.codec import FORMAT, encode_page
from tests.machine.shell import PASS, TASK, Run, scope, single

HISTORIES: Final = Path(__file__).resolve().parents[1] / "histories"
STIMULI: Final[dict[str, type]] = {kind.__name__: kind for kind in get_args(s.Stimulus)}

_RETRY: Final = [{"ErrorEquals": ["E"], "JitterStrategy": "FULL", "IntervalSeconds": 10}]
_CATCH: Final = [{"ErrorEquals": ["States.ALL"], "Next": "Caught", "ResultPath": "$.error"}]


def _pause_before_a_retry() -> Run:
    run = Run(single(TASK | {"Retry": _RETRY, "TimeoutSeconds": 30, "HeartbeatSeconds": 5}), {"n": 1})
    run.fail("E", "first")
    run.wake()
    run.fail("E", "second")
    return run


def _half_a_map_in_a_parallel() -> Run:
    each = TASK | {"ResultSelector": {"got.$": "$.v"}, "ResultPath": "$.result"}
    inner = {
        "Type": "Map",
        "ItemsPath": "$.items",
        "MaxConcurrency": 2,
        "ItemSelector": {"i.$": "$$.Map.Item.Index", "v.$": "$$.Map.Item.Value"},
        "ItemProcessor": scope("Each", each),
        "End": True,
    }
    wait = {"Type": "Wait", "Seconds": 60, "End": True}
    both = {"Type": "Parallel", "Branches": [scope("Inner", inner), scope("Pause", wait)], "End": True}
    run = Run(single(both | {"Catch": _CATCH}, Caught=PASS), {"items": ["a", "b", "c"]})
    run.succeed({"v": 1}, state="Each", index=1)
    return run


def _a_token_that_someone_holds() -> Run:
    state = TASK | {
        "Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
        "Parameters": {"QueueUrl": "q", "MessageBody": {"token.$": "$$.Task.Token"}},
        "Catch": _CATCH,
    }
    run = Run(single(state, Caught=PASS) | {"TimeoutSeconds": 3600})
    run.decide(s.TaskSubmission(token=1, output={"MessageId": "m"}))
    return run


def _an_activity_and_an_open_map_run() -> Run:
    processor = scope("Each", PASS) | {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    }
    spread = {"Type": "Map", "ItemProcessor": processor, "ToleratedFailurePercentage": 5, "End": True}
    activity = TASK | {"Resource": "arn:aws:states:us-east-1:123456789012:activity:work"}
    both = {"Type": "Parallel", "Branches": [scope("Spread", spread), scope("Work", activity)], "End": True}
    run = Run(single(both), [1, 2])
    run.decide(s.ActivityFetch(token=2, worker="w"))
    return run


def _a_redriven_map_with_variables() -> Run:
    first = {"Type": "Pass", "Assign": {"by": 10}, "Next": "Each"}
    work = {
        "Type": "Task",
        "QueryLanguage": "JSONata",
        "Resource": TASK["Resource"],
        "Arguments": {"n": "{% $states.input * $by %}"},
        "Assign": {"got": "{% $states.result %}"},
        "Next": "Show",
    }
    show = {"Type": "Pass", "QueryLanguage": "JSONata", "Output": "{% [$got, $by] %}", "End": True}
    each = {"Type": "Map", "MaxConcurrency": 2, "ItemProcessor": scope("Work", work, Show=show), "End": True}
    run = Run(single(first, Each=each), [1, 2, 3])
    run.succeed("one", state="Work", index=0)
    run.fail("E", "why", state="Work", index=1)
    run.now_ms += 1000
    run.decide(s.Redrive())
    return run


def _a_redriven_map_run() -> Run:
    processor = scope("Each", PASS) | {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    }
    spread = {
        "Type": "Map",
        "QueryLanguage": "JSONata",
        "Items": "{% $states.input.items %}",
        "ItemSelector": {"v": "{% $states.context.Map.Item.Value & $x %}"},
        "ItemProcessor": processor,
        "Assign": {"results": "{% $states.result %}"},
        "End": True,
    }
    first = {"Type": "Pass", "Assign": {"x.$": "$.x"}, "Next": "Spread"}
    run = Run(single(first, Spread=spread), {"x": "y", "items": [1, 2]})
    run.decide(s.MapRunFailure(token=1, error="E", cause="why"))
    run.decide(s.Redrive())
    return run


CASES: Final[dict[str, tuple[Callable[[], Run], list[tuple[int, str, dict[str, Json]]]]]] = {
    "pause_before_a_retry": (
        _pause_before_a_retry,
        [(60_000, "Wake", {}), (0, "TaskSuccess", {"token": 5, "output": [1]})],
    ),
    "half_a_map_in_a_parallel": (
        _half_a_map_in_a_parallel,
        [
            (10, "TaskSuccess", {"token": 2, "output": {"v": 0}}),
            (0, "TaskSuccess", {"token": 4, "output": {"v": 2}}),
            (60_000, "Wake", {}),
        ],
    ),
    "a_token_that_someone_holds": (
        _a_token_that_someone_holds,
        [(5, "TaskFailure", {"token": 1, "error": None, "cause": None})],
    ),
    "an_activity_and_an_open_map_run": (
        _an_activity_and_an_open_map_run,
        [
            (5, "TaskSuccess", {"token": 2, "output": "done"}),
            (5, "MapRunSuccess", {"token": 1, "output": [3, 4]}),
        ],
    ),
    "a_redriven_map_with_variables": (
        _a_redriven_map_with_variables,
        [
            (5, "TaskSuccess", {"token": 5, "output": "three"}),
            (5, "TaskSuccess", {"token": 4, "output": "two"}),
        ],
    ),
    "a_redriven_map_run": (
        _a_redriven_map_run,
        [(5, "MapRunSuccess", {"token": 2, "output": ["1y", "2y"]})],
    ),
}


def write(name: str, folder: Path) -> None:
    """Write one case: its definition, its pages as the codec gives them, how it goes on, and its end."""
    begin, then = CASES[name]
    run = begin()
    pages = [[at_ms, msgspec.json.decode(encode_page(page))] for at_ms, page in run.pages]
    go_on(run, [list(step) for step in then])
    case = {
        "format": FORMAT,
        "definition": run.raw,
        "pages": pages,
        "then": then,
        "ends": ending(run),
    }
    (folder / f"{name}.json").write_text(json.dumps(case, indent=1) + "\n")


def go_on(run: Run, then: list[list[Any]]) -> None:
    """Let time pass and stimuli come as `then` says: (milliseconds later, name, fields)."""
    for later_ms, kind, fields in then:
        run.now_ms += later_ms
        run.decide(STIMULI[kind](**fields))


def ending(run: Run) -> Json:
    return {
        "status": str(run.status),
        "output": None if run.machine.output is msgspec.UNSET else run.machine.output,
        "error": run.machine.error,
        "cause": run.machine.cause,
        "events": run.types(),
    }


def main() -> None:
    folder = HISTORIES / f"v{FORMAT}"
    folder.mkdir(parents=True, exist_ok=True)
    for name in CASES:
        if not (folder / f"{name}.json").exists():
            write(name, folder)
            sys.stdout.write(f"{name}\n")


if __name__ == "__main__":
    main()
