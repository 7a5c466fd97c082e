"""Parameters against the service model, in AWS's words. What boto3 itself refuses never comes this far."""

from typing import Any

import pytest

from etl_runner.api.sfn.actions import actions
from etl_runner.api.sfn.errors import AwsError
from etl_runner.api.sfn.model import check, input_rule, service_model

STATUSES = "SUCCEEDED, TIMED_OUT, PENDING_REDRIVE, ABORTED, FAILED, RUNNING"
ARN = "arn:aws:states:us-east-1:123456789012:stateMachine:m"


def refused(action: str, **parameters: Any) -> tuple[str, str]:
    with pytest.raises(AwsError) as caught:
        check(action, parameters)
    return caught.value.code, caught.value.message


def test_every_operation_of_the_model_has_rules() -> None:
    assert [name for name in service_model().operation_names if input_rule(name).members is None] == []


def test_actions_are_operations_of_the_model() -> None:
    assert set(actions()) - set(service_model().operation_names) == set()


@pytest.mark.parametrize(
    ("action", "parameters", "expected"),
    [
        pytest.param(
            "DescribeStateMachine",
            {},
            "1 validation error detected: Value null at 'stateMachineArn' failed to satisfy constraint: "
            "Member must not be null",
            id="missing",
        ),
        pytest.param(
            "DescribeStateMachine",
            {"stateMachineArn": None},
            "1 validation error detected: Value null at 'stateMachineArn' failed to satisfy constraint: "
            "Member must not be null",
            id="null is missing",
        ),
        pytest.param(
            "ListStateMachines",
            {"maxResults": 1001},
            "1 validation error detected: Value '1001' at 'maxResults' failed to satisfy constraint: "
            "Member must have value less than or equal to 1000",
            id="too large",
        ),
        pytest.param(
            "ListStateMachines",
            {"nextToken": ""},
            "1 validation error detected: Value '' at 'nextToken' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
            id="too short",
        ),
        pytest.param(
            "ListExecutions",
            {"stateMachineArn": ARN, "statusFilter": "DONE", "maxResults": -1},
            "2 validation errors detected: Value 'DONE' at 'statusFilter' failed to satisfy constraint: "
            f"Member must satisfy enum value set: [{STATUSES}]; Value '-1' at 'maxResults' failed to satisfy "
            "constraint: Member must have value greater than or equal to 0",
            id="several",
        ),
        pytest.param(
            "CreateStateMachineAlias",
            {"name": "12 ", "routingConfiguration": [{"stateMachineVersionArn": f"{ARN}:1", "weight": 100}]},
            "1 validation error detected: Value '12 ' at 'name' failed to satisfy constraint: Member must "
            r"satisfy regular expression pattern: ^(?=.*[a-zA-Z_\-\.])[a-zA-Z0-9_\-\.]+$",
            id="pattern",
        ),
        pytest.param(
            "CreateStateMachineAlias",
            {"name": "a", "routingConfiguration": [{"stateMachineVersionArn": ARN, "weight": 50}] * 3},
            "1 validation error detected: Value '["
            + ", ".join([f"RoutingConfigurationListItem(stateMachineVersionArn={ARN}, weight=50)"] * 3)
            + "]' at 'routingConfiguration' failed to satisfy constraint: Member must have length less than "
            "or equal to 2",
            id="structures are shown as a Java program does",
        ),
        pytest.param(
            "CreateStateMachineAlias",
            {"name": "a", "routingConfiguration": [{"stateMachineVersionArn": ARN, "weight": 101}]},
            "1 validation error detected: Value '101' at 'routingConfiguration.1.member.weight' failed to "
            "satisfy constraint: Member must have value less than or equal to 100",
            id="places in lists count from one",
        ),
        pytest.param(
            "CreateStateMachine",
            {"name": "m", "roleArn": "r", "definition": ""},
            "1 validation error detected: Value at 'definition' failed to satisfy constraint: "
            "Member must have length greater than or equal to 1",
            id="what is sensitive is not shown",
        ),
    ],
)
def test_a_broken_constraint_is_told_as_aws_tells_it(
    action: str, parameters: dict[str, Any], expected: str
) -> None:
    assert refused(action, **parameters) == ("ValidationException", expected)


@pytest.mark.parametrize(
    ("parameters", "expected"),
    [
        ({"maxResults": "ten"}, "STRING_VALUE can not be converted to an Integer"),
        ({"maxResults": True}, "TRUE_VALUE can not be converted to an Integer"),
        ({"nextToken": 5}, "NUMBER_VALUE can not be converted to a String"),
        ({"nextToken": {}}, "Start of structure or map found where not expected."),
        ({"nextToken": []}, "Start of list found where not expected"),
    ],
)
def test_a_value_of_another_type_cannot_be_read(parameters: dict[str, Any], expected: str) -> None:
    assert refused("ListStateMachines", **parameters) == ("SerializationException", expected)


def test_what_the_model_does_not_know_is_left_out() -> None:
    assert check("ListStateMachines", {"maxResults": 5, "colour": "red", "nextToken": None}) == {
        "maxResults": 5
    }


def test_a_trace_header_may_have_every_ascii_character() -> None:
    given = {"stateMachineArn": ARN, "traceHeader": "Root=1-5759e988;Sampled=1"}

    assert check("StartExecution", given) == given
    assert (
        "regular expression pattern: \\p{ASCII}*"
        in refused("StartExecution", stateMachineArn=ARN, traceHeader="größer")[1]
    )
