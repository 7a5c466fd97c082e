"""Tags of state machines and activities."""

from collections.abc import Mapping
from typing import Final

from etl_runner.api.sfn.arns import read_arn
from etl_runner.api.sfn.call import Action, Call, Reply
from etl_runner.api.sfn.errors import AwsError
from etl_runner.api.sfn.tagging import tags_of, too_many_tags
from etl_runner.engine.machine_shapes import QuotaReached
from etl_runner.store.activities import Activities


def tag_resource(call: Call) -> Reply:
    """TagResource."""
    most = call.rooms.limits.tags
    arn, tags = _resource(call), tags_of(call.parameters["tags"], most)
    try:
        call.rooms.state_machines.set_tags(arn, tags, most=most)
    except QuotaReached:
        raise too_many_tags() from None
    return {}


def untag_resource(call: Call) -> Reply:
    """UntagResource: also of keys that the resource does not have."""
    call.rooms.state_machines.set_tags(_resource(call), {}, remove=call.parameters["tagKeys"])
    return {}


def list_tags_for_resource(call: Call) -> Reply:
    """ListTagsForResource."""
    tags = call.rooms.state_machines.tags(_resource(call))
    return {"tags": [{"key": key, "value": value} for key, value in tags.items()]}


def _resource(call: Call) -> str:
    """The ARN of a thing that may have tags, which versions and aliases may not. Raises AwsError."""
    arn: str = call.parameters["resourceArn"]
    named = read_arn(arn, "stateMachine", "activity")
    rooms = call.rooms
    if named.kind == "activity":
        found = Activities(rooms.store).get(arn) is not None
    else:
        found = rooms.state_machines.find(arn) is not None
    if not found:
        raise AwsError("ResourceNotFound", f"Resource not found: '{arn}'")
    return arn


ACTIONS: Final[Mapping[str, Action]] = {
    "TagResource": tag_resource,
    "UntagResource": untag_resource,
    "ListTagsForResource": list_tags_for_resource,
}
