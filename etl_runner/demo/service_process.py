"""The daemon of the demo: a real `etl-runner serve` in a process of its own, and a client for its API."""

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Final

import httpx

from etl_runner.errors import EtlRunnerError

START_TIMEOUT_S: Final = 60.0
STOP_TIMEOUT_S: Final = 20.0


@contextmanager
def serving(
    *, config_dir: Path, workflows: Path, store: Path, log: Path, port: int, environment: Mapping[str, str]
) -> Iterator[httpx.Client]:
    """Run `etl-runner serve` until the block ends; gives a client for its API.

    Raises EtlRunnerError with the end of the log when it does not begin to answer.
    """
    command = [
        str(Path(sys.executable).with_name("etl-runner")),
        *("serve", "--config", str(config_dir), "--workflows", str(workflows)),
        *("--store", str(store), "--port", str(port)),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 -- our own program
            command,
            env={**os.environ, **environment},
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is the demo's: it ends the service in its own time
        )
    try:
        with httpx.Client(base_url=f"http://127.0.0.1:{port}", timeout=30) as client:
            _wait_until_ready(process, client, log)
            yield client
    finally:
        _stop(process)


def free_port(wanted: int) -> int:
    """The wanted port when nobody listens there, else a free one."""
    for port in (wanted, 0):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise EtlRunnerError("there is no free port on 127.0.0.1; end what uses them and try again")


def _wait_until_ready(process: subprocess.Popen[bytes], client: httpx.Client, log: Path) -> None:
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until:
        if process.poll() is not None:
            break
        try:
            if client.get("/healthz").is_success:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.05)
    tail = log.read_text(errors="replace")[-2_000:]
    raise EtlRunnerError(f"the service did not begin to answer; the end of its log:\n{tail}")


def _stop(process: subprocess.Popen[bytes]) -> None:
    if process.poll() is not None:
        return
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(timeout=STOP_TIMEOUT_S)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
