"""`sns:publish`: a message to a topic, an endpoint or a phone."""

from typing import Any

from etl_runner.errors import StatesError
from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_optimised import WITH_CALLBACK, Action, Given, Optimised, Service
from etl_runner.tasks.aws_shapes import json_text
from etl_runner.tasks.integration import Integration, ServiceCall

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
SERVICE = Service(name="sns", boto3_name="sns", title="SNS", long_title="AmazonSNS")


def prepare(given: Given, _call: ServiceCall) -> Given:
    """Make text of a message that is none. Raises StatesError when there is no message."""
    if "Message" not in given:
        raise aws_faults.v1(
            "SNS.InvalidParameterException",
            "Invalid parameter: Empty message",
            SERVICE,
            status=400,
            code="InvalidParameter",
        )
    return {**given, "Message": json_text(given["Message"])}


def refused(fault: Any, call: ServiceCall) -> StatesError | None:
    """Call a topic that does not exist what AWS calls it: stand-ins know only endpoints that do not."""
    error, metadata = fault.response.get("Error", {}), fault.response.get("ResponseMetadata", {})
    if error.get("Code") != "NotFound" or not call.arguments.get("TopicArn"):
        return None
    return aws_faults.v1(
        "SNS.NotFoundException",
        "Topic does not exist",
        SERVICE,
        status=metadata.get("HTTPStatusCode", 404),
        code="NotFound",
        request_id=metadata.get("RequestId"),
    )


INTEGRATION: Integration = Optimised(
    SERVICE,
    "Publish a message to an SNS topic; a message that is no text is sent as its JSON",
    Action(
        name="publish",
        forms=WITH_CALLBACK,
        fields=_FIELDS,
        required=("Message",),
        prepare=prepare,
        refused=refused,
    ),
)
