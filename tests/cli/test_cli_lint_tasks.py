import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from etl_runner.cli import app
from etl_runner.cli.exits import FAILED, FINE
from etl_runner.cli.lint_tasks import task_faults


def text(**task: Any) -> str:
    inner = {"StartAt": "B", "States": {"B": {"Type": "Task", **task, "End": True}}}
    outer = {"Type": "Parallel", "Branches": [inner], "End": True}
    return json.dumps({"StartAt": "A", "States": {"A": outer}}, indent=1)


def faults(**task: Any) -> list[tuple[str, str]]:
    return [(fault.code, fault.path) for fault in task_faults(text(**task), "f.json", yaml=False)]


INSIDE = "/States/A/Branches/0/States/B"


def test_a_resource_that_does_not_exist_is_told_at_its_place() -> None:
    assert faults(Resource="arn:aws:states:::aws-sdk:s3:getObjekt") == [
        ("unknown-resource", f"{INSIDE}/Resource")
    ]


def test_arguments_that_an_action_does_not_have_are_told_at_their_place() -> None:
    found = faults(
        Resource="arn:aws:states:::aws-sdk:s3:getObject",
        Parameters={"Bucket": "b", "Key.$": "$.key", "Odd.$": "$.odd"},
    )

    assert found == [("invalid-argument", f"{INSIDE}/Parameters/Odd.$")]


def test_arguments_that_are_missing_are_told_at_the_parameters() -> None:
    found = faults(Resource="arn:aws:states:::aws-sdk:s3:getObject", Parameters={"Bucket": "b"})

    assert found == [("invalid-argument", f"{INSIDE}/Parameters")]


def test_arguments_that_an_expression_or_the_input_gives_are_not_looked_at() -> None:
    resource = "arn:aws:states:::aws-sdk:s3:getObject"

    assert faults(QueryLanguage="JSONata", Resource=resource, Arguments="{% $states.input %}") == []
    assert faults(Resource=resource) == []


def test_functions_and_activities_need_not_exist_yet() -> None:
    assert faults(Resource="arn:aws:lambda:us-east-1:123456789012:function:f") == []
    assert faults(Resource="arn:aws:states:us-east-1:123456789012:activity:a") == []


@pytest.fixture
def workflow(tmp_path: Path) -> Path:
    folder = tmp_path / "workflows" / "greet"
    folder.mkdir(parents=True)
    task = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:work", "End": True}
    (folder / "workflow.asl.json").write_text(json.dumps({"StartAt": "A", "States": {"A": task}}))
    (folder / "functions.yaml").write_text("functions:\n  work: {handler: tasks.work}\n")
    return folder


def test_portable_tells_which_functions_aws_does_not_know(workflow: Path) -> None:
    result = CliRunner().invoke(app, ["lint", "--portable", str(workflow)])

    assert result.exit_code == FINE
    assert "warning: the function 'work' is bound here" in result.stdout


def test_portable_tells_of_extensions(workflow: Path) -> None:
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {"InputType": "JSONL", "ChunkBytes": 1000},
        "Parameters": {"Bucket": "b", "Key": "k"},
    }
    inner = {
        "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
        "StartAt": "P",
        "States": {"P": {"Type": "Pass", "End": True}},
    }
    state = {"Type": "Map", "ItemReader": reader, "ItemProcessor": inner, "End": True}
    (workflow / "workflow.asl.json").write_text(json.dumps({"StartAt": "A", "States": {"A": state}}))
    result = CliRunner().invoke(app, ["lint", "--portable", str(workflow)])

    assert result.exit_code == FAILED
    assert "ChunkBytes is an extension" in result.stdout
