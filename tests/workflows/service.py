"""The whole service for the tests of the workflows: in this process, or as a child that can be killed."""

import http.client
import itertools
import json
import multiprocessing
import re
import shutil
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil
import pytest

from etl_runner.api.operations import Operations
from etl_runner.aws import AwsAccess
from etl_runner.daemon import Service
from etl_runner.demo.demo_config import write_schedules
from etl_runner.demo.serving import QuietHandler, serving
from etl_runner.jsontypes import Json
from tests.conftest import close_clients
from tests.workflows.service_program import serve, settings_of

ROOT = Path(__file__).resolve().parents[2]
CONFIG = ROOT / "config"
PATIENCE_S = 40.0
LEAD_S = 1.5
"""How long before its due time a schedule is written: more than a look at the files and a whole second."""


def until(condition: Callable[[], Any], what: str, *, within_s: float = PATIENCE_S) -> Any:
    """Wait until the condition gives something true, and give that."""
    limit = time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > limit:
            pytest.fail(f"not within {within_s:g} s: {what}")
        time.sleep(0.01)
    return found


def write_schedule(config_dir: Path, name: str, workflow: str, given: Json, expression: str) -> None:
    """A schedules file of one schedule, there at once and whole."""
    entry = {"name": name, "workflow": workflow, "input": given, "expression": expression}
    fresh = config_dir / "schedules" / f".{name}.new"
    fresh.write_text(json.dumps({"schedules": [entry]}))  # JSON is YAML
    fresh.rename(fresh.with_name(f"{name}.yaml"))


def in_a_moment() -> str:
    """An expression that comes due when a running service has taken its file over."""
    return f"at({datetime.now(tz=UTC) + timedelta(seconds=LEAD_S):%Y-%m-%dT%H:%M:%S})"


# --- in this process --------------------------------------------------------------------------------------


@dataclass
class Running:
    """A running service with the repository's configuration, whose schedules fire when a test says so."""

    service: Service
    operations: Operations
    config_dir: Path
    _names: Iterator[int] = field(default_factory=itertools.count)

    def fire(self, schedule: str) -> dict[str, Any]:
        """Fire a schedule by hand and wait for the end of what it started."""
        return self.ended(self.operations.fire(schedule)["executionArn"])

    def run(self, workflow: str, given: Json) -> dict[str, Any]:
        """Have a schedule for this workflow and input, and fire it."""
        return self.fire(self.schedule(workflow, given))

    def schedule(self, workflow: str, given: Json) -> str:
        """Write a schedule while the service runs; gives its name once it was taken over."""
        name = f"test-{next(self._names)}"
        write_schedule(self.config_dir, name, workflow, given, "at(2099-01-01T00:00:00)")
        until(lambda: name in self.service.config.schedules, f"the schedule {name} was taken over")
        return name

    def run_at_due_time(self, *schedules: str) -> list[dict[str, Any]]:
        """Let shipped schedules come due in a moment, and wait for the end of what they started."""
        for name in schedules:
            self.operations.resume(name)
        write_schedules(CONFIG, self.config_dir, schedules, LEAD_S)
        arns = [until(partial(self._started, name), f"the schedule {name} fired") for name in schedules]
        return [self.ended(arn) for arn in arns]

    def _started(self, schedule: str) -> str | None:
        rows = [row for row in self.operations.ticks(schedule) if not row["fireId"]]
        return rows[0]["executionArn"] if rows else None

    def put(self, event: Json) -> list[dict[str, Any]]:
        """Put an event; gives what became of it under each rule that it matched."""
        (answer,) = self.operations.put_events([event])["events"]
        found: list[dict[str, Any]] = answer["matches"]
        return found

    def handle(self, event: Json) -> dict[str, Any]:
        """Put an event that matches one rule, and wait for the end of what it started."""
        (match,) = self.put(event)
        return self.ended(match["executionArn"])

    def ended(self, arn: str) -> dict[str, Any]:
        """The execution, once it has ended."""
        shown = self.operations.wait(arn, PATIENCE_S)
        assert shown["status"] != "RUNNING", shown
        return shown

    def executions(self, workflow: str) -> list[str]:
        """The ARNs of all executions of a workflow."""
        listed = self.operations.list_executions(workflow=workflow)["executions"]
        return [one["executionArn"] for one in listed]


@contextmanager
def running_service(folder: Path, aws: AwsAccess, environment: Mapping[str, str]) -> Iterator[Running]:
    """The service over a fresh store. On the way out: no worker is left."""
    config_dir = folder / "config"
    shutil.copytree(CONFIG, config_dir)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in {**aws.environment(), **environment}.items():
            patch.setenv(name, value)
        settings = settings_of(folder)  # the access goes by the environment, as it may in an installation
        before, after = _workers(), set[psutil.Process]()
        service = Service(settings, config_dir)
        service.open()
        try:
            operations = Operations(service)
            for schedule in service.config.schedules:
                operations.pause(schedule)
            yield Running(service, operations, config_dir)
            after = _workers()
        finally:
            service.close()
            close_clients(service.aws)
        assert psutil.wait_procs(after - before, timeout=5)[1] == []


def _workers() -> set[psutil.Process]:
    children = psutil.Process().children(recursive=True)
    return {one for one in children if "worker_main" in " ".join(one.cmdline())}


# --- as a child that can be killed ------------------------------------------------------------------------


@dataclass
class _Trap:
    pattern: re.Pattern[str]
    passing: int
    stored: bool
    sprung: threading.Event = field(default_factory=threading.Event)


