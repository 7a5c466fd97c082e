import json
import random
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

import pytest
from botocore.exceptions import ClientError

from tests.api.answers import sfn
from tests.api.stage import Stage, served

ROLE = "arn:aws:iam::123456789012:role/runs"


def passing(result: Any) -> str:
    return json.dumps({"StartAt": "A", "States": {"A": {"Type": "Pass", "Result": result, "End": True}}})


@pytest.fixture
def aws(stage: Stage) -> Iterator[Any]:
    with served(stage) as url:
        yield sfn(url)


@pytest.fixture
def arn(aws: Any) -> str:
    """A state machine with versions 1 to 3, whose result is their number."""
    given = {"name": "m", "roleArn": ROLE, "publish": True}
    arn: str = aws.create_state_machine(definition=passing(1), **given)["stateMachineArn"]
    for number in (2, 3):
        aws.update_state_machine(stateMachineArn=arn, definition=passing(number), publish=True)
    return arn


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def versions(aws: Any, arn: str, **more: Any) -> list[str]:
    found = aws.list_state_machine_versions(stateMachineArn=arn, **more)["stateMachineVersions"]
    return [each["stateMachineVersionArn"].removeprefix(f"{arn}:") for each in found]


def aliased(aws: Any, arn: str, name: str, *routes: tuple[Any, int], **more: Any) -> Any:
    routing = [{"stateMachineVersionArn": f"{arn}:{number}", "weight": weight} for number, weight in routes]
    return aws.create_state_machine_alias(name=name, routingConfiguration=routing, **more)


# --- versions ---------------------------------------------------------------------------------------------


def test_versions_are_listed_newest_first_page_by_page(aws: Any, arn: str) -> None:
    pages = aws.list_state_machine_versions(stateMachineArn=arn, maxResults=2)
    rest = versions(aws, arn, nextToken=pages["nextToken"])

    assert (versions(aws, arn), len(pages["stateMachineVersions"]), rest) == (["3", "2", "1"], 2, ["1"])


def test_a_version_stays_as_it_was(aws: Any, arn: str) -> None:
    described = aws.describe_state_machine(stateMachineArn=f"{arn}:2")

    assert (described["stateMachineArn"], described["definition"]) == (f"{arn}:2", passing(2))


def test_a_revision_has_one_version(aws: Any, arn: str) -> None:
    again = aws.publish_state_machine_version(stateMachineArn=arn, description="other")
    updated = aws.update_state_machine(stateMachineArn=arn, definition=passing(3), publish=True)

    assert again["stateMachineVersionArn"] == updated["stateMachineVersionArn"] == f"{arn}:3"


def test_a_number_is_not_given_twice(aws: Any, arn: str) -> None:
    for _ in range(2):
        aws.delete_state_machine_version(stateMachineVersionArn=f"{arn}:3")
    published = aws.publish_state_machine_version(stateMachineArn=arn, description="again")
    described = aws.describe_state_machine(stateMachineArn=published["stateMachineVersionArn"])

    assert (published["stateMachineVersionArn"], described["description"]) == (f"{arn}:4", "again")
    assert versions(aws, arn) == ["4", "2", "1"]


def test_a_version_of_another_revision_than_was_meant_is_not_published(aws: Any) -> None:
    arn = aws.create_state_machine(name="n", definition=passing(1), roleArn=ROLE)["stateMachineArn"]
    revision = aws.update_state_machine(stateMachineArn=arn, definition=passing(2))["revisionId"]
    code, message = refusal(lambda: aws.publish_state_machine_version(stateMachineArn=arn, revisionId="x"))
    published = aws.publish_state_machine_version(stateMachineArn=arn, revisionId=revision)

    assert (code, published["stateMachineVersionArn"]) == ("ConflictException", f"{arn}:1")
    assert message == (
        "Failed to publish the State Machine version for revision x. The current State Machine revision is "
        f"{revision}."
    )


def test_a_version_is_no_state_machine_to_change(aws: Any, arn: str) -> None:
    expected = ("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}:2'")

    assert refusal(lambda: aws.update_state_machine(stateMachineArn=f"{arn}:2", roleArn=ROLE)) == expected
    assert refusal(lambda: aws.publish_state_machine_version(stateMachineArn=f"{arn}:2")) == expected


def test_a_number_beyond_all_versions_is_no_version(aws: Any, arn: str) -> None:
    far = f"{arn}:{10**30}"

    assert refusal(lambda: aws.describe_state_machine(stateMachineArn=far))[0] == "StateMachineDoesNotExist"
    assert refusal(lambda: aws.delete_state_machine_version(stateMachineVersionArn=far))[0] == "InvalidArn"


# --- aliases ----------------------------------------------------------------------------------------------


def test_an_alias_is_described_and_changed(aws: Any, arn: str) -> None:
    alias = aliased(aws, arn, "live", (1, 100), description="first")["stateMachineAliasArn"]
    routing = [
        {"stateMachineVersionArn": f"{arn}:1", "weight": 30},
        {"stateMachineVersionArn": f"{arn}:2", "weight": 70},
    ]
    aws.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=routing)
    described = aws.describe_state_machine_alias(stateMachineAliasArn=alias)

    assert (alias, described["name"], described["description"]) == (f"{arn}:live", "live", "first")
    assert described["routingConfiguration"] == routing
    assert described["updateDate"] >= described["creationDate"]


