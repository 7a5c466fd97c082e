"""The daemon of the demo: a real `etl-runner serve` in a process of its own, and a client for its API.

It runs under guard.py, so that it ends with the demo, however that ends.
"""

import json
import os
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
GRACE_S: Final = 5.0
"""How long tasks may go on when the demo is ended. What they leave behind is thrown away anyway."""

DRAIN_S: Final = GRACE_S + 10.0


@contextmanager
def serving(
    *, config_dir: Path, workflows: Path, store: Path, log: Path, port: int, environment: Mapping[str, str]
) -> Iterator[httpx.Client]:
    """Run `etl-runner serve` until the block ends; gives a client for its API. Removes the log's folder.

    Raises EtlRunnerError with the end of the log when it does not begin to answer, or ends too early.
    """
    guard = Path(__file__).with_name("guard.py")
    command = [
        *(sys.executable, "-I", str(guard), str(DRAIN_S), str(log.parent)),
        *(sys.executable, "-m", "etl_runner.cli"),
        *("serve", "--config", str(config_dir), "--workflows", str(workflows)),
        *("--store", str(store), "--port", str(port), "--json"),
    ]
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 -- our own program
            command,
            env={**_neutral(), "ETL_RUNNER_GRACE_SECONDS": str(GRACE_S), **environment},
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is the demo's: it ends the service in its own time
        )
    try:
        # No proxy of the environment: this is for this machine alone.
        with httpx.Client(base_url=_ready(process, log), timeout=30, trust_env=False) as client:
            yield client
    except httpx.TransportError as error:
        raise EtlRunnerError(
            f"the service stopped answering ({error}); the end of its log:\n{_tail(log)}"
        ) from error
    finally:
        _stop(process)


def _neutral() -> dict[str, str]:
    """The environment without what would steer this service elsewhere."""
    theirs = ("ETL_RUNNER_", "AWS_")
    return {name: value for name, value in os.environ.items() if not name.startswith(theirs)}


def free_port(wanted: int | None, default: int) -> int:
    """The wanted port; when none is wanted the default one, or another where that is taken.

    Raises EtlRunnerError when the wanted port is taken.
    """
    for port in (default, 0) if wanted is None else (wanted,):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except OSError:
                continue
            return int(probe.getsockname()[1])
    raise EtlRunnerError(
        f"port {wanted or default} of 127.0.0.1 cannot be had: something uses it, or this user may not; "
        "name another with --port, or none for a free one"
    )


def _ready(process: subprocess.Popen[bytes], log: Path) -> str:
    """Wait until the service says that it is ready, and where. It must be this one: another may be there."""
    until = time.monotonic() + START_TIMEOUT_S
    while time.monotonic() < until and process.poll() is None:
        with log.open("rb") as lines:
            for line in lines:
                if b'"event":"ready"' in line.replace(b" ", b"") and line.endswith(b"\n"):
                    return str(json.loads(line)["url"])
        time.sleep(0.05)
    raise EtlRunnerError(f"the service did not begin to answer; the end of its log:\n{_tail(log)}")


def _tail(log: Path) -> str:
    return log.read_text(errors="replace")[-2_000:]


def _stop(process: subprocess.Popen[bytes]) -> None:
    assert process.stdin is not None
    process.stdin.close()
    process.wait()  # the guard gives the service DRAIN_S, and kills it then
