"""Warnings: each for something that is odd for certain, none for what is in order; and what is portable."""

import re
import time
from pathlib import Path

import pytest

from etl_runner.asl.advice_errors import ERROR_NAMES
from etl_runner.asl.parse import lint, parse_definition
from etl_runner.asl.portable import portable
from tests.asl.definitions import LAMBDA, machine, marked_line, warnings

TASK = f"A:\n  Type: Task\n  Resource: {LAMBDA}\n  End: true\n"
INVOKE = "Type: Task, Resource: 'arn:aws:states:::lambda:invoke', Parameters: {FunctionName: f}"
FAILED = f"{TASK}  Retry:\n    - ErrorEquals: [States.TaskFailed]\n"
CALLBACK = "arn:aws:states:::sqs:sendMessage.waitForTaskToken"
GET = "Type: Task, Resource: 'arn:aws:states:::aws-sdk:s3:getObject', Parameters: {Bucket: b, Key: k}"
CATCH = f"{TASK}  Catch:\n    - Next: B\n      ErrorEquals: "
INLINE = "A:\n  Type: Map\n  End: true\n  ItemProcessor:\n    StartAt: I\n    States:\n      "
JSONATA = "  QueryLanguage: JSONata\n"
BIG = "x" * 300_000
HALF = "x" * 140_000
LIMITED = "StartAt: A\nTimeoutSeconds: 60\nStates:\n"

ODD: list[tuple[str, str]] = [
    ("unreachable-state", "A: {Type: Succeed}\nB: {Type: Pass, Next: C}\nC: {Type: Pass, Next: B}  # HERE"),
    ("entry-never-matches", f"{TASK}  Retry:\n    - ErrorEquals: [E, F]\n    - ErrorEquals: [F]  # HERE"),
    ("entry-never-matches", f"{FAILED}    - ErrorEquals: [E]  # HERE"),
    ("callback-without-timeout", f"A:  # HERE\n  Type: Task\n  End: true\n  Resource: {CALLBACK}"),
    ("unresolved-substitution", "A:\n  Type: Task\n  End: true\n  Resource: ${Function}  # HERE"),
    ("unresolved-substitution", "A:\n  Type: Pass\n  End: true\n  Parameters:\n    - {'${Key}': 1}  # HERE"),
    # names of errors
    ("error-never-raised", f"{CATCH}[States.TimeOut]  # HERE\nB: {{Type: Succeed}}"),
    ("error-never-raised", f"{CATCH}[States.Runtime]  # HERE\nB: {{Type: Succeed}}"),
    ("error-never-raised", f"{CATCH}[E, States.NoChoiceMatched]  # HERE\nB: {{Type: Succeed}}"),
    ("error-never-raised", f"{CATCH}[States.BranchFailed]  # HERE\nB: {{Type: Succeed}}"),
    ("error-never-raised", f"{CATCH}[States.HeartbeatTimeout]  # HERE\nB: {{Type: Succeed}}"),
    ("error-never-raised", f"{CATCH}[States.ItemReaderFailed]  # HERE\nB: {{Type: Succeed}}"),
    ("error-never-raised", f"{CATCH}[States.QueryEvaluationError]  # HERE\nB: {{Type: Succeed}}"),
    ("error-never-raised", (f"{INLINE}I: {{Type: Succeed}}\n  Retry:\n"
                           "    - ErrorEquals: [States.ExceedToleratedFailureThreshold]  # HERE")),
    # data that was replaced
    ("reads-what-was-replaced", (f"A: {{{INVOKE}, Next: B}}\n"
                                "B:  # HERE\n  Type: Pass\n  End: true\n  InputPath: $.order")),
    ("reads-what-was-replaced", (f"A: {{{INVOKE}, Next: W}}\nW: {{Type: Wait, Seconds: 1, Next: B}}\n"
                                "B:  # HERE\n  Type: Wait\n  End: true\n  SecondsPath: $.wait")),
    ("reads-what-was-replaced", ("A: {Type: Pass, Result: {a: 1}, Next: B}\n"
                                "B:  # HERE\n  Type: Pass\n  End: true\n  Parameters: {x: {b.$: $.b}}")),
    ("reads-what-was-replaced", ("A: {Type: Pass, Parameters: {a.$: $}, Next: B}\nB:  # HERE\n  Type: Fail\n"
                                "  CausePath: States.Format('{}', $.b)")),
    ("reads-what-was-replaced", (f"A: {{{INVOKE}, ResultSelector: {{a.$: $.Payload}}, Next: B}}\n"
                                f"B: {{{INVOKE}, ResultPath: $.c, Next: C}}\n"
                                "C:  # HERE\n  Type: Choice\n  Default: D\n"
                                "  Choices: [{Variable: $.Payload, IsNull: true, Next: D}]\n"
                                "D: {Type: Succeed}")),
    ("reads-what-was-replaced", ("A:\n  Type: Parallel\n  Next: B\n"
                                "  Branches: [{StartAt: I, States: {I: {Type: Succeed}}}]\n"
                                "B:  # HERE\n  Type: Pass\n  End: true\n  InputPath: $.first")),
    # payloads
    ("payload-too-large", f"A:\n  Type: Pass\n  End: true\n  Result: {BIG}  # HERE"),
    ("payload-too-large", f"A:\n  Type: Succeed\n  QueryLanguage: JSONata\n  Output: [{BIG}]  # HERE"),
    ("payload-too-large", "A:\n  Type: Parallel\n  End: true\n  Branches:  # HERE\n" + "".join(
        f"    - StartAt: {name}\n      States: {{{name}: {{Type: Pass, Result: {HALF}, End: true}}}}\n"
        for name in ("I", "J"))),
    ("payload-may-be-too-large", f"{INLINE}I: {{{GET}, End: true}}  # HERE"),
    # the other language
    ("jsonata-not-evaluated", "A:\n  Type: Pass\n  End: true\n  Parameters: {a: ['{% $x %}']}  # HERE"),
    ("jsonata-not-evaluated", "A:\n  Type: Fail\n  Error: '{% $x %}'  # HERE"),
    # variables
    ("variable-never-assigned", "A:  # HERE\n  Type: Pass\n  End: true\n  InputPath: $order.id"),
    ("variable-never-assigned", f"A:  # HERE\n  Type: Succeed\n{JSONATA}  Output: '{{% $x %}}'"),
    ("variable-never-assigned", ("A: {Type: Pass, Assign: {x: 1}, Next: M}\nM:\n  Type: Map\n  End: true\n"
        "  ItemProcessor:\n    StartAt: I\n"
        "    ProcessorConfig: {Mode: DISTRIBUTED, ExecutionType: STANDARD}\n"
        "    States:\n      I:  # HERE\n        Type: Pass\n        InputPath: $x\n        End: true")),
]  # fmt: skip


