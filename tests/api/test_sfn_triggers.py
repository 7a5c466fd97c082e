"""State machines made over the API, started by what starts workflows of files."""

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from etl_runner.config.load import load_config
from etl_runner.engine.machine_shapes import New
from etl_runner.errors import ConfigError, InvalidInput, NotFound
from etl_runner.schedule.due import tick_sample
from etl_runner.schedule.expressions import parse_expression
from etl_runner.schedule.patterns import compile_pattern
from tests.api.answers import sfn
from tests.api.stage import Stage, served
from tests.engine.harness import fail

ROLE = "arn:aws:iam::123456789012:role/runs"
PASS = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}})
ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:made"


@pytest.fixture
def aws(stage: Stage) -> Iterator[Any]:
    with served(stage) as url:
        yield sfn(url)


def schedules_with(stage: Stage, workflow: str) -> Any:
    text = f"schedules:\n  - {{name: other, expression: rate(1 day), workflow: '{workflow}'}}\n"
    (stage.config_dir / "schedules" / "other.yaml").write_text(text)
    return load_config(
        stage.config_dir,
        stage.workflows_dir,
        check_expression=parse_expression,
        check_pattern=compile_pattern,
        check_resource=lambda _: None,
        tick_sample=tick_sample,
    )


def test_a_schedule_may_name_a_state_machine_by_its_arn(stage: Stage) -> None:
    assert schedules_with(stage, f"{ARN}:live").schedules["other"].workflow == f"{ARN}:live"


@pytest.mark.parametrize(
    "workflow", ["made", "arn:aws:lambda:us-east-1:123456789012:function:f", f"{ARN}:1:2"]
)
def test_what_is_neither_a_workflow_nor_a_state_machine_is_refused(stage: Stage, workflow: str) -> None:
    with pytest.raises(ConfigError, match="there is no workflow"):
        schedules_with(stage, workflow)


def test_an_alias_is_launched_as_its_version(stage: Stage, aws: Any) -> None:
    version = aws.create_state_machine(name="made", definition=PASS, roleArn=ROLE, publish=True)[
        "stateMachineVersionArn"
    ]
    routing = [{"stateMachineVersionArn": version, "weight": 100}]
    aws.create_state_machine_alias(name="live", routingConfiguration=routing)
    started = stage.launch.launch(workflow=f"{ARN}:live", name="one", input={}, origin="schedule:other")
    described = aws.describe_execution(executionArn=started.result(30).arn)

    assert (described["stateMachineVersionArn"], described["stateMachineAliasArn"]) == (
        version,
        f"{ARN}:live",
    )
    assert described["startDate"] <= datetime.now(UTC)


def test_an_express_one_is_not_launched(stage: Stage, aws: Any) -> None:
    aws.create_state_machine(name="made", definition=PASS, roleArn=ROLE, type="EXPRESS")

    with pytest.raises(InvalidInput, match="is Express"):
        stage.launch.launch(workflow=ARN, name="one", input={}, origin="schedule:other")


def test_operators_start_one_by_its_arn(stage: Stage, aws: Any) -> None:
    aws.create_state_machine(name="made", definition=PASS, roleArn=ROLE)

    assert stage.ended(ARN)["status"] == "SUCCEEDED"


def test_operators_see_and_start_what_the_api_made_by_its_name(stage: Stage, aws: Any) -> None:
    aws.create_state_machine(name="made", definition=PASS, roleArn=ROLE)
    started = stage.operations.start_execution("made", {"n": 1}, "one")
    stage.operations.wait("made/one", 30)
    listed = {each["name"]: each for each in stage.operations.workflows()}
    shown = stage.operations.workflow("made")

    assert (started["workflow"], started["executionArn"].split(":")[-2:]) == ("made", ["made", "one"])
    assert (listed["made"]["file"], listed["made"]["type"]) == (None, "STANDARD")
    assert listed["made"]["counts"]["SUCCEEDED"] == 1
    assert (shown["stateMachineArn"], shown["definition"]) == (ARN, PASS)


def test_a_name_of_two_accounts_has_to_be_told_apart(stage: Stage, aws: Any) -> None:
    aws.create_state_machine(name="made", definition=PASS, roleArn=ROLE)
    other = ARN.replace("us-east-1", "eu-west-1")
    new = New(
        name="made",
        type="STANDARD",
        account="123456789012",
        region="eu-west-1",
        definition=PASS,
        role_arn=ROLE,
        logging={},
        tracing={},
        encryption={},
        tags={},
    )
    stage.state_machines.create(new)

    with pytest.raises(InvalidInput, match=f"several state machines are named 'made': say {other} or {ARN}"):
        stage.operations.start_execution("made", {})


def test_operators_start_versions_and_are_told_which_one_ran(stage: Stage, aws: Any) -> None:
    aws.create_state_machine(name="made", definition=PASS, roleArn=ROLE, publish=True)
    started = stage.operations.start_execution(f"{ARN}:1", {}, "one")
    view = stage.operations.wait("made/one", 30)

    assert started["workflow"] == "made"
    assert (view["stateMachineVersionArn"], view["stateMachineAliasArn"]) == (f"{ARN}:1", None)


def test_variables_and_redrives_are_shown(stage: Stage, aws: Any) -> None:
    fails = {"Type": "Fail", "Error": "E"}
    states = {"A": {"Type": "Pass", "Assign": {"x": 1}, "Next": "B"}, "B": fails}
    aws.create_state_machine(
        name="made", definition=json.dumps({"StartAt": "A", "States": states}), roleArn=ROLE
    )
    arn = stage.operations.start_execution("made", {}, "one")["executionArn"]
    stage.operations.wait("made/one", 30)
    aws.redrive_execution(executionArn=arn)
    view = stage.operations.wait("made/one", 30)

    assert (view["variables"], view["redriveCount"]) == ({"x": 1}, 1)
    assert view["redrivenAt"] is not None


def test_a_state_that_a_redrive_mended_is_shown_without_its_old_error(stage: Stage, aws: Any) -> None:
    task = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:f", "End": True}
    definition = json.dumps({"StartAt": "Mend", "States": {"Mend": task}})
    aws.create_state_machine(name="made", definition=definition, roleArn=ROLE)
    stage.script.behaviours["Mend"] = fail("Broken")
    arn = stage.operations.start_execution("made", {}, "one")["executionArn"]
    failed = stage.operations.wait("made/one", 30)
    del stage.script.behaviours["Mend"]
    aws.redrive_execution(executionArn=arn)
    mended = stage.operations.wait("made/one", 30)

    assert failed["states"][0]["error"] == "Broken"
    assert (mended["states"][0]["status"], "error" in mended["states"][0]) == ("succeeded", False)


def test_an_express_execution_is_said_to_be_kept_nowhere(stage: Stage) -> None:
    with pytest.raises(NotFound, match="nothing is kept of Express executions"):
        stage.operations.get_execution(f"{ARN.replace('stateMachine', 'express')}:one:two")
