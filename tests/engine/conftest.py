from collections.abc import Iterator
from pathlib import Path

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.clock import SystemClock
from tests.engine.harness import World, worlds


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    """An engine without a thread, with a clock that the test moves."""
    yield from worlds(tmp_path)


@pytest.fixture
def aws_world(tmp_path: Path, aws: AwsAccess) -> Iterator[World]:
    """The same with S3 (moto)."""
    yield from worlds(tmp_path, aws=aws)


@pytest.fixture
def running(tmp_path: Path) -> Iterator[World]:
    """An engine with its thread, in real time."""
    for world in worlds(tmp_path, clock=SystemClock()):
        world.engine._thread.start()
        yield world
