"""The service of a folder in a process of its own, for tests that kill it."""

import os
from collections.abc import Mapping
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from etl_runner.api.operations import Operations
from etl_runner.daemon import running
from etl_runner.log import configure_logging
from etl_runner.settings import Settings, load_settings

ROOT = Path(__file__).resolve().parents[2]


def settings_of(folder: Path) -> Settings:
    return load_settings(
        folder / "config",
        store=folder / "etl-runner.db",
        workflows=ROOT / "workflows",
        reload_seconds=0.05,
        grace_seconds=5.0,
        tasks={"processes": 2},
    )


def serve(folder: Path, environment: Mapping[str, str], line: Connection) -> None:
    """Answer commands until the other end of the line is closed, also by the end of whoever holds it."""
    os.environ.update(environment)
    log = os.open(folder / "log", os.O_CREAT | os.O_APPEND | os.O_WRONLY)
    os.dup2(log, 1)
    os.dup2(log, 2)
    configure_logging("info", "text")
    with running(settings_of(folder), folder / "config") as service:
        operations = Operations(service)
        line.send("ready")
        while True:
            try:
                command = line.recv()
            except EOFError:
                return
            line.send(_answer(operations, command))


def _answer(operations: Operations, command: Mapping[str, Any]) -> Any:
    match command:
        case {"put": event}:
            return operations.put_events([event])
        case {"wait": workflow, "within_s": within_s}:
            listed = operations.list_executions(workflow=workflow)["executions"]
            return [operations.wait(one["executionArn"], within_s) for one in listed]
        case {"written": execution}:
            return operations.written(execution, limit=1_000)["objects"]
        case _:
            raise AssertionError(command)
