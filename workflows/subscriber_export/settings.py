"""Where this workflow finds its things: the worker's environment, and the private configuration in S3."""

import os
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from etl_runner.jsontypes import loads
from etl_runner.s3 import client
from workflows.subscriber_export.errors import InvalidConfiguration

CONFIG_KEY: Final = "subscriber_export/fulfilment.private.json"
"""URL and credentials of Zuora and the output folders, in the configuration bucket."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Private:
    """The configuration object. Its password appears in no repr, no output and no error."""

    zuora_url: str
    zuora_user: str
    zuora_password: str = field(repr=False)
    home_delivery_folder: str
    weekly_folders: Mapping[str, str]


def required(name: str) -> str:
    """A variable that has no sensible default. Raises InvalidConfiguration when it is not set."""
    value = os.environ.get(name, "")
    if not value:
        raise InvalidConfiguration(f"{name} is not set in the service's environment; see README.md")
    return value


def seconds(name: str, default: int) -> int:
    """A whole number of seconds, 0 or more. Raises InvalidConfiguration."""
    text = os.environ.get(name) or str(default)
    if not text.isdecimal():
        raise InvalidConfiguration(f"{name} is {text!r}; it must be a whole number of seconds")
    return int(text)


def private() -> Private:
    """Read the configuration object anew; nothing of it is kept. Raises InvalidConfiguration."""
    bucket = required("ETL_CONFIG_BUCKET")
    place = f"s3://{bucket}/{CONFIG_KEY}"
    text = client().get_object(Bucket=bucket, Key=CONFIG_KEY)["Body"].read()
    try:
        value: Any = loads(text)
        zuora, folders = value["zuora"], value["folders"]
        return Private(
            zuora_url=(os.environ.get("ETL_ZUORA_URL") or zuora["url"]).rstrip("/"),
            zuora_user=zuora["user"],
            zuora_password=zuora["password"],
            home_delivery_folder=folders["homeDelivery"],
            weekly_folders=dict(folders["weekly"]),
        )
    except (ValueError, TypeError, AttributeError):
        problem = "is not a JSON object of the expected form"
    except KeyError as missing:
        problem = f"lacks {missing}"
    # Raised out here: the exception above may hold a piece of the text, and with it a password.
    raise InvalidConfiguration(f"{place} {problem}; README.md shows its form")
