"""`arn:aws:states:::sns:publish`: a message to a topic, an endpoint or a phone."""

from etl_runner.jsontypes import Json
from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_optimised import Optimised
from etl_runner.tasks.aws_shapes import json_text
from etl_runner.tasks.integration import Integration

_FIELDS = (
    "Message",
    "MessageAttributes",
    "MessageDeduplicationId",
    "MessageGroupId",
    "MessageStructure",
    "PhoneNumber",
    "Subject",
    "TargetArn",
    "TopicArn",
)


def prepare(given: dict[str, Json]) -> dict[str, Json]:
    """Make text of a message that is none. Raises StatesError when there is no message."""
    if "Message" not in given:
        raise aws_faults.v1(
            "SNS.InvalidParameterException",
            "Invalid parameter: Empty message",
            "SNS",
            status=400,
            code="InvalidParameter",
        )
    return {**given, "Message": json_text(given["Message"])}


INTEGRATION: Integration = Optimised(
    "sns:publish",
    "Publish a message to an SNS topic; a message that is no text is sent as its JSON",
    service="sns",
    operation="Publish",
    title="SNS",
    fields=_FIELDS,
    required=("Message",),
    prepare=prepare,
)
