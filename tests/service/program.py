"""The real program for tests: a small installation in a folder, `etl-runner serve` over it, and the CLI."""

import json
import os
import signal
import sqlite3
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

PROGRAM = [sys.executable, "-m", "etl_runner.cli"]
PATIENCE_S = 30.0
HTTP = httpx.Client(
    timeout=PATIENCE_S, trust_env=False, limits=httpx.Limits(max_keepalive_connections=0), verify=False
)
"""One client: its TLS context takes longer to make than most answers. No connection outlives a request."""

ARN = "arn:aws:lambda:us-east-1:123456789012:function:"

TASKS = '''
import os
import time
from pathlib import Path

GATES = Path(os.environ["GATES"])


def note(name, event, context):
    with (GATES / f"log-{event['gate']}").open("a") as log:
        log.write(f"{name} {context.idempotency_key}\\n")


def work(event, context):
    theirs = [name for name in os.environ if name.startswith("ETL_RUNNER_")]
    return {"version": 1, "given": event, "theirs": theirs}


def wait(event, context):
    """Say that it began, and wait until the test opens the gate."""
    note("began", event, context)
    print("a line of the task")
    context.progress(3, 10, "rows")
    while not (GATES / event["gate"]).exists():
        time.sleep(0.01)
    note("done", event, context)
    return {"done": True}
'''
"""`wait` is steered by files: GATES/log-NAME tells what began and ended, GATES/NAME lets it go on."""

FUNCTIONS = "functions:\n  work: {handler: tasks.work}\n  wait: {handler: tasks.wait}\n"


def task(resource: str, **fields: Any) -> dict[str, Any]:
    """A machine of one task."""
    state = {"Type": "Task", "Resource": resource, "End": True, **fields}
    return {"StartAt": "Only", "States": {"Only": state}}


def until(condition: Callable[[], Any], what: str, *, within_s: float = PATIENCE_S) -> Any:
    """Wait until the condition gives something true, and give that."""
    limit = time.monotonic() + within_s
    while not (found := condition()):
        if time.monotonic() > limit:
            pytest.fail(f"not within {within_s:g} s: {what}")
        time.sleep(0.01)
    return found


