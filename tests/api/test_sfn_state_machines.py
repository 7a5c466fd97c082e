import json
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from etl_runner.engine.machine_shapes import Changes
from etl_runner.engine.state_machines import StateMachines
from etl_runner.engine.workflows import Workflows
from tests.api.answers import sfn
from tests.api.stage import Stage, served

ROLE = "arn:aws:iam::123456789012:role/runs"
LOGS = {"cloudWatchLogsLogGroup": {"logGroupArn": "arn:aws:logs:us-east-1:123456789012:log-group:g:*"}}
NO_LOGGING = {"level": "OFF", "includeExecutionData": False}
OWN_KEY = {"type": "AWS_OWNED_KEY"}
KMS_KEY = "arn:aws:kms:us-east-1:123456789012:key/k"


def passing(result: Any = None) -> str:
    return json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": result, "End": True}}})


@pytest.fixture
def url(stage: Stage) -> Iterator[str]:
    with served(stage) as url:
        yield url


@pytest.fixture
def aws(url: str) -> Any:
    return sfn(url)


def made(aws: Any, name: str = "m", **more: Any) -> Any:
    return aws.create_state_machine(**{"name": name, "definition": passing(), "roleArn": ROLE, **more})


def shown(answer: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


# --- made -------------------------------------------------------------------------------------------------


def test_a_state_machine_is_described_with_what_aws_fills_in(aws: Any) -> None:
    arn = made(aws)["stateMachineArn"]
    described = shown(aws.describe_state_machine(stateMachineArn=arn))
    del described["creationDate"]

    assert described == {
        "stateMachineArn": "arn:aws:states:us-east-1:123456789012:stateMachine:m",
        "name": "m",
        "status": "ACTIVE",
        "type": "STANDARD",
        "definition": passing(),
        "roleArn": ROLE,
        "loggingConfiguration": NO_LOGGING,
        "tracingConfiguration": {"enabled": False},
        "encryptionConfiguration": OWN_KEY,
    }


def test_everything_that_was_configured_is_described_back(aws: Any) -> None:
    given: dict[str, Any] = {
        "type": "EXPRESS",
        "loggingConfiguration": {"level": "ERROR", "includeExecutionData": True, "destinations": [LOGS]},
        "tracingConfiguration": {"enabled": True},
        "encryptionConfiguration": {"type": "CUSTOMER_MANAGED_KMS_KEY", "kmsKeyId": KMS_KEY},
    }
    described = aws.describe_state_machine(stateMachineArn=made(aws, **given)["stateMachineArn"])
    given["encryptionConfiguration"] = {
        "type": "CUSTOMER_MANAGED_KMS_KEY",
        "kmsKeyId": KMS_KEY,
        "kmsDataKeyReusePeriodSeconds": 300,
    }

    assert {name: described[name] for name in given} == given


def test_it_is_there_after_a_restart(stage: Stage, url: str) -> None:
    arn = made(sfn(url), publish=True)["stateMachineArn"]
    again = StateMachines(stage.store, Workflows(stage.store, stage.clock), stage.clock)

    assert again.get(f"{arn}:1").revision == again.get(arn).revision


def test_the_same_again_is_the_same(aws: Any) -> None:
    other_role = "arn:aws:iam::123456789012:role/other"
    first = shown(made(aws))
    again = [shown(made(aws)), shown(made(aws, roleArn=other_role, tags=[{"key": "k", "value": "v"}]))]

    assert again == [first, first]
    assert aws.describe_state_machine(stateMachineArn=first["stateMachineArn"])["roleArn"] == ROLE


@pytest.mark.parametrize(
    "change",
    [
        {"definition": passing() + " "},
        {"definition": passing(1)},
        {"type": "EXPRESS"},
        {"tracingConfiguration": {"enabled": True}},
        {"loggingConfiguration": {"level": "ALL", "destinations": [LOGS]}},
        {"publish": True},
    ],
    ids=str,
)
def test_another_of_the_same_name_is_refused(aws: Any, change: dict[str, Any]) -> None:
    arn = made(aws)["stateMachineArn"]

    assert refusal(lambda: made(aws, **change)) == (
        "StateMachineAlreadyExists",
        f"State Machine Already Exists: '{arn}'",
    )


def test_accounts_and_regions_live_side_by_side(url: str) -> None:
    places = [("111111111111", "us-east-1"), ("111111111111", "eu-west-1"), ("222222222222", "us-east-1")]
    arns = [made(sfn(url, account=account, region=region))["stateMachineArn"] for account, region in places]
    listed = [
        [
            each["stateMachineArn"]
            for each in sfn(url, account=a, region=r).list_state_machines()["stateMachines"]
        ]
        for a, r in places
    ]

    assert listed == [[arn] for arn in arns]


@pytest.mark.parametrize("name", ["a b", "a]", "a<", "a*", "a#", "a\x1f", "a,b", "a/b", "a:b", 'a"'])
def test_a_name_with_a_forbidden_character_is_refused(aws: Any, name: str) -> None:
    assert refusal(lambda: made(aws, name)) == ("InvalidName", f"Invalid Name: '{name}'")


def test_a_definition_with_faults_is_refused_with_all_of_them(aws: Any) -> None:
    code, message = refusal(lambda: made(aws, definition='{"States": {"A": {"Type": "Pass"}}}'))

    assert code == "InvalidDefinition"
    assert message.startswith("Invalid State Machine Definition: '")
    assert {"StartAt", "End"} <= set(message.replace("]", " ").replace("[", " ").replace("'", " ").split())


def test_a_definition_that_express_cannot_run_is_refused_for_express_only(aws: Any) -> None:
    arn = "arn:aws:states:us-east-1:123456789012:activity:a"
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Task", "Resource": arn, "End": True}}})

    code, message = refusal(lambda: made(aws, "e", definition=definition, type="EXPRESS"))

    assert code == "InvalidDefinition"
    assert message == (
        "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: Express state machine does not support "
        "Activity ARN at /States/A/Resource'"
    )


@pytest.mark.parametrize(
    "logging",
    [
        {"level": "ALL"},
        {"level": "FATAL", "destinations": []},
        {"level": "ERROR", "destinations": [LOGS, LOGS]},
    ],
    ids=str,
)
def test_logging_needs_one_destination(aws: Any, logging: dict[str, Any]) -> None:
    expected = (
        "InvalidLoggingConfiguration",
        "Invalid Logging Configuration: Must specify exactly one Log Destination.",
    )
    arn = made(aws, "other")["stateMachineArn"]

    assert refusal(lambda: made(aws, loggingConfiguration=logging)) == expected
    assert (
        refusal(lambda: aws.update_state_machine(stateMachineArn=arn, loggingConfiguration=logging))
        == expected
    )


def test_a_log_group_is_named_with_all_of_its_streams(aws: Any) -> None:
    group = {"logGroupArn": LOGS["cloudWatchLogsLogGroup"]["logGroupArn"].removesuffix(":*")}
    logging = {"level": "ALL", "destinations": [{"cloudWatchLogsLogGroup": group}]}

    assert refusal(lambda: made(aws, loggingConfiguration=logging)) == (
        "InvalidLoggingConfiguration",
        "Invalid Logging Configuration: Log Group ARN must be provided with '*' qualifier.",
    )


def test_a_customers_key_has_to_be_named(aws: Any) -> None:
    code, _ = refusal(lambda: made(aws, encryptionConfiguration={"type": "CUSTOMER_MANAGED_KMS_KEY"}))

    assert code == "InvalidEncryptionConfiguration"


def test_a_version_description_without_a_version_is_refused(aws: Any) -> None:
    expected = ("ValidationException", "Version description can only be set when publish is true")

    assert refusal(lambda: made(aws, versionDescription="v")) == expected


# --- changed ----------------------------------------------------------------------------------------------


def test_a_change_makes_a_revision_and_the_same_again_does_not(aws: Any) -> None:
    arn = made(aws)["stateMachineArn"]
    none = aws.update_state_machine(stateMachineArn=arn, roleArn=ROLE)
    first = aws.update_state_machine(stateMachineArn=arn, definition=passing(1))
    again = aws.update_state_machine(stateMachineArn=arn, definition=passing(1), roleArn=ROLE)
    described = aws.describe_state_machine(stateMachineArn=arn)

    assert "revisionId" not in none
    assert first["revisionId"] == again["revisionId"] == described["revisionId"]
    assert described["definition"] == passing(1)


def test_a_change_of_nothing_is_refused(aws: Any) -> None:
    arn = made(aws)["stateMachineArn"]

    code, message = refusal(lambda: aws.update_state_machine(stateMachineArn=arn, publish=True))

    assert code == "MissingRequiredParameter"
    assert message == (
        "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must be "
        "specified"
    )


def test_a_bad_change_leaves_everything_as_it_was(aws: Any) -> None:
    arn = made(aws)["stateMachineArn"]
    before = shown(aws.describe_state_machine(stateMachineArn=arn))
    code, _ = refusal(lambda: aws.update_state_machine(stateMachineArn=arn, definition="{}"))

    assert (code, shown(aws.describe_state_machine(stateMachineArn=arn))) == ("InvalidDefinition", before)


def test_what_is_not_there_cannot_be_changed_or_described(aws: Any) -> None:
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:nobody"
    expected = ("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")

    assert refusal(lambda: aws.describe_state_machine(stateMachineArn=arn)) == expected
    assert refusal(lambda: aws.update_state_machine(stateMachineArn=arn, roleArn=ROLE)) == expected
    assert refusal(lambda: aws.publish_state_machine_version(stateMachineArn=arn)) == expected


def test_what_is_no_arn_is_told_so(aws: Any) -> None:
    execution = "arn:aws:states:us-east-1:123456789012:execution:m:e"

    assert refusal(lambda: aws.describe_state_machine(stateMachineArn="not_a_valid_arn")) == (
        "InvalidArn",
        "Invalid Arn: 'Invalid ARN prefix: not_a_valid_arn'",
    )
    assert refusal(lambda: aws.delete_state_machine(stateMachineArn=execution)) == (
        "InvalidArn",
        "Invalid Arn: 'Resource type not valid in this context: execution'",
    )


def test_a_deleted_one_is_gone_with_versions_aliases_and_tags(aws: Any) -> None:
    created = made(aws, publish=True, tags=[{"key": "k", "value": "v"}])
    arn, version = created["stateMachineArn"], created["stateMachineVersionArn"]
    routing = [{"stateMachineVersionArn": version, "weight": 100}]
    alias = aws.create_state_machine_alias(name="live", routingConfiguration=routing)["stateMachineAliasArn"]
    for _ in range(2):
        assert shown(aws.delete_state_machine(stateMachineArn=arn)) == {}
    gone = [
        refusal(lambda: aws.describe_state_machine(stateMachineArn=version))[0],
        refusal(lambda: aws.describe_state_machine_alias(stateMachineAliasArn=alias))[0],
        refusal(lambda: aws.list_tags_for_resource(resourceArn=arn))[0],
    ]
    made(aws)

    assert gone == ["StateMachineDoesNotExist", "ResourceNotFound", "ResourceNotFound"]
    assert aws.list_tags_for_resource(resourceArn=arn)["tags"] == []
    assert aws.list_state_machine_versions(stateMachineArn=arn)["stateMachineVersions"] == []


# --- described --------------------------------------------------------------------------------------------


def test_metadata_only_leaves_the_definition_out(aws: Any) -> None:
    arn = made(aws)["stateMachineArn"]

    described = aws.describe_state_machine(stateMachineArn=arn, includedData="METADATA_ONLY")

    assert (described["definition"], described["roleArn"]) == ("{}", ROLE)


def test_the_variables_that_states_read_are_described(aws: Any) -> None:
    states = {
        "Keep": {"Type": "Pass", "Assign": {"x": 1}, "Next": "Use"},
        "Use": {"Type": "Pass", "Parameters": {"y.$": "$x"}, "End": True},
    }
    definition = json.dumps({"StartAt": "Keep", "States": states})
    arn = made(aws, definition=definition)["stateMachineArn"]

    assert aws.describe_state_machine(stateMachineArn=arn)["variableReferences"] == {"Use": ["x"]}


def test_a_distributed_map_is_described_by_its_label(aws: Any) -> None:
    inner = {"StartAt": "B", "States": {"B": {"Type": "Pass", "End": True}}}
    config = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    states = {"Each": {"Type": "Map", "Label": "rows", "ItemProcessor": {**config, **inner}, "End": True}}
    arn = made(aws, definition=json.dumps({"StartAt": "Each", "States": states}))["stateMachineArn"]
    described = aws.describe_state_machine(stateMachineArn=f"{arn}/rows")

    assert (described["label"], json.loads(described["definition"])) == ("rows", inner)
    assert refusal(lambda: aws.describe_state_machine(stateMachineArn=f"{arn}/lines")) == (
        "StateMachineDoesNotExist",
        f"State Machine Does Not Exist: '{arn}/lines'",
    )
    assert (
        refusal(lambda: aws.delete_state_machine(stateMachineArn=f"{arn}/rows"))[0] == "ValidationException"
    )


def test_an_execution_is_described_with_the_machine_it_began_with(aws: Any) -> None:
    arn = made(aws)["stateMachineArn"]
    started = aws.start_execution(stateMachineArn=arn)["executionArn"]
    aws.update_state_machine(stateMachineArn=arn, definition=passing(1), roleArn=ROLE + "2")
    later = aws.start_execution(stateMachineArn=arn)["executionArn"]
    aws.delete_state_machine(stateMachineArn=arn)
    first = aws.describe_state_machine_for_execution(executionArn=started)
    second = aws.describe_state_machine_for_execution(executionArn=later)

    assert (first["definition"], first["roleArn"], "revisionId" in first) == (passing(), ROLE, False)
    assert (second["definition"], second["roleArn"]) == (passing(1), ROLE + "2")
    assert "revisionId" in second


def test_an_execution_is_not_described_with_a_version_of_one_that_came_later(aws: Any) -> None:
    version = made(aws, publish=True)["stateMachineVersionArn"]
    started = aws.start_execution(stateMachineArn=version)["executionArn"]
    aws.delete_state_machine(stateMachineArn=version.rpartition(":")[0])
    again = made(aws, definition=passing(1), publish=True)["stateMachineVersionArn"]
    described = aws.describe_state_machine_for_execution(executionArn=started)

    assert again == version
    assert described["definition"] == passing()


# --- listed -----------------------------------------------------------------------------------------------


def test_state_machines_are_listed_by_name_page_by_page(url: str) -> None:
    aws = sfn(url, account="111111111111")
    for name in ("m2", "m10", "m1", "m_", "M"):
        made(aws, name)
    pages = aws.get_paginator("list_state_machines").paginate(PaginationConfig={"PageSize": 2})
    names = [[each["name"] for each in page["stateMachines"]] for page in pages]

    assert names == [["M", "m1"], ["m10", "m2"], ["m_"]]


def test_a_token_of_another_list_is_refused(url: str) -> None:
    here, there = sfn(url, account="111111111111"), sfn(url, account="222222222222")
    for aws in (here, there):
        made(aws, "a")
        made(aws, "b")
    token = here.list_state_machines(maxResults=1)["nextToken"]
    expected = ("InvalidToken", "Invalid Token: 'Invalid token'")

    assert len(here.list_state_machines(maxResults=5, nextToken=token)["stateMachines"]) == 1
    assert refusal(lambda: there.list_state_machines(nextToken=token)) == expected
    assert refusal(lambda: here.list_state_machines(nextToken="a token")) == expected


# --- of files ---------------------------------------------------------------------------------------------


def test_workflows_of_files_are_state_machines_too(aws: Any) -> None:
    listed = {each["name"]: each["stateMachineArn"] for each in aws.list_state_machines()["stateMachines"]}
    described = aws.describe_state_machine(stateMachineArn=listed["greet"])

    assert sorted(listed) == ["boom", "flaky", "greet", "spread", "stuck"]
    assert (described["type"], json.loads(described["definition"])["StartAt"]) == ("STANDARD", "Fetch")


def test_the_file_is_the_home_of_its_workflow(aws: Any) -> None:
    arn = "arn:aws:states:us-east-1:123456789012:stateMachine:greet"
    text = aws.describe_state_machine(stateMachineArn=arn)["definition"]
    changed, why = refusal(lambda: aws.update_state_machine(stateMachineArn=arn, definition=passing()))
    deleted, _ = refusal(lambda: aws.delete_state_machine(stateMachineArn=arn))
    other, _ = refusal(lambda: made(aws, "greet"))

    assert (changed, deleted, other) == (
        "ConflictException",
        "ValidationException",
        "StateMachineAlreadyExists",
    )
    assert "greet/workflow.asl.json: change it there" in why
    assert made(aws, "greet", definition=json.dumps(json.loads(text), indent=2))["stateMachineArn"] == arn


# --- tags -------------------------------------------------------------------------------------------------


def test_tags_are_set_changed_and_taken_away(aws: Any) -> None:
    arn = made(aws, tags=[{"key": "a", "value": "1"}, {"key": "b", "value": ""}])["stateMachineArn"]
    aws.tag_resource(resourceArn=arn, tags=[{"key": "c", "value": "3"}, {"key": "a", "value": "2"}])
    aws.untag_resource(resourceArn=arn, tagKeys=["b", "nothing"])

    assert aws.list_tags_for_resource(resourceArn=arn)["tags"] == [
        {"key": "a", "value": "2"},
        {"key": "c", "value": "3"},
    ]


def test_a_tag_without_key_is_none(aws: Any) -> None:
    arn = made(aws)["stateMachineArn"]

    code, message = refusal(lambda: aws.tag_resource(resourceArn=arn, tags=[{"key": "a"}, {"value": "b"}]))

    assert code == "ValidationException"
    assert message.startswith("1 validation error detected: Value null at 'tags.2.member.key' failed to ")


def test_fifty_tags_are_the_most(aws: Any) -> None:
    tags = [{"key": str(number), "value": ""} for number in range(51)]
    arn = made(aws, tags=tags[:50])["stateMachineArn"]

    assert refusal(lambda: aws.tag_resource(resourceArn=arn, tags=tags[50:]))[0] == "TooManyTags"
    assert refusal(lambda: made(aws, "other", tags=tags))[0] == "TooManyTags"


def test_a_version_has_no_tags(aws: Any) -> None:
    version = made(aws, publish=True)["stateMachineVersionArn"]
    tags = [{"key": "k", "value": "v"}]

    assert refusal(lambda: aws.tag_resource(resourceArn=version, tags=tags)) == (
        "ResourceNotFound",
        f"Resource not found: '{version}'",
    )


def test_activities_have_tags(aws: Any) -> None:
    arn = aws.create_activity(name="a")["activityArn"]
    aws.tag_resource(resourceArn=arn, tags=[{"key": "k", "value": "v"}])

    assert aws.list_tags_for_resource(resourceArn=arn)["tags"] == [{"key": "k", "value": "v"}]


def test_an_activity_is_made_with_tags_and_takes_them_with_it(aws: Any) -> None:
    tags = [{"key": "k", "value": "v"}]
    arn = aws.create_activity(name="a", tags=tags)["activityArn"]
    tagged = aws.list_tags_for_resource(resourceArn=arn)["tags"]
    aws.delete_activity(activityArn=arn)
    aws.create_activity(name="a")

    assert (tagged, aws.list_tags_for_resource(resourceArn=arn)["tags"]) == (tags, [])


def test_a_definition_that_this_release_would_refuse_is_described_all_the_same(
    stage: Stage, aws: Any
) -> None:
    arn = made(aws)["stateMachineArn"]
    stage.state_machines.update(arn, Changes(definition='{"States": {}}'))

    assert aws.describe_state_machine(stateMachineArn=arn)["definition"] == '{"States": {}}'
