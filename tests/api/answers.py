"""A Step Functions client that holds every answer against the service model, which boto3 itself does not."""

import json
from typing import Any

import boto3
from botocore.config import Config

_TYPES: dict[str, tuple[type, ...]] = {
    "string": (str,),
    "integer": (int,),
    "long": (int,),
    "float": (int, float),
    "double": (int, float),
    "timestamp": (int, float),
    "boolean": (bool,),
    "structure": (dict,),
    "list": (list,),
    "map": (dict,),
}


def sfn(url: str, *, account: str = "123456789012", region: str = "us-east-1") -> Any:
    """The client, of an account and a region."""
    client = boto3.client(
        "stepfunctions",
        endpoint_url=url,
        region_name=region,
        aws_access_key_id=account,
        aws_secret_access_key="any",
        config=Config(retries={"total_max_attempts": 1}, inject_host_prefix=False),
    )
    client.meta.events.register("before-parse.stepfunctions", _check)
    return client


def _check(operation_model: Any, response_dict: dict[str, Any], **_: Any) -> None:
    if response_dict["status_code"] < 300 and operation_model.output_shape is not None:
        found = list(_faults(operation_model.output_shape, json.loads(response_dict["body"]), ""))
        assert not found, f"{operation_model.name} answers against the model: {found}"


def _faults(shape: Any, value: Any, place: str) -> list[str]:
    kind, types = shape.type_name, _TYPES[shape.type_name]
    fits: bool = isinstance(value, types)
    if not fits or (isinstance(value, bool) and kind != "boolean"):
        return [f"{place} is {value!r}, no {kind}"]
    if kind == "structure":
        unknown = [f"{place} has {name}" for name in value.keys() - shape.members.keys()]
        missing = [f"{place} lacks {name}" for name in shape.required_members if name not in value]
        inner = [
            fault
            for name, each in value.items()
            if name in shape.members
            for fault in _faults(shape.members[name], each, f"{place}.{name}")
        ]
        return unknown + missing + inner
    if kind == "list":
        return [fault for each in value for fault in _faults(shape.member, each, f"{place}[]")]
    if kind == "map":
        return [fault for each in value.values() for fault in _faults(shape.value, each, f"{place}{{}}")]
    if shape.metadata.get("enum") and value not in shape.metadata["enum"]:
        return [f"{place} is {value!r}, none of {shape.metadata['enum']}"]
    return []
