"""`arn:aws:states:::sqs:sendMessage`: a message to a queue."""

from etl_runner.jsontypes import Json
from etl_runner.tasks.aws_optimised import Optimised, missing_parameter
from etl_runner.tasks.aws_shapes import json_text
from etl_runner.tasks.integration import Integration

_FIELDS = (
    "DelaySeconds",
    "MessageAttributes",
    "MessageBody",
    "MessageDeduplicationId",
    "MessageGroupId",
    "QueueUrl",
)
_REQUIRED = ("MessageBody", "QueueUrl")


def prepare(given: dict[str, Json]) -> dict[str, Json]:
    """Make text of a body that is none. Raises StatesError when body or queue is missing."""
    for name in _REQUIRED:
        if name not in given:
            raise missing_parameter("SQS", name)
    return {**given, "MessageBody": json_text(given["MessageBody"])}


INTEGRATION: Integration = Optimised(
    "sqs:sendMessage",
    "Send a message to an SQS queue; a body that is no text is sent as its JSON",
    service="sqs",
    operation="SendMessage",
    title="SQS",
    fields=_FIELDS,
    required=_REQUIRED,
    prepare=prepare,
)
