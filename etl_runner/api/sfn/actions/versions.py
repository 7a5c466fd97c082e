"""Versions of state machines: published, listed, deleted."""

from collections.abc import Mapping
from typing import Final

from etl_runner.api.sfn.arns import read_arn
from etl_runner.api.sfn.call import Action, Call, Reply
from etl_runner.api.sfn.errors import AwsError, invalid_arn
from etl_runner.api.sfn.machine_refs import machine_arn, refused_change
from etl_runner.api.sfn.paging import make_token, page_size, place_of
from etl_runner.engine.machine_shapes import OtherRevision, VersionInUse, version_number
from etl_runner.errors import NotFound


def publish_state_machine_version(call: Call) -> Reply:
    """PublishStateMachineVersion: a revision that has a version keeps it."""
    given = call.parameters
    arn = given["stateMachineArn"]
    machine_arn(arn)
    try:
        with refused_change(arn):
            version = call.rooms.state_machines.publish(
                arn, revision_id=given.get("revisionId"), description=given.get("description", "")
            )
    except OtherRevision as error:
        raise AwsError(
            "ConflictException",
            f"Failed to publish the State Machine version for revision {given['revisionId']}. "
            f"The current State Machine revision is {error.current or 'INITIAL'}.",
        ) from None
    return {"stateMachineVersionArn": version.arn, "creationDate": version.created_ms / 1000}


def list_state_machine_versions(call: Call) -> Reply:
    """ListStateMachineVersions: newest first."""
    given = call.parameters
    arn = given["stateMachineArn"]
    machine_arn(arn)
    size, question = page_size(given), ["ListStateMachineVersions", arn]
    before = place_of(given.get("nextToken"), question, int)
    try:
        found = call.rooms.state_machines.versions(arn, before=before, limit=size + 1)
    except NotFound:
        raise invalid_arn(arn) from None  # StateMachineDoesNotExist is none of this operation's errors
    reply: Reply = {
        "stateMachineVersions": [
            {"stateMachineVersionArn": each.arn, "creationDate": each.created_ms / 1000}
            for each in found[:size]
        ]
    }
    more = len(found) > size
    return reply | ({"nextToken": make_token(question, found[size - 1].number)} if more else {})


def delete_state_machine_version(call: Call) -> Reply:
    """DeleteStateMachineVersion: also of one that is not there."""
    arn = call.parameters["stateMachineVersionArn"]
    named = read_arn(arn, "stateMachine")
    of_machine, _, last = arn.rpartition(":")
    number = version_number(last)
    if len(named.names) != 2 or number is None:  # the name and the number
        raise invalid_arn(arn)
    try:
        call.rooms.state_machines.delete_version(of_machine, number)
    except VersionInUse as error:
        raise AwsError(
            "ConflictException",
            "Version to be deleted must not be referenced by an alias. Current list of aliases referencing "
            f"this version: [{', '.join(error.aliases)}]",
        ) from None
    return {}


ACTIONS: Final[Mapping[str, Action]] = {
    "PublishStateMachineVersion": publish_state_machine_version,
    "ListStateMachineVersions": list_state_machine_versions,
    "DeleteStateMachineVersion": delete_state_machine_version,
}