@dataclass
class Tripwire:
    """An HTTP server's stand-in that passes requests on, until one springs the trap.

    Then `kill` is called: before the request is passed on, or after it was answered and before the answer
    is given to whoever asked. Those two are what a process that dies in the middle of a request may leave.
    """

    upstream: str
    url: str = ""
    kill: Callable[[], None] = lambda: None
    _trap: _Trap | None = None
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def set_trap(self, pattern: str, *, after: int = 0, stored: bool) -> threading.Event:
        """At the request whose method, path and first bytes match, after so many others that do.

        The event is set when the killing is done.
        """
        with self._lock:
            self._trap = _Trap(re.compile(pattern), after, stored)
            return self._trap.sprung

    def take_trap(self, request: str) -> _Trap | None:
        """The trap, when this request springs it; it springs once."""
        with self._lock:
            trap = self._trap
            if trap is None or not trap.pattern.search(request):
                return None
            if trap.passing:
                trap.passing -= 1
                return None
            self._trap = None
            return trap


@contextmanager
def tripwire(upstream: str) -> Iterator[Tripwire]:
    wire = Tripwire(upstream)

    class Handler(_Forwarder):
        tripwire = wire

    with serving(Handler) as url:
        wire.url = url
        yield wire


class _Forwarder(QuietHandler):
    tripwire: Tripwire
    close_connection: bool

    def _forward(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        trap = self.tripwire.take_trap(f"{self.command} {self.path} {body[:200].decode(errors='replace')}")
        if trap is None:
            self._answer(*self._ask(body))
            return
        if trap.stored:
            self._ask(body)
        self.tripwire.kill()
        self.close_connection = True
        trap.sprung.set()

    do_GET = do_PUT = do_POST = do_DELETE = do_HEAD = _forward  # noqa: N815 -- the base class's names

    def _ask(self, body: bytes) -> tuple[int, list[tuple[str, str]], bytes]:
        place = urlsplit(self.tripwire.upstream)
        assert place.hostname
        connection = http.client.HTTPConnection(place.hostname, place.port, timeout=PATIENCE_S)
        headers = {name: value for name, value in self.headers.items() if name.lower() != "expect"}
        try:
            connection.request(self.command, self.path, body, headers)
            with connection.getresponse() as answer:
                return answer.status, answer.getheaders(), answer.read()
        finally:
            connection.close()

    def _answer(self, status: int, headers: Sequence[tuple[str, str]], body: bytes) -> None:
        self.send_response_only(status)
        for name, value in headers:
            if name.lower() not in {"connection", "transfer-encoding", "content-length"}:
                self.send_header(name, value)
        told = [value for name, value in headers if name.lower() == "content-length"]
        self.send_header("Content-Length", told[0] if told and self.command == "HEAD" else str(len(body)))
        self.end_headers()
        self.wfile.write(body)


def _works(process: psutil.Process) -> bool:
    """Whether a process lives. A dead one stays in the table until its new parent, init, looks after it."""
    try:
        return bool(process.status() != psutil.STATUS_ZOMBIE)
    except psutil.NoSuchProcess:
        return False


_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(["pytest", "tests.workflows.service_program"])  # a second less per start


class Child:
    """The service in a process of its own (service_program.py), over a store that outlives it."""

    def __init__(self, folder: Path, aws: AwsAccess, environment: Mapping[str, str]) -> None:
        self.folder = folder
        self.config_dir = folder / "config"
        (self.config_dir / "schedules").mkdir(parents=True)
        shutil.copytree(CONFIG / "rules", self.config_dir / "rules")
        self.environment = {**aws.environment(), **environment}
        self.starts = 0
        self._process: BaseProcess | None = None
        self._line: Connection | None = None
        self._workers: list[psutil.Process] = []

    @property
    def log(self) -> str:
        return (self.folder / "log").read_text()

    @property
    def is_running(self) -> bool:
        return self._process is not None

    def start(self) -> None:
        """Start it and wait until it works."""
        self.starts += 1
        self._line, theirs = _context.Pipe()
        self._process = _context.Process(target=serve, args=(self.folder, self.environment, theirs))
        self._process.start()
        theirs.close()
        assert self._answer() == "ready"

    def ask(self, **command: Json) -> Any:
        """One command of service_program.py, and its answer."""
        assert self._line is not None
        self._line.send(command)
        return self._answer()

    def kill(self) -> None:
        """SIGKILL for the service alone; its workers must notice by themselves (see `orphans`)."""
        assert self._process is not None
        self._workers = psutil.Process(self._process.pid).children(recursive=True)
        self._process.kill()
        self._forget()

    def orphans(self) -> list[psutil.Process]:
        """What still works a few seconds later of the workers that a killed service had."""
        limit = time.monotonic() + 5
        while (left := [one for one in self._workers if _works(one)]) and time.monotonic() < limit:
            time.sleep(0.01)
        return left

    def stop(self) -> None:
        """Let it drain and end."""
        if self._process is not None:
            self._forget()

    def _forget(self) -> None:
        process, line = self._process, self._line
        self._process = self._line = None
        assert process is not None
        assert line is not None
        line.close()
        process.join(PATIENCE_S)
        process.kill()
        process.join()
        process.close()

    def _answer(self) -> Any:
        assert self._line is not None
        try:
            if self._line.poll(2 * PATIENCE_S):
                return self._line.recv()
        except EOFError:
            pass
        pytest.fail(f"the service gave no answer; its log says:\n{self.log}")
