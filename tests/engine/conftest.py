from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog

from etl_runner.aws import AwsAccess
from etl_runner.clock import SystemClock
from tests.engine.harness import World, worlds


@pytest.fixture(autouse=True, scope="session")
def plain_logs() -> Iterator[None]:
    """Tests provoke faults; structlog's own way of drawing a traceback takes seconds for each."""
    renderer = structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback)
    structlog.configure(processors=[structlog.processors.add_log_level, renderer])
    yield
    structlog.reset_defaults()


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