def test_the_same_alias_again_is_the_same_and_another_is_refused(aws: Any, arn: str) -> None:
    first = aliased(aws, arn, "live", (1, 100), description="d")
    again = aliased(aws, arn, "live", (1, 100), description="d")
    others = [
        refusal(lambda: aliased(aws, arn, "live", (1, 100), description="other")),
        refusal(lambda: aliased(aws, arn, "live", (2, 100), description="d")),
    ]

    assert first["creationDate"] == again["creationDate"]
    assert {code for code, _ in others} == {"ConflictException"}
    assert all(
        message.startswith("Failed to create alias because an alias with the") for _, message in others
    )


def test_aliases_are_listed_in_their_order_and_by_version(aws: Any, arn: str) -> None:
    for name, number in (("z", 1), ("a", 2), ("m", 1)):
        aliased(aws, arn, name, (number, 100))

    def names(**given: Any) -> list[str]:
        found = aws.list_state_machine_aliases(**given)["stateMachineAliases"]
        return [each["stateMachineAliasArn"].rpartition(":")[2] for each in found]

    page = aws.list_state_machine_aliases(stateMachineArn=arn, maxResults=2)

    assert names(stateMachineArn=arn) == ["z", "a", "m"]
    assert names(stateMachineArn=f"{arn}:1") == ["z", "m"]
    assert names(stateMachineArn=arn, nextToken=page["nextToken"]) == ["m"]
    assert (
        refusal(lambda: names(stateMachineArn=f"{arn}:1", nextToken=page["nextToken"]))[0] == "InvalidToken"
    )


def test_a_version_that_an_alias_leads_to_is_not_deleted(aws: Any, arn: str) -> None:
    for name in ("live", "next"):
        aliased(aws, arn, name, (2, 100))

    def delete() -> Any:
        return aws.delete_state_machine_version(stateMachineVersionArn=f"{arn}:2")

    refused = refusal(delete)
    for name in ("live", "next", "next"):
        aws.delete_state_machine_alias(stateMachineAliasArn=f"{arn}:{name}")
    delete()

    assert refused == (
        "ConflictException",
        (
            "Version to be deleted must not be referenced by an alias. Current list of aliases referencing "
            "this version: [live, next]"
        ),
    )
    assert versions(aws, arn) == ["3", "1"]


@pytest.mark.parametrize(
    ("routes", "expected"),
    [
        (
            [(1, 50), (1, 50)],
            (
                "Routing configuration must contain distinct state machine version ARNs. "
                "Received: [{0}:1, {0}:1]"
            ),
        ),
        (
            [("live", 100)],
            "Routing configuration must contain state machine version ARNs. Received: [{0}:live]",
        ),
        ([(1, 70), (2, 29)], "Sum of routing configuration weights must equal 100. Received: [70, 29]"),
        ([(1, 70), (2, 31)], "Sum of routing configuration weights must equal 100. Received: [70, 31]"),
    ],
)
def test_a_routing_that_makes_no_sense_is_refused(
    aws: Any, arn: str, routes: list[tuple[Any, int]], expected: str
) -> None:
    assert refusal(lambda: aliased(aws, arn, "live", *routes)) == (
        "ValidationException",
        expected.format(arn),
    )


def test_a_route_to_a_version_that_is_not_there_is_refused(aws: Any, arn: str) -> None:
    alias = aliased(aws, arn, "live", (1, 100))["stateMachineAliasArn"]
    routing = [{"stateMachineVersionArn": f"{arn}:9", "weight": 100}]
    expected = ("ResourceNotFound", "Request references a resource that does not exist.")

    assert refusal(lambda: aliased(aws, arn, "other", (9, 100))) == expected
    assert (
        refusal(
            lambda: aws.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=routing)
        )
        == expected
    )


# --- started ----------------------------------------------------------------------------------------------


def test_what_is_started_is_the_version_the_alias_or_the_newest(stage: Stage, aws: Any, arn: str) -> None:
    alias = aliased(aws, arn, "live", (2, 100))["stateMachineAliasArn"]
    rng = random.Random(1)
    found = [stage.state_machines.resolve(each, rng) for each in (arn, f"{arn}:1", alias)]

    assert [(t.version_arn, t.alias_arn) for t in found if t is not None] == [
        (None, None),
        (f"{arn}:1", None),
        (f"{arn}:2", alias),
    ]
    assert stage.state_machines.resolve(f"{arn}:9", rng) is None
    assert stage.state_machines.resolve(f"{arn}:nobody", rng) is None


def test_an_alias_shares_the_starts_by_weight(stage: Stage, aws: Any, arn: str) -> None:
    alias = aliased(aws, arn, "live", (1, 25), (3, 75))["stateMachineAliasArn"]
    rng = random.Random(7)
    drawn = [stage.state_machines.resolve(alias, rng) for _ in range(1000)]
    counts = Counter(target.version_arn for target in drawn if target is not None)

    assert set(counts) == {f"{arn}:1", f"{arn}:3"}
    assert 200 < counts[f"{arn}:1"] < 300


def test_a_changed_alias_is_followed_at_once(stage: Stage, aws: Any, arn: str) -> None:
    alias = aliased(aws, arn, "live", (1, 100))["stateMachineAliasArn"]
    rng = random.Random(1)
    before = stage.state_machines.resolve(alias, rng)
    routing = [{"stateMachineVersionArn": f"{arn}:3", "weight": 100}]
    aws.update_state_machine_alias(stateMachineAliasArn=alias, routingConfiguration=routing)
    after = stage.state_machines.resolve(alias, rng)
    aws.delete_state_machine_alias(stateMachineAliasArn=alias)

    assert before is not None
    assert after is not None
    assert (before.version_arn, after.version_arn) == (f"{arn}:1", f"{arn}:3")
    assert stage.state_machines.resolve(alias, rng) is None
