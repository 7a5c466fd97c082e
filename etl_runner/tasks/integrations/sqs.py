"""`sqs:sendMessage`: a message to a queue."""

from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_optimised import WITH_CALLBACK, Action, Given, Optimised, Service
from etl_runner.tasks.aws_shapes import json_text
from etl_runner.tasks.integration import Integration, ServiceCall

_FIELDS = (
    "DelaySeconds",
    "MessageAttributes",
    "MessageBody",
    "MessageDeduplicationId",
    "MessageGroupId",
    "QueueUrl",
)
_REQUIRED = ("MessageBody", "QueueUrl")
SERVICE = Service(name="sqs", boto3_name="sqs", title="SQS", long_title="AmazonSQS")


def prepare(given: Given, _call: ServiceCall) -> Given:
    """Make text of a body that is none. Raises StatesError when body or queue is missing."""
    for name in _REQUIRED:
        if name not in given:
            message = f"The request must contain the parameter {name}."  # recorded on AWS
            raise aws_faults.v1(
                "SQS.AmazonSQSException", message, SERVICE, status=400, code="MissingParameter"
            )
    return {**given, "MessageBody": json_text(given["MessageBody"])}


INTEGRATION: Integration = Optimised(
    SERVICE,
    "Send a message to an SQS queue; a body that is no text is sent as its JSON",
    Action(name="sendMessage", forms=WITH_CALLBACK, fields=_FIELDS, required=_REQUIRED, prepare=prepare),
)
