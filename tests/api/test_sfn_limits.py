"""How much there may be of what calls make, by default and where the settings say otherwise."""

import json
from collections.abc import Iterator
from typing import Any

import pytest

from etl_runner.api.sfn.model import check
from etl_runner.errors import EtlRunnerError
from etl_runner.machine.limits import Limits
from tests.api.sfn_stage import ROLE, Served, refusal, serving
from tests.engine.harness import PASS, single

DEFINITION = json.dumps(single(PASS))


@pytest.fixture(scope="module")
def small(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    """A service with room for little."""
    limits = Limits(versions=2, aliases=1, tags=3, state_machines=4, activities=1)
    with serving(tmp_path_factory.mktemp("small"), limits) as served:
        yield served


def tagged(count: int) -> list[dict[str, str]]:
    return [{"key": f"k{number}", "value": "v"} for number in range(count)]


def test_versions_are_counted_for_each_state_machine(small: Served) -> None:
    arn = small.machine(single(PASS), publish=True)
    small.sfn.update_state_machine(stateMachineArn=arn, roleArn=f"{ROLE}2", publish=True)
    code, _ = refusal(small.sfn.update_state_machine, stateMachineArn=arn, roleArn=f"{ROLE}3", publish=True)
    small.sfn.delete_state_machine_version(stateMachineVersionArn=f"{arn}:1")
    again = small.sfn.update_state_machine(stateMachineArn=arn, roleArn=f"{ROLE}3", publish=True)

    assert (code, again["stateMachineVersionArn"]) == ("ServiceQuotaExceededException", f"{arn}:3")


def test_aliases_are_counted_for_each_state_machine(small: Served) -> None:
    arn = small.machine(single(PASS), publish=True)
    routing = [{"stateMachineVersionArn": f"{arn}:1", "weight": 100}]
    small.sfn.create_state_machine_alias(name="a", routingConfiguration=routing)
    same = small.sfn.create_state_machine_alias(name="a", routingConfiguration=routing)
    code, _ = refusal(small.sfn.create_state_machine_alias, name="b", routingConfiguration=routing)

    assert (same["stateMachineAliasArn"], code) == (f"{arn}:a", "ServiceQuotaExceededException")


def test_tags_are_counted_for_each_resource(small: Served) -> None:
    arn = small.machine(single(PASS), tags=tagged(3))
    told = ("TooManyTags", "You've exceeded the number of tags allowed for a resource.")
    more = [{"key": "more", "value": "v"}]

    assert refusal(small.machine, definition=single(PASS), tags=tagged(4)) == told
    assert refusal(small.sfn.tag_resource, resourceArn=arn, tags=more) == told


def test_state_machines_and_activities_are_counted_by_account_and_region(small: Served) -> None:
    other = small.client("210987654321")

    def create(name: str) -> str:
        made = other.create_state_machine(name=name, definition=DEFINITION, roleArn=ROLE)
        return str(made["stateMachineArn"])

    arns = [create(name) for name in "abcd"]
    fifth = refusal(other.create_state_machine, name="e", definition=DEFINITION, roleArn=ROLE)
    activity = other.create_activity(name="a")["activityArn"]
    second = refusal(other.create_activity, name="b")

    assert fifth == ("StateMachineLimitExceeded", "The maximum number of state machines has been reached.")
    assert second == ("ActivityLimitExceeded", "The maximum number of activities has been reached.")
    assert (create("a"), other.create_activity(name="a")["activityArn"]) == (arns[0], activity)
    assert small.sfn.create_activity(name="a")["activityArn"] != activity


@pytest.mark.parametrize(
    ("action", "given", "name", "size"),
    [
        ("StartExecution", {"stateMachineArn": "a"}, "input", 262_144),
        ("StartSyncExecution", {"stateMachineArn": "a"}, "input", 262_144),
        ("SendTaskSuccess", {"taskToken": "t"}, "output", 262_144),
        ("TestState", {"definition": "{}"}, "input", 262_144),
        ("CreateStateMachine", {"name": "n", "roleArn": "r"}, "definition", 1_048_576),
        ("UpdateStateMachine", {"stateMachineArn": "a"}, "definition", 1_048_576),
        ("ValidateStateMachineDefinition", {}, "definition", 1_048_576),
        ("TestState", {}, "definition", 1_048_576),
    ],
)
def test_the_lengths_of_the_service_model_follow_the_limits(
    action: str, given: dict[str, Any], name: str, size: int
) -> None:
    lifted = Limits(payload_bytes=size + 1, definition_bytes=size + 1)
    parameters = given | {name: "x" * (size + 1)}
    told = f"at '{name}' failed to satisfy constraint: Member must have length less than or equal to {size}"

    assert check(action, given | {name: "x" * size})[name] == "x" * size
    assert check(action, parameters, lifted)[name] == parameters[name]
    with pytest.raises(EtlRunnerError, match=told):
        check(action, parameters)
