"""What the pool's supervisor keeps: jobs, the workers they run in, and why a worker was killed."""

import uuid
from dataclasses import dataclass, field
from enum import Enum, auto

from etl_runner.tasks.contract import Invocation, Sink
from etl_runner.tasks.functions import FunctionSpec
from etl_runner.tasks.worker_process import WorkerProcess


@dataclass(slots=True, kw_only=True, eq=False)
class Job:
    """One invocation on its way through the pool. `arguments` is JSON text."""

    spec: FunctionSpec
    invocation: Invocation
    sink: Sink
    task: str
    arguments: bytes
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    closed: bool = False


class Doom(Enum):
    """Why the supervisor has killed a worker."""

    TIMEOUT = auto()
    START = auto()
    SILENT = auto()  # cancelled, retired or closing: nobody wants to hear of it
    GARBLED = auto()


@dataclass(slots=True, eq=False)
class Slot:
    """A worker and what it is doing. `limit_s` is on the monotonic clock."""

    worker: WorkerProcess
    search_path: str
    job: Job | None
    ready: bool = False
    limit_s: float = float("inf")
    doom: Doom | None = None
    outdated: bool = False
