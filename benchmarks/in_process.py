"""What chains.py and distributed_map.py share: an engine over a fresh store, and tasks that cost nothing."""

import json
import resource
import statistics
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

from etl_runner.arn import state_machine_arn
from etl_runner.engine.engine import Engine
from etl_runner.engine.knocks import StartRequest
from etl_runner.store.store import Store
from etl_runner.tasks.contract import Invocation, Invoker, Sink, Succeeded
from etl_runner.tasks.functions import FunctionRegistry, FunctionSpec
from etl_runner.tasks.python_functions import PythonFunctions
from etl_runner.tasks.threads import ThreadFunctions
from etl_runner.tasks.workers import WorkerPool

NOOP: Final = "arn:aws:lambda:us-east-1:123456789012:function:noop"


class Echo:
    """Answers every task at once, in the engine's own thread."""

    def accepts(self, _resource: str) -> str | None:
        """Everything."""
        return None

    def start(self, invocation: Invocation, sink: Sink) -> None:
        """Give the arguments back."""
        sink.outcome(Succeeded(token=invocation.token, output=invocation.arguments))

    def cancel(self, token: str) -> None:
        """Nothing runs."""

    def close(self, grace_s: float) -> None:
        """Nothing runs."""


def worker_processes(processes: int) -> Invoker:
    """The same no-op through real worker processes."""
    spec = FunctionSpec(
        name="noop",
        arn=NOOP,
        module="workers_noop",
        function="handler",
        search_path=str(Path(__file__).resolve().parent),
    )
    registry = FunctionRegistry()
    registry.replace([spec])
    return PythonFunctions(
        registry, WorkerPool(processes), ThreadFunctions(1), account="123456789012", region="us-east-1"
    )


@contextmanager
def engine(invoker: Invoker) -> Iterator[tuple[Engine, Store]]:
    """An engine with its thread over a new store on this disk (not in memory: commits are to cost)."""
    with tempfile.TemporaryDirectory(dir=Path.cwd(), prefix=".bench-") as folder:
        store = Store(Path(folder) / "store.db")
        running = Engine(store=store, invoker=invoker)
        running.open()
        try:
            yield running, store
        finally:
            running.close(5)
            store.close()


def requests(
    store: Store, definition: dict[str, Any], count: int, given: Any = None, prefix: str = "run"
) -> list[StartRequest]:
    """Requests for `count` executions of a definition."""
    definition_id = store.put_definition(json.dumps(definition), yaml=False, now_ms=0)
    return [
        StartRequest(
            state_machine_arn=state_machine_arn("bench"),
            state_machine_name="bench",
            definition_id=definition_id,
            name=f"{prefix}-{number}",
            input={} if given is None else given,
        )
        for number in range(count)
    ]


def chain(length: int, kind: dict[str, Any]) -> dict[str, Any]:
    """`length` states of one kind, one after the other."""
    states = {f"S{n}": {**kind, "Next": f"S{n + 1}"} for n in range(length - 1)}
    return {"StartAt": "S0", "States": {**states, f"S{length - 1}": {**kind, "End": True}}}


def percentiles_ms(seconds: list[float]) -> dict[str, float]:
    """p50 and p99 of durations, in milliseconds."""
    cuts = statistics.quantiles(seconds, n=100)
    return {"p50_ms": round(cuts[49] * 1000, 2), "p99_ms": round(cuts[98] * 1000, 2)}


def peak_rss_mib() -> float:
    """The most memory that this process has had, in MiB. Linux counts in KiB, macOS in bytes."""
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return round(peak / (1024 if sys.platform != "darwin" else 1024**2), 1)


def report(figures: dict[str, Any]) -> None:
    """One line of JSON on standard output, the same for people on standard error."""
    for name, value in figures.items():
        text = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else value
        print(f"{name:28} {text}", file=sys.stderr)
    print(json.dumps(figures))