@pytest.mark.parametrize(("code", "states"), ODD, ids=[f"{code}-{n}" for n, (code, _) in enumerate(ODD)])
def test_what_is_allowed_and_odd_gets_a_warning(code: str, states: str) -> None:
    text = machine(states)
    found = warnings(text)
    parse_definition(text, yaml=True)

    assert {fault.code for fault in found} == {code}
    assert marked_line(text) in {fault.line for fault in found}
    assert all(fault.remedy and fault.severity == "warning" for fault in found)


IN_ORDER = [
    f"{CATCH}[States.Timeout, States.Permissions, States.DataLimitExceeded]\nB: {{Type: Succeed}}",
    f"{CATCH}[States.HeartbeatTimeout]\n  HeartbeatSeconds: 5\nB: {{Type: Succeed}}",
    f"{CATCH}[States.NotOurs]\nB: {{Type: Succeed}}".replace(LAMBDA, f"{CALLBACK}\n  HeartbeatSeconds: 5"),
    # a Fail state names the error
    (
        "A:\n  Type: Parallel\n  End: true\n  Branches:\n"
        "    - {StartAt: I, States: {I: {Type: Fail, Error: States.QuorumMet}}}\n"
        "  Catch: [{ErrorEquals: [States.QuorumMet], Next: B}]\nB: {Type: Succeed}"
    ),
    (
        "A:\n  Type: Parallel\n  End: true\n  Branches:\n"
        "    - {StartAt: I, States: {I: {Type: Fail, ErrorPath: $.e}}}\n"
        "  Catch: [{ErrorEquals: [States.Anything], Next: B}]\nB: {Type: Succeed}"
    ),
    # data that is there
    f"A: {{{INVOKE}, Next: B}}\nB: {{Type: Pass, InputPath: $.Payload.order, End: true}}",
    f"A: {{{INVOKE}, ResultPath: $.r, Next: B}}\nB: {{Type: Pass, InputPath: $.order, End: true}}",
    f"A: {{{INVOKE}, ResultPath: null, Next: B}}\nB: {{Type: Pass, InputPath: $.order, End: true}}",
    f"A: {{{INVOKE}, OutputPath: $.Payload, Next: B}}\nB: {{Type: Pass, InputPath: $.order, End: true}}",
    TASK.replace("End: true", "Next: B") + "B: {Type: Pass, InputPath: $.order, End: true}",
    f"A: {{{INVOKE}, Next: B}}\nB: {{Type: Pass, InputPath: '$.order[*]', End: true}}",
    f"A: {{{INVOKE}, Next: B}}\nB: {{Type: Pass, InputPath: $$.Execution.Input.order, End: true}}",
    (
        "A: {Type: Pass, Result: {a: 1}, Assign: {order.$: $}, Next: B}\n"
        "B: {Type: Pass, InputPath: $order.id, End: true}"
    ),
    (
        "A: {Type: Pass, Result: {a: 1}, Next: C}\nC:\n  Type: Choice\n  Default: B\n  Choices:\n"
        "    - {Variable: $.b, IsPresent: true, Next: B}\nB: {Type: Pass, InputPath: $.b, End: true}"
    ),
    (
        "A: {Type: Pass, Result: {a: 1}, Next: B}\nB: {Type: Pass, ResultPath: $.x, Result: 1, Next: C}\n"
        "C: {Type: Pass, Parameters: {x.$: $.x, a.$: $.a}, End: true}"
    ),
    "A: {Type: Pass, Result: [1], Next: B}\nB: {Type: Pass, InputPath: '$[0]', End: true}",
    # payloads
    f"A: {{Type: Pass, Result: {HALF}, End: true}}",
    f"{INLINE}I: {{{GET}, ResultPath: null, End: true}}",
    f"{INLINE}I: {{{GET}, ResultSelector: {{t.$: $.ETag}}, End: true}}",
    f"A: {{{GET}, End: true}}",
    # variables
    (
        "A: {Type: Pass, Assign: {x: 1}, Next: M}\nM:\n  Type: Map\n  End: true\n  ItemProcessor:\n"
        "    StartAt: I\n    States: {I: {Type: Pass, InputPath: $x, End: true}}"
    ),
    "A: {Type: Succeed, QueryLanguage: JSONata, Output: '{% ($f := function($v){$v}; $f($sum([1]))) %}'}",
]


