"""An engine whose tasks others answer, ended without further ado.

    python -m tests.engine.token_crash_program FOLDER COMMITS

The process ends right before the commit of that number, or when all is done. What
was acknowledged stands in the folder's `acks`, a line each: what it was, its name, and what came with it.
"""

import json
import os
import sys
from pathlib import Path
from typing import Any, Final

from etl_runner.arn import state_machine_arn
from etl_runner.engine.engine import Engine
from etl_runner.engine.knocks import StartRequest, TokenSuccess
from etl_runner.store.activities import Activities, ActivityRow
from etl_runner.store.store import Store
from etl_runner.store.unit import Unit
from etl_runner.tasks.contract import Invocation, Pending, Sink

ACTIVITY: Final = "arn:aws:states:us-east-1:123456789012:activity:work"
EACH: Final = 6
STATES: Final[dict[str, dict[str, Any]]] = {
    "callback": {"Resource": "arn:aws:states:::sqs:sendMessage.waitForTaskToken"},
    "activity": {"Resource": ACTIVITY},
    "express": {"Resource": "arn:aws:lambda:us-east-1:123456789012:function:work"},
}


class Submitting:
    """Submits callbacks, and never ends anything else. Keeps the tokens by execution."""

    def __init__(self) -> None:
        self.tokens: dict[str, str] = {}

    def accepts(self, _resource: str) -> str | None:
        return None

    def start(self, told: Invocation, sink: Sink) -> None:
        if told.task_token is not None:
            self.tokens[told.execution_arn.rpartition(":")[2]] = told.task_token
            sink.outcome(Pending(token=told.token))

    def cancel(self, token: str) -> None:
        """Nothing runs here."""

    def close(self, grace_s: float) -> None:
        """The same."""


def main(folder: Path, commits: int) -> None:
    store = Store(folder / "store.db")
    Activities(store).create(ActivityRow(arn=ACTIVITY, name="work", created_ms=0))
    _end_at(store, commits)
    worker = Submitting()
    engine = Engine(store=store, invoker=worker)
    engine.open()
    with (folder / "acks").open("ab", buffering=0) as acks:

        def acknowledged(*line: str) -> None:
            acks.write((json.dumps(line) + "\n").encode())

        for kind, state in STATES.items():
            text = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Task", "End": True, **state}}})
            definition_id = store.put_definition(text, yaml=False, now_ms=0)
            for number in range(EACH):
                request = StartRequest(
                    state_machine_arn=state_machine_arn(kind),
                    state_machine_name=kind,
                    definition_id=definition_id,
                    name=f"{kind}-{number}",
                    input=number,
                    express=kind == "express",
                )
                started = engine.start(request).result(10)
                acknowledged("started", request.name, started.arn)
        for name, token in sorted(worker.tokens.items()):
            engine.answer_task(token, TokenSuccess(output=name)).result(10)
            acknowledged("answered", name, token)
        for _ in range(EACH // 2):
            task = engine.poll_activity(ACTIVITY).result(10)
            assert task is not None
            acknowledged("fetched", task.input, task.task_token)
    os._exit(9)


def _end_at(store: Store, commits: int) -> None:
    commit, left = store.commit, [commits]

    def counted(unit: Unit) -> None:
        left[0] -= 1
        if left[0] == 0:
            os._exit(9)
        commit(unit)

    store.commit = counted  # type: ignore[method-assign]


if __name__ == "__main__":
    main(Path(sys.argv[1]), int(sys.argv[2]))
