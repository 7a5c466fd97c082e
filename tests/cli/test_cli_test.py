import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from etl_runner.cli import app
from etl_runner.cli.exits import FAILED, FINE, MISTAKE

TASK = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:work"}
MACHINE = {
    "StartAt": "Fetch",
    "States": {
        "Fetch": {
            **TASK,
            "Retry": [{"ErrorEquals": ["Busy"], "IntervalSeconds": 60, "MaxAttempts": 1}],
            "Catch": [{"ErrorEquals": ["States.ALL"], "Next": "Broken"}],
            "Next": "Size",
        },
        "Size": {
            "Type": "Choice",
            "Choices": [{"Variable": "$.size", "NumericGreaterThan": 9, "Next": "Broken"}],
            "Default": "Done",
        },
        "Done": {"Type": "Succeed"},
        "Broken": {"Type": "Fail", "Error": "TooBig"},
    },
}
MOCKS = {
    "StateMachines": {"greet": {"TestCases": {"Good": {"Fetch": "Small"}, "Bad": {"Fetch": "Broken"}}}},
    "MockedResponses": {
        "Small": {"0": {"Throw": {"Error": "Busy"}}, "1": {"Return": {"size": 1}}},
        "Broken": {"0": {"Throw": {"Error": "Gone"}}},
    },
    "Expectations": {"greet": {"Bad": {"Status": "FAILED", "Error": "TooBig"}}},
}


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    (tmp_path / "greet").mkdir()
    (tmp_path / "greet" / "workflow.asl.json").write_text(json.dumps(MACHINE))
    (tmp_path / "mocks.json").write_text(json.dumps(MOCKS))
    return tmp_path


def cli(folder: Path, *options: str) -> Any:
    return CliRunner().invoke(app, ["test", str(folder / "greet" / "workflow.asl.json"), *options])


def mocked(folder: Path, *options: str) -> Any:
    return cli(folder, "--mocks", str(folder / "mocks.json"), *options)


def test_all_cases_are_run_and_their_coverage_is_summed(folder: Path) -> None:
    result = mocked(folder)

    assert result.exit_code == FINE
    assert "Good  passed" in result.stdout
    assert "Bad   passed" in result.stdout
    assert "Size/Choices[0]" in result.stdout.partition("COVERED")[2]


def test_steps_of_several_cases_stand_under_their_names_also_on_a_narrow_terminal(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "60")
    lines = cli(folder, "--mocks", str(folder / "mocks.json"), "--steps").stdout.splitlines()

    assert [line for line in lines if line in {"Good:", "Bad:"}] == ["Good:", "Bad:"]
    assert lines[lines.index("Good:") + 1].split()[:3] == ["AT", "STATE", "WHAT"]
    assert max(map(len, lines)) <= 60


def test_the_document_has_cases_steps_and_coverage(folder: Path) -> None:
    found = json.loads(mocked(folder, "--json").stdout)

    assert [case["name"] for case in found["cases"]] == ["Good", "Bad"]
    assert found["cases"][0]["tookSeconds"] == 60
    assert found["cases"][0]["steps"][0]["what"] == "entered"
    assert found["coverage"]["state"] == {"covered": 4, "total": 4}
    assert found["missed"] == ["Size/Choices[0]"]


def test_a_case_that_does_not_end_as_wanted_fails(folder: Path) -> None:
    result = mocked(folder, "--case", "Good", "--expect-output", '{"size": 2}')

    assert result.exit_code == FAILED
    assert 'its output is {"size":1}, and {"size":2} was wanted' in result.stdout


def test_the_wanted_error_of_the_command_line_wins_over_the_files(folder: Path) -> None:
    assert mocked(folder, "--case", "Bad", "--expect-error", "Other").exit_code == FAILED
    assert mocked(folder, "--case", "Good", "--expect", "FAILED").exit_code == FAILED