@pytest.mark.parametrize("states", IN_ORDER)
def test_what_is_in_order_gets_none(states: str) -> None:
    assert warnings(machine(states)) == []


@pytest.mark.parametrize(("retrier", "late"), [
    ("{ErrorEquals: [E], IntervalSeconds: 10, MaxAttempts: 3, BackoffRate: 2}", True),  # 10 + 20 + 40
    ("{ErrorEquals: [E], IntervalSeconds: 8, MaxAttempts: 3, BackoffRate: 2}", False),  # 8 + 16 + 32
    ("{ErrorEquals: [E], IntervalSeconds: 10, MaxAttempts: 3, MaxDelaySeconds: 20}", False),  # 10 + 20 + 20
    ("{ErrorEquals: [E], IntervalSeconds: 10, MaxAttempts: 4, MaxDelaySeconds: 20}", True),
    ("{ErrorEquals: [E], IntervalSeconds: 1, MaxAttempts: 61, BackoffRate: 1}", True),
    ("{ErrorEquals: [E], IntervalSeconds: 1, MaxAttempts: 60, BackoffRate: 1}", False),
    ("{ErrorEquals: [E], IntervalSeconds: 99, MaxAttempts: 0}", False),
    ("{ErrorEquals: [E], IntervalSeconds: 99, JitterStrategy: FULL}", False),
    ("{ErrorEquals: [E], MaxAttempts: 99999999, BackoffRate: 1.0000001}", True),
    ("{ErrorEquals: [States.Timeout]}", True),  # three times 20 s beside 1 + 2 + 4
    ("{ErrorEquals: [States.Timeout, E]}", False),
    ("{ErrorEquals: [E]}", False),
])  # fmt: skip
def test_retries_that_the_state_machine_does_not_live_to_see_are_named(retrier: str, late: bool) -> None:
    states = TASK.replace("\n", "\n  ").replace("A:", "  A:", 1)
    text = f"{LIMITED}{states}  TimeoutSeconds: 20\n    Retry:\n      - {retrier}  # HERE\n"

    assert [(one.code, one.line) for one in warnings(text)] == (
        [("retries-outlast-timeout", marked_line(text))] if late else []
    )


