"""A sink, and a pool whose end is looked after."""

from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from etl_runner.tasks.workers import WorkerPool
from tests.tasks.collector import Collector

FDS = Path("/proc/self/fd")


@pytest.fixture
def sink() -> Collector:
    return Collector()


@pytest.fixture
def pool() -> Iterator[WorkerPool]:
    """A pool of two workers that leaves no process and no open file behind."""
    before = _open_files()
    made = WorkerPool(2)
    yield made
    made.close(0)

    left = [child for child in psutil.Process().children(recursive=True) if _is_worker(child)]
    assert left == []
    assert _open_files() <= before


def _open_files() -> int:
    return len(list(FDS.iterdir())) if FDS.exists() else 0


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE or "worker_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
