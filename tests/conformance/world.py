"""Where scenarios are played: the real program with functions that do as recorded, and moto as all else."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final

import boto3
from botocore.config import Config

from tests.conformance.recordings import Recording

ACCOUNT: Final = "111111111111"
REGION: Final = "us-east-1"
READY_S: Final = 60.0

_HEAD: Final = '"""Functions that behave as recorded."""\n\nimport time\n\n'


@dataclass(slots=True)
class World:
    """Two servers and the clients to them, one account for each scenario that lists what there is."""

    url: str
    aws_url: str
    functions: dict[str, str]
    _clients: dict[tuple[str, str], Any] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def client(self, service: str, account: str = ACCOUNT) -> Any:
        """The boto3 client of a service: ours for Step Functions, moto's for all others."""
        with self._lock:
            found = self._clients.get((service, account))
            if found is None:
                found = self._clients[service, account] = boto3.session.Session().client(
                    service,
                    region_name=REGION,
                    endpoint_url=self.url if service == "stepfunctions" else self.aws_url,
                    aws_access_key_id=account,
                    aws_secret_access_key="secret",
                    config=Config(
                        retries={"total_max_attempts": 2},  # with 1 botocore adds to what errors say
                        read_timeout=90,
                        max_pool_connections=40,
                        inject_host_prefix=False,
                        s3={"addressing_style": "path"},
                    ),
                )
            return found


@contextmanager
def world(folder: Path, recordings: Iterable[Recording]) -> Iterator[World]:
    """Start both servers; end them, by their own number, at the end."""
    names = functions_of(recordings)
    own, aws = free_ports(2)
    url, aws_url = f"http://127.0.0.1:{own}", f"http://127.0.0.1:{aws}"
    _install(folder, names, aws_url, url)
    moto = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(aws)]
    serve = [sys.executable, "-m", "etl_runner.cli", "serve", "--port", str(own)]
    keys = {"AWS_ACCESS_KEY_ID": ACCOUNT, "AWS_SECRET_ACCESS_KEY": "secret"}
    environment = {
        key: value for key, value in os.environ.items() if not key.startswith(("ETL_RUNNER_", "AWS_"))
    } | keys
    with (
        running(moto, folder / "moto.log", folder, environment | {"MOTO_ACCOUNT_ID": ACCOUNT}),
        running(serve, folder / "service.log", folder, environment) as service,
    ):
        wait_for(f"{aws_url}/moto-api/", None, folder / "moto.log")
        wait_for(f"{url}/healthz", service, folder / "service.log")
        yield World(url=url, aws_url=aws_url, functions=names)


def functions_of(recordings: Iterable[Recording]) -> dict[str, str]:
    """For each behaviour the name of the function that has it."""
    behaviours = sorted({behaviour for each in recordings for _, behaviour in each.lambdas})
    return {behaviour: f"recorded-function-{place}" for place, behaviour in enumerate(behaviours)}


def _install(folder: Path, names: dict[str, str], aws_url: str, url: str) -> None:
    code, bound = [_HEAD], ["functions:"]
    for behaviour, name in names.items():
        handler = name.replace("-", "_")
        code.append(f"def {handler}(event, context):\n{_body(behaviour)}\n\n")
        bound.append(f"  {name}: {{handler: tasks.{handler}, run_in: thread, timeout_seconds: 120}}")
    jobs = folder / "workflows" / "recorded"
    jobs.mkdir(parents=True)
    (jobs / "tasks.py").write_text("\n".join(code))
    if names:
        (jobs / "functions.yaml").write_text("\n".join(bound) + "\n")
    for each in ("schedules", "rules"):
        (folder / "config" / each).mkdir(parents=True)
    settings: dict[str, Any] = {
        "account": ACCOUNT,
        "region": REGION,
        "grace_seconds": 0,
        "aws": {
            "endpoint_url": aws_url,
            "endpoint_urls": {"stepfunctions": url},
            "access_key_id": ACCOUNT,
            "secret_access_key": "secret",
        },
        "tasks": {"threads": 32, "calls": 32, "processes": 1},
    }
    (folder / "config" / "etl-runner.yaml").write_text(json.dumps(settings))


def _body(behaviour: str) -> str:
    """The body of a function, from the words for what it does."""
    sleeps = re.search(r"sleeps? (\d+(?:\.\d+)?) seconds?", behaviour)
    lines = [f"    time.sleep({sleeps[1]})"] if sleeps else []
    raises = re.search(r'raises (?:an? )?(?:exception of class )?(\w+)(?:\("(.*?)"\))?', behaviour)
    raw = re.search(r'returns the raw bytes "(.*?)"', behaviour)
    letters = re.search(r"returns a string of (\d+)\*(\d+) letters '(.)'", behaviour)
    literal = re.search(r"returns (.*)$", behaviour)
    if raises:
        name, text = raises[1], raises[2] or ""
        if name != "Exception":
            lines.append(
                f"    class {name}(Exception):\n        def __str__(self):\n            return {text!r}\n"
            )
            lines.append(f"    raise {name}({text!r})" if text else f"    raise {name}")
        else:
            lines.append(f"    raise Exception({text!r})")
    elif "echo" in behaviour or "returns its event" in behaviour:
        lines.append("    return event")
    elif raw:
        lines.append(f"    return {raw[1]!r}")
    elif letters:
        lines.append(f"    return {letters[3]!r} * ({letters[1]} * {letters[2]})")
    elif literal:
        lines.append(_returning(literal[1], behaviour))
    else:
        lines.append(_unknown(behaviour))
    return "\n".join(lines)


def _returning(literal: str, behaviour: str) -> str:
    try:
        return f"    return {json.loads(literal)!r}"
    except ValueError:
        return _unknown(behaviour)


def _unknown(behaviour: str) -> str:
    """Only the scenarios that call it fail, and say why."""
    return f"    raise NotImplementedError({('no function can be made of: ' + behaviour)!r})"


def free_ports(count: int) -> list[int]:
    """Ports that nobody listens on, all different."""
    sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [int(each.getsockname()[1]) for each in sockets]
    for each in sockets:
        each.close()
    return ports


@contextmanager
def running(
    command: list[str], log: Path, folder: Path, environment: dict[str, str]
) -> Iterator[subprocess.Popen[bytes]]:
    """Run a server, its output in a log, and end it by its own number."""
    with log.open("wb") as output:
        process = subprocess.Popen(
            command, cwd=folder, env=environment, stdout=output, stderr=subprocess.STDOUT
        )
        try:
            yield process
        finally:
            process.send_signal(signal.SIGTERM)
            try:
                process.wait(10)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()


def wait_for(url: str, process: subprocess.Popen[bytes] | None, log: Path) -> None:
    """Wait until a server answers; RuntimeError with the end of its log when it does not, or has ended."""
    limit = time.monotonic() + READY_S
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    while True:
        try:
            with opener.open(url, timeout=5):
                return
        except OSError as error:
            if time.monotonic() > limit or (process is not None and process.poll() is not None):
                end = log.read_text(errors="replace")[-2_000:]
                raise RuntimeError(f"{url} does not answer ({error}); its log ends with: {end}") from error
            time.sleep(0.05)
