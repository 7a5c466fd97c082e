"""Aliases: names for one or two versions, with the weights of each."""

from collections.abc import Mapping, Sequence
from typing import Final

from etl_runner.api.sfn.arns import read_arn
from etl_runner.api.sfn.call import Action, Call, Reply
from etl_runner.api.sfn.errors import AwsError, invalid_token, validation_error
from etl_runner.api.sfn.machine_refs import does_not_exist, machine_arn, refused_change
from etl_runner.api.sfn.paging import make_token, page_size, place_of
from etl_runner.engine.machine_shapes import version_number
from etl_runner.errors import Conflict, NotFound
from etl_runner.jsontypes import Json
from etl_runner.store.state_machines import Alias

_WHOLE: Final = 100


def create_state_machine_alias(call: Call) -> Reply:
    """CreateStateMachineAlias: the same again gives the same answer."""
    given = call.parameters
    of_machine, routing = _routing(given["routingConfiguration"])
    machines = call.rooms.state_machines
    if machines.find(of_machine) is None:
        raise does_not_exist(of_machine)
    try:
        with refused_change(of_machine):
            _check_versions(call, of_machine, routing)
            description = given.get("description", "")
            alias = machines.create_alias(of_machine, given["name"], description, routing)
    except Conflict:
        raise AwsError(
            "ConflictException",
            "Failed to create alias because an alias with the same name and a different routing "
            "configuration already exists.",
        ) from None
    return {"stateMachineAliasArn": alias.arn, "creationDate": alias.created_ms / 1000}


def update_state_machine_alias(call: Call) -> Reply:
    """UpdateStateMachineAlias."""
    given = call.parameters
    arn = given["stateMachineAliasArn"]
    description, routing = given.get("description"), None
    alias = _find(call, arn)
    if "routingConfiguration" in given:
        of_machine, routing = _routing(given["routingConfiguration"])
        if of_machine != alias.machine_arn:
            raise validation_error(f"Routing configuration must contain versions of {alias.machine_arn}.")
        _check_versions(call, of_machine, routing)
    elif description is None:
        message = "Either the description or the RoutingConfiguration must be specified"
        raise validation_error(message, "MISSING_REQUIRED_PARAMETER")
    try:
        fresh = call.rooms.state_machines.update_alias(arn, description=description, routing=routing)
    except NotFound:
        raise _not_found() from None
    return {"updateDate": fresh.updated_ms / 1000}


def describe_state_machine_alias(call: Call) -> Reply:
    """DescribeStateMachineAlias."""
    alias = _find(call, call.parameters["stateMachineAliasArn"])
    shown: Reply = {
        "stateMachineAliasArn": alias.arn,
        "name": alias.name,
        "routingConfiguration": [
            {"stateMachineVersionArn": f"{alias.machine_arn}:{number}", "weight": weight}
            for number, weight in alias.routing
        ],
        "creationDate": alias.created_ms / 1000,
        "updateDate": alias.updated_ms / 1000,
    }
    return shown | ({"description": alias.description} if alias.description else {})


def list_state_machine_aliases(call: Call) -> Reply:
    """ListStateMachineAliases: those of a state machine, or those that lead to a version of it."""
    given, machines = call.parameters, call.rooms.state_machines
    arn = given["stateMachineArn"]
    named = machine_arn(arn)
    try:
        found = machines.get(arn)
    except NotFound:
        raise does_not_exist(arn) from None
    size, question = page_size(given), ["ListStateMachineAliases", arn]
    after = place_of(given.get("nextToken"), question, int) or 0
    if not isinstance(after, int):
        raise invalid_token()
    aliases = [each for each in machines.aliases(found.machine.arn) if each.id > after]
    if len(named.names) > 1 and found.version is not None:
        aliases = [each for each in aliases if found.version.number in dict(each.routing)]
    reply: Reply = {
        "stateMachineAliases": [
            {"stateMachineAliasArn": each.arn, "creationDate": each.created_ms / 1000}
            for each in aliases[:size]
        ]
    }
    more = len(aliases) > size
    return reply | ({"nextToken": make_token(question, aliases[size - 1].id)} if more else {})


def delete_state_machine_alias(call: Call) -> Reply:
    """DeleteStateMachineAlias: also of one that is not there."""
    arn = call.parameters["stateMachineAliasArn"]
    machine_arn(arn)
    call.rooms.state_machines.delete_alias(arn)
    return {}


def _find(call: Call, arn: str) -> Alias:
    read_arn(arn, "stateMachine")
    try:
        return call.rooms.state_machines.alias(arn)
    except NotFound:
        raise _not_found() from None


def _not_found() -> AwsError:
    return AwsError("ResourceNotFound", "Request references a resource that does not exist.")


def _routing(given: Sequence[Mapping[str, Json]]) -> tuple[str, list[tuple[int, int]]]:
    """The state machine whose versions are named, and (number, weight) of each. Raises AwsError."""
    arns = [each["stateMachineVersionArn"] for each in given]
    weights = [each["weight"] for each in given]
    shown = f"Received: [{', '.join(arns)}]"
    if len(set(arns)) < len(arns):
        raise validation_error(
            f"Routing configuration must contain distinct state machine version ARNs. {shown}"
        )
    named = [read_arn(arn, "stateMachine").names for arn in arns]
    numbers = [version_number(names[1]) if len(names) == 2 else None for names in named]
    if None in numbers:
        raise validation_error(f"Routing configuration must contain state machine version ARNs. {shown}")
    machines = {arn.rpartition(":")[0] for arn in arns}
    if len(machines) > 1:
        raise validation_error(f"Routing configuration must contain versions of one state machine. {shown}")
    if sum(weights) != _WHOLE:
        raise validation_error(
            f"Sum of routing configuration weights must equal {_WHOLE}. Received: "
            f"[{', '.join(map(str, weights))}]"
        )
    routing = zip(numbers, weights, strict=True)
    return machines.pop(), [(number, weight) for number, weight in routing if number is not None]


def _check_versions(call: Call, of_machine: str, routing: Sequence[tuple[int, int]]) -> None:
    machines = call.rooms.state_machines
    if any(machines.version(of_machine, number) is None for number, _ in routing):
        raise _not_found()


ACTIONS: Final[Mapping[str, Action]] = {
    "CreateStateMachineAlias": create_state_machine_alias,
    "UpdateStateMachineAlias": update_state_machine_alias,
    "DescribeStateMachineAlias": describe_state_machine_alias,
    "ListStateMachineAliases": list_state_machine_aliases,
    "DeleteStateMachineAlias": delete_state_machine_alias,
}
