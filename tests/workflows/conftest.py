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


@pytest.fixture
def worker(aws: AwsAccess, monkeypatch: pytest.MonkeyPatch) -> Iterator[AwsAccess]:
    """The environment in which a worker process runs a function; its clients are closed behind it."""
    for name, value in aws.environment().items():
        monkeypatch.setenv(name, value)
    made: list[Any] = []
    make = boto3.client

    def recorded(*args: Any, **kwargs: Any) -> Any:
        made.append(make(*args, **kwargs))
        return made[-1]

    monkeypatch.setattr(boto3, "client", recorded)
    yield aws
    for client in made:
        client.close()
