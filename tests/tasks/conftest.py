"""A sink, services over moto, and a pool whose end is looked after."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from etl_runner.aws import AwsAccess
from etl_runner.jsontypes import Json
from etl_runner.tasks.contract import Failed, Succeeded
from etl_runner.tasks.integration import PREFIX
from etl_runner.tasks.services import Services
from etl_runner.tasks.workers import WorkerPool
from tests.tasks.collector import Collector, invoke

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


@pytest.fixture
def services(aws: AwsAccess) -> Iterator[Services]:
    made = Services(aws)
    yield made
    made.close(10)


@pytest.fixture
def run(services: Services, sink: Collector) -> Any:
    def do(resource: str, parameters: Json, **more: Any) -> Succeeded | Failed:
        job = invoke(parameters, resource=PREFIX + resource, **more)
        services.start(job, sink)
        outcome = sink.wait(job.token)
        assert isinstance(outcome, Succeeded | Failed)
        return outcome

    return do


def _open_files() -> int:
    return len(list(FDS.iterdir())) if FDS.exists() else 0


def _is_worker(process: psutil.Process) -> bool:
    try:
        return process.status() == psutil.STATUS_ZOMBIE or "worker_main" in " ".join(process.cmdline())
    except psutil.NoSuchProcess:
        return False