class Installation:
    """A folder with configuration, workflows and a store, as an operator has it."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.config, self.workflows, self.gates = folder / "config", folder / "workflows", folder / "gates"
        for each in (self.config / "schedules", self.config / "rules", self.workflows, self.gates):
            each.mkdir(parents=True)
        self.store = folder / "var" / "store.db"
        self.write("workflows/jobs/functions.yaml", FUNCTIONS)
        self.write("workflows/jobs/tasks.py", TASKS)
        self.write("workflows/jobs/work.asl.json", task(f"{ARN}work"))
        self.write("workflows/jobs/wait.asl.json", task(f"{ARN}wait"))

    def write(self, name: str, content: Any) -> Path:
        """A file of the installation, there at once and whole; what is no text is written as JSON."""
        path = self.folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh = path.with_name(f".{path.name}.new")
        fresh.write_text(content if isinstance(content, str) else json.dumps(content))
        fresh.rename(path)
        return path

    def settings(self, **values: Any) -> None:
        """Write etl-runner.yaml."""
        self.write("config/etl-runner.yaml", values)

    def began(self, gate: str = "gate") -> list[tuple[str, str]]:
        """What `wait` noted: (began or done, idempotency key)."""
        log = self.gates / f"log-{gate}"
        lines = log.read_text().splitlines() if log.exists() else []
        return [(line.split()[0], line.split()[1]) for line in lines]

    def open_gate(self, name: str = "gate") -> None:
        (self.gates / name).touch()

    def status(self, arn: str) -> str:
        """The status of an execution in the store of a service that has ended."""
        connection = sqlite3.connect(self.store)
        try:
            return str(connection.execute("SELECT status FROM execution WHERE arn = ?", [arn]).fetchone()[0])
        finally:
            connection.close()

    def environment(self, extra: Mapping[str, str]) -> dict[str, str]:
        """The test's own environment, less whatever would steer the service."""
        kept = {
            name: value for name, value in os.environ.items() if not name.startswith(("ETL_RUNNER_", "AWS_"))
        }
        return {**kept, "GATES": str(self.gates), **extra}

    def command(self, *options: str, port: int | None = 0) -> list[str]:
        ports = [] if port is None else ["--port", str(port)]
        paths = ["--config", str(self.config), "--workflows", str(self.workflows), "--store", str(self.store)]
        return [*PROGRAM, "serve", *paths, *ports, *options]

    def refused(self, *options: str, port: int | None = 0, **environment: str) -> "Refusal":
        """Start the service where it must not start; gives how it ended."""
        done = subprocess.run(
            self.command(*options, port=port),
            cwd=self.folder,
            env=self.environment(environment),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        assert "Traceback" not in done.stderr + done.stdout, done.stderr
        return Refusal(done.returncode, done.stderr, done.stdout)


class Refusal:
    """How a program ended that said no."""

    def __init__(self, code: int, stderr: str, stdout: str) -> None:
        self.code, self.stderr, self.stdout = code, stderr, stdout
        self.lines = [line for line in stderr.splitlines() if line]


class Daemon:
    """A running `etl-runner serve --json` in a process group of its own."""

    def __init__(
        self, at: Installation, *options: str, port: int | None = 0, env: Mapping[str, str] | None = None
    ) -> None:
        environment = env or {}
        self.at = at
        self.log_file = at.folder / "log"
        self.seen = self.log_file.stat().st_size if self.log_file.exists() else 0
        with self.log_file.open("ab") as log:
            self.process = subprocess.Popen(
                at.command("--json", *options, port=port),
                cwd=at.folder,
                env=at.environment({"ETL_RUNNER_RELOAD_SECONDS": "0.05", **environment}),
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )
        self.pid = self.process.pid
        until(lambda: '"ready"' in self.text() or self.ended, "the service is ready")
        if self.ended:
            pytest.fail(f"the service ended with {self.process.returncode}: {self.text()}")
        self.url: str = self.find("ready")[0]["url"]
        self._children: list[psutil.Process] = []

    @property
    def ended(self) -> bool:
        return self.process.poll() is not None

    # --- its log ------------------------------------------------------------------------------------------

    def text(self) -> str:
        """What it has logged since it was started."""
        return self.log_file.read_bytes()[self.seen :].decode()

    def lines(self) -> list[dict[str, Any]]:
        """The log: every whole line must be a JSON object."""
        return [json.loads(line) for line in self.text().splitlines(keepends=True) if line.endswith("\n")]

    def find(self, event: str) -> list[dict[str, Any]]:
        """The lines of the log whose event has these words."""
        return [line for line in self.lines() if event in line["event"]]

    def await_log(self, event: str) -> dict[str, Any]:
        found: list[dict[str, Any]] = until(lambda: self.find(event), f"the log says {event!r}")
        return found[0]

    # --- asking it ----------------------------------------------------------------------------------------

    def get(self, path: str, **query: Any) -> Any:
        return HTTP.get(f"{self.url}{path}", params=query).json()

    def start(self, workflow: str, given: Any = None, name: str | None = None) -> str:
        """Start an execution; gives its ARN once that is acknowledged."""
        body = {"workflow": workflow, "input": given if given is not None else {}, "name": name}
        answer = HTTP.post(f"{self.url}/v1/executions", json=body)
        assert answer.is_success, answer.text
        return str(answer.json()["executionArn"])

    def show(self, arn: str) -> dict[str, Any]:
        shown: dict[str, Any] = self.get(f"/v1/executions/{arn}")
        return shown

    def outcome(self, arn: str) -> dict[str, Any]:
        """The execution at its end."""
        shown: dict[str, Any] = self.get(f"/v1/executions/{arn}/wait", timeout=PATIENCE_S)
        assert shown["status"] != "RUNNING", shown
        return shown

    def run(self, workflow: str, given: Any = None) -> dict[str, Any]:
        return self.outcome(self.start(workflow, given))

    def cli(self, *arguments: str, env: Mapping[str, str] | None = None) -> Refusal:
        """Run the command line against it, as another process."""
        done = subprocess.run(
            [*PROGRAM, *arguments],
            cwd=self.at.folder,
            env=self.at.environment({"ETL_RUNNER_URL": self.url, **(env or {})}),
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=PATIENCE_S,
            check=False,
        )
        return Refusal(done.returncode, done.stderr, done.stdout)

    # --- ending it ----------------------------------------------------------------------------------------

    def note_children(self) -> None:
        """Remember what it has started: `code` looks whether that is gone."""
        self._children = self.workers()

    def interrupt(self) -> None:
        """Ctrl-C, as a terminal sends it: to the whole foreground group."""
        os.killpg(self.pid, signal.SIGINT)

    def workers(self) -> list[psutil.Process]:
        """All processes that it has started."""
        found: list[psutil.Process] = psutil.Process(self.pid).children(recursive=True)
        return found

    def signal(self, number: signal.Signals) -> None:
        self.note_children()
        os.kill(self.pid, number)

    def code(self) -> int:
        """The exit code, once it has ended. By then nothing that it started is left, and nobody listens."""
        code = self.process.wait(PATIENCE_S)
        left = psutil.wait_procs(self._children, timeout=5)[1]
        assert left == []
        with pytest.raises(httpx.ConnectError):
            HTTP.get(self.url)
        return code

    def stop(self) -> int:
        """SIGTERM, and the exit code of the drain."""
        self.signal(signal.SIGTERM)
        return self.code()

    def kill(self) -> None:
        """`kill -9`."""
        self.signal(signal.SIGKILL)
        assert self.code() == -signal.SIGKILL


@contextmanager
def serving(
    at: Installation, *options: str, port: int | None = 0, env: Mapping[str, str] | None = None
) -> Iterator[Daemon]:
    """A daemon that is ended with the block, if the test has not ended it; its log has no traceback."""
    daemon = Daemon(at, *options, port=port, env=env)
    try:
        yield daemon
        if not daemon.ended:
            daemon.at.open_gate()
            assert daemon.stop() == 0
    finally:
        if not daemon.ended:
            os.killpg(daemon.pid, signal.SIGKILL)
            daemon.process.wait()
    assert "Traceback" not in daemon.text(), daemon.text()
