"""State machines: made, changed, deleted, described and listed."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Final

from etl_runner.api.sfn.arns import read_arn
from etl_runner.api.sfn.call import Action, Call, Reply
from etl_runner.api.sfn.configurations import check_role, encryption_of, logging_of, tracing_of
from etl_runner.api.sfn.definitions import accept_definition, labelled, state_names
from etl_runner.api.sfn.describe import find_execution
from etl_runner.api.sfn.errors import AwsError
from etl_runner.api.sfn.machine_refs import does_not_exist, machine_arn, publish_description, refused_change
from etl_runner.api.sfn.names import check_name
from etl_runner.api.sfn.paging import make_token, page_size, place_of
from etl_runner.api.sfn.tagging import tags_of
from etl_runner.engine.machine_shapes import (
    Changes,
    Described,
    New,
    QuotaReached,
    revision_of_file,
)
from etl_runner.errors import Conflict, DefinitionError, NotFound
from etl_runner.jsontypes import Json
from etl_runner.store.reads import ExecutionSummary, Reads
from etl_runner.store.state_machines import Revision

_CHANGEABLE: Final = (
    "definition",
    "roleArn",
    "loggingConfiguration",
    "tracingConfiguration",
    "encryptionConfiguration",
)


# --- made, changed, deleted -----------------------------------------------------------------------------


def create_state_machine(call: Call) -> Reply:
    """CreateStateMachine: the same again gives the same answer."""
    given = call.parameters
    check_name(given["name"])
    publish_as = publish_description(given)
    kind = given.get("type", "STANDARD")
    new = New(
        account=call.account,
        region=call.region,
        name=given["name"],
        type=kind,
        definition=given["definition"],
        role_arn=check_role(given["roleArn"]),
        logging=logging_of(given.get("loggingConfiguration")),
        tracing=tracing_of(given.get("tracingConfiguration")),
        encryption=encryption_of(given.get("encryptionConfiguration")),
        publish_as=publish_as,
        tags=tags_of(given.get("tags", []), call.rooms.limits.tags),
    )
    parsed = accept_definition(call.rooms, new.definition, express=kind == "EXPRESS")
    try:
        made = call.rooms.state_machines.create(replace(new, parsed=parsed))
    except QuotaReached:
        message = "The maximum number of state machines has been reached."
        raise AwsError("StateMachineLimitExceeded", message) from None
    except Conflict:
        message = f"State Machine Already Exists: '{new.arn}'"
        raise AwsError("StateMachineAlreadyExists", message) from None
    reply: Reply = {"stateMachineArn": new.arn, "creationDate": made.machine.created_ms / 1000}
    if publish_as is not None and made.version is not None:
        reply["stateMachineVersionArn"] = made.version.arn
    return reply


def update_state_machine(call: Call) -> Reply:
    """UpdateStateMachine."""
    given, machines = call.parameters, call.rooms.state_machines
    arn = given["stateMachineArn"]
    machine_arn(arn)
    if not any(name in given for name in _CHANGEABLE):
        raise AwsError(
            "MissingRequiredParameter",
            "Either the definition, the role ARN, the LoggingConfiguration, or the TracingConfiguration must "
            "be specified",
        )
    found = machines.find(arn)
    if found is None:
        raise does_not_exist(arn)
    changes = _changes(given)
    publish_as = publish_description(given)
    if changes.definition is not None:
        express = found.machine.type == "EXPRESS"
        parsed = accept_definition(call.rooms, changes.definition, express=express)
        changes = replace(changes, parsed=parsed)
    with refused_change(arn):
        now = machines.update(arn, changes, publish_as=publish_as)
    reply: Reply = {"updateDate": now.revision.created_ms / 1000}
    if now.revision.revision_id is not None:
        reply["revisionId"] = now.revision.revision_id
    if now.version is not None:
        reply["stateMachineVersionArn"] = now.version.arn
    return reply


def _changes(given: Mapping[str, Json]) -> Changes:
    role, encryption = given.get("roleArn"), given.get("encryptionConfiguration")
    logging, tracing = given.get("loggingConfiguration"), given.get("tracingConfiguration")
    return Changes(
        definition=given.get("definition"),
        role_arn=None if role is None else check_role(role),
        logging=None if logging is None else logging_of(logging),
        tracing=None if tracing is None else tracing_of(tracing),
        encryption=None if encryption is None else encryption_of(encryption),
    )


def delete_state_machine(call: Call) -> Reply:
    """DeleteStateMachine: also of one that is not there."""
    arn = call.parameters["stateMachineArn"]
    machine_arn(arn)
    with refused_change(arn, "ValidationException"):
        call.rooms.state_machines.delete(arn)
    return {}


# --- described ------------------------------------------------------------------------------------------


def describe_state_machine(call: Call) -> Reply:
    """DescribeStateMachine: of a state machine, a version of it, or one of its Distributed Map states."""
    given = call.parameters
    arn = given["stateMachineArn"]
    named = read_arn(arn, "stateMachine")
    of_machine, _, label = arn.partition("/")
    try:
        found = call.rooms.state_machines.get(of_machine)
    except NotFound:
        raise does_not_exist(arn) from None
    shown: Reply = {
        "stateMachineArn": arn,
        "name": found.machine.name,
        "status": "ACTIVE",
        "type": found.machine.type,
        "creationDate": (found.version or found.machine).created_ms / 1000,
    }
    if found.version is not None and found.version.description:
        shown["description"] = found.version.description
    if label:
        shown["label"] = named.names[0].partition("/")[2]
    shown |= _settings(found.revision)
    if given.get("includedData") == "METADATA_ONLY" and not label:
        return shown | {"definition": "{}"}
    return shown | _definition(call, found, label, does_not_exist(arn))


def _definition(call: Call, found: Described, label: str, missing: AwsError) -> Reply:
    definition_id = found.revision.definition_id
    text = call.rooms.state_machines.definition(definition_id)
    references = _references(call, definition_id)
    if label:
        inner = labelled(text, label)
        if inner is None:
            raise missing
        text = inner
        names = state_names(inner)
        references = {name: each for name, each in references.items() if name in names}
    return {"definition": text} | ({"variableReferences": references} if references else {})


def _references(call: Call, definition_id: int) -> dict[str, Json]:
    try:
        parsed = call.rooms.state_machines.parsed(definition_id)
    except DefinitionError:
        return {}  # an earlier release took it; whoever wants to see why this one does not has its text
    return {name: list(variables) for name, variables in parsed.variable_references.items()}


def _settings(revision: Revision) -> Reply:
    shown: Reply = {
        "roleArn": revision.role_arn,
        "loggingConfiguration": revision.logging,
        "tracingConfiguration": revision.tracing,
        "encryptionConfiguration": revision.encryption,
    }
    return shown if revision.revision_id is None else shown | {"revisionId": revision.revision_id}


def describe_state_machine_for_execution(call: Call) -> Reply:
    """DescribeStateMachineForExecution: as it was when the execution began."""
    given, reads = call.parameters, Reads(call.rooms.store)
    row = find_execution(reads, given["executionArn"])
    of_machine, _, label = row.state_machine_arn.partition("/")
    revision = call.rooms.state_machines.started_with(
        of_machine, row.state_machine_version_arn, row.definition_id, row.started_ms
    ) or _of_file(call, of_machine, row)
    shown: Reply = {
        "stateMachineArn": row.state_machine_arn,
        "name": row.state_machine_arn.rpartition(":")[2],
        "updateDate": revision.created_ms / 1000,
        **_settings(revision),
    }
    if row.map_run_id is not None:
        shown["mapRunArn"] = reads.map_run_arn(row.map_run_id)
    if label:
        shown["label"] = label
    if given.get("includedData") == "METADATA_ONLY":
        return shown | {"definition": "{}"}
    text = call.rooms.state_machines.definition(row.definition_id)
    references = _references(call, row.definition_id)
    shown["definition"] = (labelled(text, label) if label else None) or text
    return shown | ({"variableReferences": references} if references else {})


def _of_file(call: Call, arn: str, row: ExecutionSummary) -> Revision:
    """What is known of a workflow that a file had when the execution began."""
    found = call.rooms.state_machines.find(arn)
    created_ms = row.started_ms if found is None else min(row.started_ms, found.machine.created_ms)
    return revision_of_file(arn, row.definition_id, created_ms)


# --- listed ---------------------------------------------------------------------------------------------


def list_state_machines(call: Call) -> Reply:
    """ListStateMachines: those of the caller's account and region, by name."""
    size = page_size(call.parameters)
    question = ["ListStateMachines", call.account, call.region]
    after = place_of(call.parameters.get("nextToken"), question, str) or ""
    found = call.rooms.state_machines.page(call.account, call.region, after=str(after), limit=size + 1)
    reply: Reply = {
        "stateMachines": [
            {
                "stateMachineArn": each.machine.arn,
                "name": each.machine.name,
                "type": each.machine.type,
                "creationDate": each.machine.created_ms / 1000,
            }
            for each in found[:size]
        ]
    }
    more = len(found) > size
    return reply | ({"nextToken": make_token(question, found[size - 1].machine.name)} if more else {})


ACTIONS: Final[Mapping[str, Action]] = {
    "CreateStateMachine": create_state_machine,
    "UpdateStateMachine": update_state_machine,
    "DeleteStateMachine": delete_state_machine,
    "DescribeStateMachine": describe_state_machine,
    "DescribeStateMachineForExecution": describe_state_machine_for_execution,
    "ListStateMachines": list_state_machines,
}
