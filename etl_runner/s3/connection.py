"""The S3 client that task code gets when it brings none, built from the process environment."""

import os
from functools import lru_cache
from typing import Any

from etl_runner.aws import AwsAccess


def client() -> Any:
    """The S3 client of this process's environment (AWS_ENDPOINT_URL_S3, AWS_ENDPOINT_URL, keys, region)."""
    endpoint = os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL")
    # A forked child must not share its parent's connections, hence the process id.
    return _access(os.getpid(), endpoint, os.environ.get("AWS_ACCESS_KEY_ID")).client("s3")


@lru_cache(maxsize=8)
def _access(process_id: int, endpoint: str | None, access_key_id: str | None) -> AwsAccess:
    """Keyed by what tells one environment from another; boto3 itself reads the keys and the region."""
    del process_id, access_key_id
    return AwsAccess(endpoint_urls={"s3": endpoint} if endpoint else {})
