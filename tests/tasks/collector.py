"""What the tests of this room share: a sink that can be waited for, functions and invocations to give it."""

import itertools
import threading
from pathlib import Path
from typing import Any

from etl_runner.tasks.contract import Failed, Invocation, LogLine, Outcome, Progress, Succeeded
from etl_runner.tasks.functions import FunctionSpec

HERE = Path(__file__).resolve().parent
ARN = "arn:aws:lambda:us-east-1:123456789012:function:"

_numbers = itertools.count(1)


class Collector:
    """Keeps what it is told; `wait` returns the outcome of a token."""

    def __init__(self) -> None:
        self.changed = threading.Condition()
        self.outcomes: dict[str, list[Outcome]] = {}
        self.logs: list[LogLine] = []
        self.reports: list[Progress] = []
        self.heartbeats: list[str] = []

    def outcome(self, outcome: Outcome) -> None:
        with self.changed:
            self.outcomes.setdefault(outcome.token, []).append(outcome)
            self.changed.notify_all()

    def heartbeat(self, token: str) -> None:
        self.heartbeats.append(token)

    def log(self, line: LogLine) -> None:
        with self.changed:
            self.logs.append(line)
            self.changed.notify_all()

    def progress(self, progress: Progress) -> None:
        with self.changed:
            self.reports.append(progress)
            self.changed.notify_all()

    def wait(self, token: str, timeout_s: float = 60) -> Outcome:
        with self.changed:
            assert self.changed.wait_for(lambda: token in self.outcomes, timeout_s), f"no outcome of {token}"
            return self.outcomes[token][0]

    def succeeded(self, token: str) -> Succeeded:
        outcome = self.wait(token)
        assert isinstance(outcome, Succeeded), outcome
        return outcome

    def failed(self, token: str) -> Failed:
        outcome = self.wait(token)
        assert isinstance(outcome, Failed), outcome
        return outcome

    def wait_for_log(self) -> None:
        with self.changed:
            assert self.changed.wait_for(lambda: self.logs, 60), "nothing was logged"


def output(outcome: Succeeded | Failed) -> Any:
    assert isinstance(outcome, Succeeded), outcome
    return outcome.output


def spec(name: str, **more: Any) -> FunctionSpec:
    fields = {
        "arn": ARN + name,
        "module": "task_examples",
        "function": name,
        "search_path": str(HERE),
        **more,
    }
    return FunctionSpec(name=name, **fields)


def invoke(arguments: Any = None, **more: Any) -> Invocation:
    number = next(_numbers)
    fields = {
        "token": f"token-{number}",
        "resource": ARN + "echo",
        "idempotency_key": f"key-{number}",
        "execution_arn": "arn:aws:states:us-east-1:123456789012:execution:m:e",
        "state_name": "State",
        **more,
    }
    return Invocation(arguments=arguments, **fields)
