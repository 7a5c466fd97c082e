"""What the tests of the workflows' functions share: the environment of a worker, and a function's context.

The functions are called one at a time, as a worker calls them; what the state machines make of them is
tested with the engine.
"""

import uuid
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import boto3
import pytest

from etl_runner.aws import AwsAccess
from etl_runner.demo.seed import DemoStores, seed_stores
from etl_runner.s3 import connection as clients_of_s3
from tests.conftest import access_to
from workflows.ebs_snapshot_rotation import ec2 as clients_of_ec2


@dataclass
class TaskContext:
    """Of a function's context what the workflows use. A second hand-out has the same idempotency key."""

    idempotency_key: str = field(default_factory=lambda: uuid.uuid4().hex)
    execution_arn: str = "arn:aws:states:us-east-1:123456789012:execution:test:run"
    state_name: str = "Test"
    attempt: int = 1
    reported: list[tuple[float, float | None, str]] = field(default_factory=list)

    def progress(self, done: float, total: float | None = None, note: str = "") -> None:
        self.reported.append((done, total, note))

    def get_remaining_time_in_millis(self) -> int:
        return 300_000


@pytest.fixture
def context() -> TaskContext:
    return TaskContext()


@pytest.fixture(scope="session")
def moto_access(moto_url: str) -> Iterator[AwsAccess]:
    """moto, for all tests of the workflows. Their clients live as long, since making one takes a while.

    moto is not emptied between these tests: that takes longer than most of them. Each uses names of its own.
    """
    aws, made = access_to(moto_url), list[Any]()
    make = boto3.session.Session.client

    def recorded(session: Any, *args: Any, **kwargs: Any) -> Any:
        made.append(make(session, *args, **kwargs))
        return made[-1]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(boto3.session.Session, "client", recorded)
        yield aws
    clients_of_s3._access.cache_clear()
    clients_of_ec2._client.cache_clear()
    for client in made:
        client.close()


@pytest.fixture
def worker(moto_access: AwsAccess, monkeypatch: pytest.MonkeyPatch) -> AwsAccess:
    """The environment in which a worker process runs a function."""
    for name, value in moto_access.environment().items():
        monkeypatch.setenv(name, value)
    return moto_access


@pytest.fixture
def world(worker: AwsAccess, monkeypatch: pytest.MonkeyPatch) -> DemoStores:
    """The buckets, configuration and topic of the demo, with their names in the worker's environment."""
    seeded = seed_stores(worker, prefix=f"test-{uuid.uuid4().hex[:12]}")
    for name, value in seeded.environment().items():
        monkeypatch.setenv(name, value)
    return seeded


@dataclass(frozen=True)
class Stored:
    """The versions of all objects of a bucket: what a second run must not change."""

    client: Any
    bucket: str

    def versions(self, prefix: str = "") -> dict[str, list[str]]:
        found: dict[str, list[str]] = {}
        pages = self.client.get_paginator("list_object_versions").paginate(Bucket=self.bucket, Prefix=prefix)
        for page in pages:
            for version in page.get("Versions", []):
                found.setdefault(version["Key"], []).append(version["VersionId"])
        return found

    def keys(self, prefix: str = "") -> list[str]:
        return sorted(self.versions(prefix))

    def bytes(self, key: str) -> bytes:
        return bytes(self.client.get_object(Bucket=self.bucket, Key=key)["Body"].read())

    def head(self, key: str) -> dict[str, Any]:
        return dict(self.client.head_object(Bucket=self.bucket, Key=key))
