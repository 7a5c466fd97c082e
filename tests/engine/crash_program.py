"""An engine with a workload, to be killed and started again: `python -m tests.engine.crash_program FOLDER`.

FOLDER holds the store and files that only grow: `acks` (starts that were acknowledged), `effects` (one line
per task that ran) and `faults` (what must never happen). ETL_CRASH_POINT is `POINT:N`: end without further
ado when POINT is reached for the Nth time. The clock runs SPEED times as fast as the world's.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from etl_runner.arn import execution_arn, state_machine_arn
from etl_runner.engine.engine import Engine
from etl_runner.engine.knocks import StartRequest
from etl_runner.errors import Conflict
from etl_runner.machine import facts as f
from etl_runner.machine.codec import decode_page
from etl_runner.store.store import Store
from etl_runner.store.unit import Unit
from etl_runner.tasks.contract import Failed, Invocation, Outcome, Sink, Succeeded

POINTS: Final = ("before-commit", "after-commit", "after-hand-out", "on-outcome")
SPEED: Final = 20
BEGUN_MS: Final = 1_790_000_000_000
EACH: Final = 4
"""How many executions of each machine."""

_FUNCTION: Final = "arn:aws:lambda:us-east-1:123456789012:function:work"
_RETRY: Final = [{"ErrorEquals": ["Flaky"], "IntervalSeconds": 1, "MaxAttempts": 3, "JitterStrategy": "FULL"}]


def _task(after: str | None = None, **fields: Any) -> dict[str, Any]:
    return {"Type": "Task", "Resource": _FUNCTION, **({"Next": after} if after else {"End": True}), **fields}


def _scope(name: str, state: dict[str, Any], **others: dict[str, Any]) -> dict[str, Any]:
    return {"StartAt": name, "States": {name: state, **others}}


MACHINES: Final[dict[str, dict[str, Any]]] = {
    "chain": _scope("A", _task("B"), B=_task("C"), C=_task("D"), D=_task()),
    "retries": _scope("Flaky", _task("After", Retry=_RETRY), After=_task()),
    "caught": _scope("Broken", _task(Catch=[{"ErrorEquals": ["Broken"], "Next": "Mend"}]), Mend=_task()),
    "waits": _scope("W", {"Type": "Wait", "Seconds": 3, "Next": "X"}, X=_task("V"),
                    V={"Type": "Wait", "Seconds": 2, "End": True}),
    "parallel": _scope("P", {"Type": "Parallel", "Next": "Q", "Branches": [
        _scope("L", _task("M"), M=_task()), _scope("R", _task(Retry=_RETRY))]}, Q=_task()),
    "inline": _scope("I", {"Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 3, "End": True,
                           "ItemProcessor": _scope("E", _task("F"), F=_task())}),
    "distributed": _scope("D", {
        "Type": "Map", "ItemsPath": "$.items", "MaxConcurrency": 6, "End": True, "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            **_scope("G", _task("H"), H=_task())}}),
}  # fmt: skip


class Clock:
    """The same time in every life, and fast."""

    def now_ms(self) -> int:
        return 1_700_000_000_000 + int(time.time() * 1000 - BEGUN_MS) * SPEED


class Folder:
    """The files beside the store. A line is one write, so that a kill leaves it whole or not at all."""

    def __init__(self, path: Path) -> None:
        self.path = path

    def note(self, name: str, line: str) -> None:
        with (self.path / name).open("ab", buffering=0) as file:
            file.write(f"{line}\n".encode())

    def lines(self, name: str) -> list[str]:
        path = self.path / name
        return path.read_text().splitlines() if path.exists() else []


class CrashPoint:
    """Ends the process at the Nth time that its point is reached."""

    def __init__(self, text: str) -> None:
        self.point, _, count = text.partition(":")
        self.left = int(count or 0)

    def reached(self, point: str) -> None:
        if point == self.point:
            self.left -= 1
            if self.left == 0:
                os._exit(9)


class Worker:
    """Runs tasks in threads: notes the effect, then answers."""

    def __init__(self, folder: Folder, crash: CrashPoint, closed: set[str]) -> None:
        self.folder = folder
        self.crash = crash
        self.closed = closed
        self.pool = ThreadPoolExecutor(4)

    def accepts(self, _resource: str) -> str | None:
        return None

    def start(self, told: Invocation, sink: Sink) -> None:
        if told.token in self.closed:
            self.folder.note("faults", f"{told.token} was handed out after its end was committed")
        self.pool.submit(self.work, told, sink)
        self.crash.reached("after-hand-out")

    def work(self, told: Invocation, sink: Sink) -> None:
        line = [told.idempotency_key, told.execution_arn, told.state_name, told.attempt, told.token]
        self.folder.note("effects", json.dumps(line))
        outcome: Outcome = Succeeded(token=told.token, output=told.arguments)
        if told.state_name in {"Flaky", "R"} and told.attempt < 3:
            outcome = Failed(token=told.token, error="Flaky")
        if told.state_name == "Broken":
            outcome = Failed(token=told.token, error="Broken")
        self.crash.reached("on-outcome")
        sink.outcome(outcome)

    def cancel(self, token: str) -> None:
        """Nothing runs for long here."""

    def close(self, _grace_s: float) -> None:
        self.pool.shutdown()


def watch_commits(store: Store, folder: Folder, crash: CrashPoint, closed: set[str]) -> None:
    """Put the crash points around the commit, and note which tokens have been closed."""
    commit: Callable[[Unit], None] = store.commit

    def watched(unit: Unit) -> None:
        crash.reached("before-commit")
        commit(unit)
        for page in unit.pages:
            for fact in decode_page(page["data"], page_format=page["format"]):
                if isinstance(fact, f.TaskSucceeded | f.TaskFailed):
                    token = f"{page['execution_id']}:{fact.token}"
                    closed.add(token)
                    folder.note("closed", token)
        crash.reached("after-commit")

    store.commit = watched  # type: ignore[method-assign]


def requests(store: Store) -> list[StartRequest]:
    """All executions of the workload, by names that are the same in every life of the process."""
    made = []
    for machine, definition in MACHINES.items():
        definition_id = store.put_definition(json.dumps(definition), yaml=False, now_ms=0)
        for number in range(EACH):
            tick = {"schedule": machine, "due_ms": number, "recorded_ms": 0, "lateness_ms": 0}
            made.append(
                StartRequest(
                    state_machine_arn=state_machine_arn(machine),
                    state_machine_name=machine,
                    definition_id=definition_id,
                    name=f"{machine}-{number}",
                    input={"items": list(range(25)), "number": number},
                    tick=tick if number % 2 else None,
                )
            )
    return made


def main(path: Path) -> None:
    folder = Folder(path)
    crash = CrashPoint(os.environ.get("ETL_CRASH_POINT", ""))
    closed = set(folder.lines("closed"))
    store = Store(path / "store.db")
    watch_commits(store, folder, crash, closed)
    worker = Worker(folder, crash, closed)
    engine = Engine(store=store, invoker=worker, clock=Clock())
    engine.open()
    folder.note("lives", "")
    known = set(folder.lines("acks"))
    wanted = [request for request in requests(store) if request.name not in known]
    for request in wanted:
        engine.start(request)
    for request in wanted:
        try:
            request.done.result(60)
        except Conflict:
            # Its tick is on the ledger already: it was committed, and the process died before it said so.
            assert request.tick is not None
        folder.note("acks", request.name)
    for execution_id in [row.id for row in everything(store) if row.status == "RUNNING"]:
        engine.when_ended(execution_id).result(60)
    engine.close(10)
    store.close()


def everything(store: Store) -> list[Any]:
    """The executions of the workload, children not included."""
    found = []
    for request in requests(store):
        row = store.execution_by_arn(execution_arn(request.state_machine_arn, request.name))
        if row is not None:
            found.append(row)
    return found


if __name__ == "__main__":
    main(Path(sys.argv[1]))
