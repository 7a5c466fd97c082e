"""What stand-ins for AWS (moto and its like) leave out of answers or add to them, set right.

Each rule says what AWS always does, so that answers of AWS itself stay as they are.
"""

from collections.abc import Mapping
from typing import Any, Final

_S3_OBJECTS: Final = frozenset({"GetObject", "HeadObject", "PutObject", "CopyObject"})
_DYNAMODB_WRITES: Final = frozenset({"PutItem", "UpdateItem", "DeleteItem"})


def set_right(service: str, operation: str, parameters: Mapping[str, Any], answer: dict[str, Any]) -> None:
    """Change an answer of boto3 to what AWS would have answered. `service` is boto3's name."""
    if service == "s3" and operation in _S3_OBJECTS:
        # S3 encrypts every object since 2023, and says so.
        answer.setdefault("ServerSideEncryption", "AES256")
    if service == "dynamodb":
        if parameters.get("ReturnConsumedCapacity", "NONE") == "NONE":
            answer.pop("ConsumedCapacity", None)
        if operation in _DYNAMODB_WRITES and parameters.get("ReturnValues", "NONE") == "NONE":
            answer.pop("Attributes", None)
