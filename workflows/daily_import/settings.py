"""Where this workflow finds its things, from the environment of the worker."""

import os
from typing import Final

from workflows.daily_import.errors import InvalidConfiguration

SOURCES_KEY: Final = "daily_import/sources.json"
"""The list of sources, in the configuration bucket."""


def required(name: str) -> str:
    """A variable that has no sensible default. Raises InvalidConfiguration when it is not set."""
    value = os.environ.get(name, "")
    if not value:
        raise InvalidConfiguration(
            f"{name} is not set in the service's environment; see README.md of daily_import"
        )
    return value


def buckets_and_topic() -> dict[str, str]:
    """What every state of one execution must see alike, in the form in which it travels in the state."""
    return {
        "rawBucket": required("ETL_RAW_BUCKET"),
        "resourcesBucket": required("ETL_RESOURCES_BUCKET"),
        "topicArn": required("ETL_TOPIC_ARN"),
    }
