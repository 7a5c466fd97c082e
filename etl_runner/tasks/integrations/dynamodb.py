"""`dynamodb:getItem`, `putItem`, `updateItem` and `deleteItem`: one item of a table."""

import re
from typing import Final

from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_optimised import Action, Given, Optimised, Service
from etl_runner.tasks.integration import Integration, ServiceCall

SERVICE = Service(name="dynamodb", boto3_name="dynamodb", title="DynamoDB", long_title="AmazonDynamoDBv2")
_TABLE: Final = re.compile(r"[a-zA-Z0-9_.-]+")


def prepare(given: Given, _call: ServiceCall) -> Given:
    """Refuse a table name that none can have, in the service's words. Raises StatesError."""
    table = given.get("TableName")
    if isinstance(table, str) and not table.startswith("arn:") and not _TABLE.fullmatch(table):
        message = (
            f"1 validation error detected: Value '{table}' at 'tableName' failed to satisfy constraint: "
            f"Member must satisfy regular expression pattern: {_TABLE.pattern}"
        )
        raise aws_faults.v1(
            "DynamoDB.AmazonDynamoDBException", message, SERVICE, status=400, code="ValidationException"
        )
    return given


INTEGRATION: Integration = Optimised(
    SERVICE,
    "Read, write, change or delete an item of a DynamoDB table",
    *(Action(name=name, prepare=prepare) for name in ("getItem", "putItem", "updateItem", "deleteItem")),
)