def test_one_state_can_be_run_alone(folder: Path) -> None:
    result = cli(folder, "--state", "Size", "--input", '{"size": 10}', "--json")
    [case] = json.loads(result.stdout)["cases"]

    assert result.exit_code == FINE
    assert [step["what"] for step in case["steps"]] == ["entered", "chose", "left", "path ends"]
    assert case["steps"][1]["detail"] == "Choices[0]"


def test_a_path_that_is_left_before_its_end_fails(folder: Path) -> None:
    result = cli(folder, "--from", "Size", "--to", "Done", "--input", '{"size": 10}', "--expect", "FAILED")

    assert result.exit_code == FAILED
    assert "it never came to the state 'Done'" in result.stdout


def test_work_without_mocks_is_named(folder: Path) -> None:
    result = cli(folder)

    assert result.exit_code == FAILED
    assert "'Fetch' hands out work" in result.stdout


def test_a_real_execution_is_replayed_and_held_to_its_end(folder: Path) -> None:
    entered = {"name": "Fetch", "input": "{}"}
    events = [
        {"id": 1, "previousEventId": 0, "type": "ExecutionStarted",
         "executionStartedEventDetails": {"input": "{}"}},
        {"id": 2, "previousEventId": 1, "type": "TaskStateEntered", "stateEnteredEventDetails": entered},
        {"id": 3, "previousEventId": 2, "type": "LambdaFunctionScheduled",
         "lambdaFunctionScheduledEventDetails": {"input": "{}"}},
        {"id": 4, "previousEventId": 3, "type": "LambdaFunctionSucceeded",
         "lambdaFunctionSucceededEventDetails": {"output": '{"size": 3}'}},
        {"id": 5, "previousEventId": 4, "type": "ExecutionSucceeded",
         "executionSucceededEventDetails": {"output": '{"size": 3}'}},
    ]  # fmt: skip
    (folder / "history.json").write_text(json.dumps({"events": events}))
    same = cli(folder, "--recorded", str(folder / "history.json"))
    events[-1]["executionSucceededEventDetails"] = {"output": "4"}
    (folder / "history.json").write_text(json.dumps({"events": events}))
    other = cli(folder, "--recorded", str(folder / "history.json"))

    assert (same.exit_code, other.exit_code) == (FINE, FAILED)
    assert "was wanted" in other.stdout


@pytest.mark.parametrize(
    ("options", "told"),
    [
        (["--case", "Good"], "--case names a test case of --mocks"),
        (["--state", "Size", "--from", "Fetch"], "--state runs one state alone"),
        (["--mocks", "MOCKS", "--case", "Nope"], "has no test case 'Nope' for greet; it has Good, Bad"),
        (["--mocks", "MOCKS", "--machine", "nope"], "has no state machine 'nope'; it has greet"),
        (["--mocks", "missing.json"], "missing.json cannot be read"),
        (["--recorded", "MOCKS", "--mocks", "MOCKS"], "--recorded is a case by itself"),
        (["--state", "Nope", "--mocks", "MOCKS"], "there is no state 'Nope'"),
        (["--expect", "FAILD"], "--expect has 'FAILD'; it has to be one of SUCCEEDED, FAILED, TIMED_OUT"),
        (["--recorded", "MOCKS"], "is no execution history: there is no 'events' in it"),
    ],
)
def test_what_cannot_be_meant_is_refused(folder: Path, options: list[str], told: str) -> None:
    result = cli(folder, *[str(folder / "mocks.json") if each == "MOCKS" else each for each in options])

    assert result.exit_code == MISTAKE
    assert told in " ".join(result.stderr.split())


def test_a_definition_with_faults_is_told_of_as_lint_does(folder: Path) -> None:
    (folder / "greet" / "workflow.asl.json").write_text('{"States": {}}')
    result = cli(folder)

    assert result.exit_code == MISTAKE
    assert "[missing-field]" in result.stderr
