"""Functions that the samples call and that do more than give one answer; copied to where the program runs.

They reach AWS as any function does: through the variables of the SDK.
"""

import base64
import json
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3

Json = Any

_seen: Counter[str] = Counter()


def echo(event: Json, context: Any) -> Json:
    """The event itself."""
    return event


class CustomError(Exception):
    """What the tutorial's function raises."""


class HandledError(Exception):
    """What a function raises that is to be called again."""


def fail_custom(event: Json, context: Any) -> Json:
    """The tutorial's FailFunction."""
    raise CustomError("This is a custom error!")


def fail_any(event: Json, context: Any) -> Json:
    """A function that breaks."""
    raise ValueError("no number")


def outlast(event: Json, context: Any) -> Json:
    """Answer later than the two seconds that the state waits."""
    time.sleep(3)
    return "too late"


def add(event: Json, context: Any) -> Json:
    """The sum of two numbers."""
    return event["val1"] + event["val2"]


def not_yet(event: Json, context: Any) -> Json:
    """Raise at the first call of an execution, then give the event."""
    _seen[context.execution_arn] += 1
    if _seen[context.execution_arn] == 1:
        raise HandledError("still under way")
    return event


def reserve(event: Json, context: Any) -> Json:
    """Reserve a product; the rare one is not there when it is asked for first."""
    key = f"{context.execution_arn}/{event['product_id']}"
    _seen[key] += 1
    rare = event["product_id"] == "rare" and _seen[key] == 1
    return event | {"reservation_status": "temporarily-unavailable" if rare else "reserved"}


def ask_for_approval(event: Json, context: Any) -> Json:
    """Put the token where people who approve look; the sample sends a mail with it."""
    sqs = boto3.client("sqs", region_name="us-east-1")
    url = sqs.get_queue_url(QueueName=event["input"]["inbox"])["QueueUrl"]
    sqs.send_message(QueueUrl=url, MessageBody=json.dumps(event))
    return "mail sent"


def statistics(event: Json, context: Any) -> Json:
    """Count characters of a text."""
    return {"text": event["text"], "characters": len(event["text"])}


def decode(event: Json, context: Any) -> Json:
    """Decode the body of the first SQS message."""

    return {"text": base64.b64decode(event[0]["body"]).decode()}


def clean(event: Json, context: Any) -> Json:
    """Leave letters, digits and spaces."""
    return {"text": "".join(each for each in event["text"] if each.isalnum() or each == " ")}


def count_words(event: Json, context: Any) -> Json:
    """How often each word is there."""
    return {"words": Counter(event["text"].lower().split())}


def first_two_quick(event: Json, context: Any) -> Json:
    """Work of which all but two pieces take long."""
    _seen[context.execution_arn] += 1
    if _seen[context.execution_arn] > 2:
        time.sleep(2)
    return event


def second_agent_quick(event: Json, context: Any) -> Json:
    """An agent's result; only agent 2 has one at once."""
    if event["agent_id"] != 2:
        time.sleep(2)
    return event | {"result": f"found by {event['approach']}"}


def evaluate(event: Json, context: Any) -> Json:
    """Be sure of whatever an agent has found."""
    return event | {"confidence_score": 0.9, "threshold_met": "found" in event["result"]}


def batch(event: Json, context: Any) -> Json:
    """One of the batches that were made."""
    return {"tests-to-run": [f"test of batch {event['batch_id']}"], "batchnumber": event["batch_id"]}


def as_today(event: Json, context: Any) -> Json:
    """An event of the past, to be sent in a second."""
    soon = datetime.now(UTC) + timedelta(seconds=1)
    return {"process": True, "time": soon.isoformat(timespec="seconds"), "event": event}
