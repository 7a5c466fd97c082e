"""Activities: registered by whoever runs workers, whose tasks the workers fetch."""

from collections.abc import Mapping
from typing import Final

from etl_runner.api.edge import blocking
from etl_runner.api.sfn.arns import read_arn
from etl_runner.api.sfn.call import Action, Call, Reply
from etl_runner.api.sfn.errors import AwsError
from etl_runner.api.sfn.names import check_name
from etl_runner.api.sfn.paging import make_token, page_size, place_of
from etl_runner.api.sfn.tagging import tags_of
from etl_runner.api.sfn.waiting import unless_left
from etl_runner.arn import activity_arn
from etl_runner.jsontypes import Json, dumps_text, loads
from etl_runner.store.activities import Activities, ActivityRow

AWS_OWNED: Final[Json] = {"type": "AWS_OWNED_KEY"}


def create_activity(call: Call) -> Reply:
    """CreateActivity: of a name that is registered, the activity that has it."""
    given = call.parameters
    check_name(given["name"])
    tags = tags_of(given.get("tags", ()), call.rooms.limits.tags)
    encryption = given.get("encryptionConfiguration")
    arn = activity_arn(given["name"], account=call.account, region=call.region)
    wanted = ActivityRow(
        arn=arn,
        name=given["name"],
        created_ms=call.now_ms,
        encryption=None if encryption is None or encryption == AWS_OWNED else dumps_text(encryption),
    )
    registry = Activities(call.rooms.store)
    is_new = registry.get(arn) is None
    if is_new and registry.count(arn.removesuffix(given["name"])) >= call.rooms.limits.activities:
        raise AwsError("ActivityLimitExceeded", "The maximum number of activities has been reached.")
    created = registry.create(wanted, tags)
    if created.encryption != wanted.encryption:
        raise AwsError(
            "ActivityAlreadyExists",
            "Activity already exists. EncryptionConfiguration may not be updated.",
        )
    return {"activityArn": created.arn, "creationDate": created.created_ms / 1000}


def describe_activity(call: Call) -> Reply:
    """DescribeActivity."""
    row = _find(call)
    encryption = AWS_OWNED if row.encryption is None else loads(row.encryption)
    return {**_listed(row), "encryptionConfiguration": encryption}


def list_activities(call: Call) -> Reply:
    """ListActivities: those of the caller's account and region, by name."""
    size = page_size(call.parameters)
    mine = activity_arn("", account=call.account, region=call.region)
    after = place_of(call.parameters.get("nextToken"), mine, str) or ""
    rows = Activities(call.rooms.store).page(limit=size + 1, after=str(after), prefix=mine)
    reply: Reply = {"activities": [_listed(row) for row in rows[:size]]}
    return reply | ({"nextToken": make_token(mine, rows[size - 1].arn)} if len(rows) > size else {})


def delete_activity(call: Call) -> Reply:
    """DeleteActivity: also of one that is not there."""
    arn = call.parameters["activityArn"]
    read_arn(arn, "activity")
    Activities(call.rooms.store).delete(arn)
    return {}


POLL_S: Final = 55.0
"""How long GetActivityTask waits: AWS says up to 60 s, after which botocore's clients no longer listen."""


async def get_activity_task(call: Call) -> Reply:
    """GetActivityTask: the oldest task that no worker has; an empty answer after a minute without one."""
    given = call.parameters
    row = await blocking(_find, call)
    poll = call.rooms.engine.poll_activity(row.arn, given.get("workerName"), timeout_s=POLL_S)
    task = await unless_left(call, poll)
    return {"taskToken": None} if task is None else {"taskToken": task.task_token, "input": task.input}


def _find(call: Call) -> ActivityRow:
    arn = call.parameters["activityArn"]
    read_arn(arn, "activity")
    found = Activities(call.rooms.store).get(arn)
    if found is None:
        raise AwsError("ActivityDoesNotExist", f"Activity Does Not Exist: '{arn}'")
    return found


def _listed(row: ActivityRow) -> Reply:
    return {"activityArn": row.arn, "name": row.name, "creationDate": row.created_ms / 1000}


ACTIONS: Final[Mapping[str, Action]] = {
    "CreateActivity": create_activity,
    "DescribeActivity": describe_activity,
    "ListActivities": list_activities,
    "DeleteActivity": delete_activity,
    "GetActivityTask": get_activity_task,
}