def test_the_documents_list_every_warning() -> None:
    text = (Path(__file__).parents[2] / "docs" / "language.md").read_text(encoding="utf-8")
    listed = re.findall(r"^\| `([a-z-]+)` \|", text, re.MULTILINE)

    assert sorted(listed) == sorted({code for code, _ in ODD} | {"retries-outlast-timeout"})


def test_there_are_16_names_of_errors() -> None:
    assert len(ERROR_NAMES) == 16


def test_advice_on_a_large_definition_takes_no_time() -> None:
    count = 500
    states = "\n".join(
        f"S{n}: {{Type: Pass, Result: {{a: 1}}, ResultPath: $.x{n}, Next: S{n + 1}, Assign: {{v{n}: 1}}}}"
        for n in range(count)
    )
    text = machine(f"A: {{Type: Pass, Result: {{a: 1}}, Next: S0}}\n{states}\nS{count}: {{Type: Succeed}}")
    started = time.process_time()
    parse_definition(text, yaml=True)
    parsed = time.process_time()
    lint(text, yaml=True)

    assert time.process_time() - parsed < 2 * (parsed - started) + 2


CHUNKS = """
A:
  Type: Map
  End: true
  ItemProcessor:
    ProcessorConfig: {Mode: DISTRIBUTED, ExecutionType: STANDARD}
    StartAt: I
    States: {I: {Type: Pass, End: true}}
  ItemReader:
    Resource: arn:aws:states:::s3:getObject
    ReaderConfig:
      InputType: JSONL
      ChunkBytes: 5  # HERE
"""


def test_what_keeps_a_file_from_aws_is_named() -> None:
    text = machine(CHUNKS)

    assert [(fault.code, fault.line, fault.severity) for fault in portable(text, yaml=True)] == [
        ("yaml", 1, "warning"),
        ("extension", marked_line(text), "error"),
    ]


def test_what_only_this_release_cannot_run_is_portable() -> None:
    text = machine(CHUNKS.replace("JSONL", "PARQUET").replace("      ChunkBytes: 5  # HERE\n", ""))

    assert [fault.code for fault in lint(text, yaml=True)] == ["not-yet-supported"]
    assert [fault.code for fault in portable(text, yaml=True)] == ["yaml"]


@pytest.mark.parametrize(("expression", "codes"), [
    ("$states.input.a ?? 1", ["newer-jsonata"]),
    ("$states.input.a ?: 1", ["newer-jsonata"]),
    ("$states.input.a ? 'x ?? y' : $states.input.`?:`", []),
    ("$match('a', /(?:a)/) ? 1 : 2", []),
])  # fmt: skip
def test_a_newer_jsonata_is_not_portable(expression: str, codes: list[str]) -> None:
    text = (
        '{"StartAt": "A", "States": {"A": {"Type": "Succeed", "QueryLanguage": "JSONata", '
        f'"Output": "{{% {expression} %}}"}}}}}}'
    )

    assert [fault.code for fault in portable(text)] == codes


def test_what_is_wrong_is_not_portable_either() -> None:
    assert [fault.code for fault in portable('{"StartAt": "A"}')] == ["missing-field"]
    assert [fault.code for fault in portable("{")] == [fault.code for fault in lint("{")]
    assert portable('{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}') == []
