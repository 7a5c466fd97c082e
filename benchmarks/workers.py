"""What a no-op task costs through the pool of worker processes: throughput, latency and start-up.

    python benchmarks/workers.py [--tasks 5000] [--workers 2] [--json]

Prints one line of JSON with --json, a table without. Latency is from submit to outcome, one task at a time.
"""

import argparse
import json
import statistics
import threading
import time
from pathlib import Path

from etl_runner.tasks.contract import Invocation, LogLine, Outcome, Progress
from etl_runner.tasks.functions import FunctionSpec
from etl_runner.tasks.workers import WorkerPool

NOOP = FunctionSpec(
    name="noop",
    arn="arn:aws:lambda:us-east-1:123456789012:function:noop",
    module="workers_noop",
    function="handler",
    search_path=str(Path(__file__).resolve().parent),
)


class Countdown:
    """A sink that tells when so many outcomes have come."""

    def __init__(self, count: int) -> None:
        self._left = count
        self.done = threading.Event()

    def outcome(self, outcome: Outcome) -> None:
        """Count one; only the supervisor thread calls."""
        assert type(outcome).__name__ == "Succeeded", outcome
        self._left -= 1
        if self._left == 0:
            self.done.set()

    def heartbeat(self, token: str) -> None:
        """Nothing to do."""

    def log(self, line: LogLine) -> None:
        """Nothing to do."""

    def progress(self, progress: Progress) -> None:
        """Nothing to do."""


def invocation(number: int) -> Invocation:
    return Invocation(
        token=f"t{number}",
        resource=NOOP.arn,
        arguments={"number": number},
        idempotency_key=f"k{number}",
        execution_arn="arn:aws:states:us-east-1:123456789012:execution:bench:bench",
        state_name="Noop",
    )


def throughput(pool: WorkerPool, tasks: int) -> float:
    """Give tasks per second with all of them handed in at once."""
    sink = Countdown(tasks)
    begun = time.perf_counter()
    for number in range(tasks):
        pool.submit(NOOP, invocation(number), sink)
    sink.done.wait()
    return tasks / (time.perf_counter() - begun)


def latencies_ms(pool: WorkerPool, tasks: int) -> list[float]:
    """Give the time of each task, with one under way at a time."""
    times = []
    for number in range(tasks):
        sink = Countdown(1)
        begun = time.perf_counter()
        pool.submit(NOOP, invocation(number), sink)
        sink.done.wait()
        times.append((time.perf_counter() - begun) * 1000)
    return times


def measure(tasks: int, workers: int) -> dict[str, float]:
    pool = WorkerPool(workers)
    first_ms = latencies_ms(pool, 1)[0]
    throughput(pool, 20 * workers)  # all workers are up
    cpu = time.process_time()
    rate = throughput(pool, tasks)
    daemon_cpu_us = (time.process_time() - cpu) / tasks * 1e6
    times = latencies_ms(pool, tasks // 5)
    pool.close(5)
    percentiles = statistics.quantiles(times, n=100)
    return {
        "tasks": tasks,
        "workers": workers,
        "tasks_per_second": round(rate),
        "daemon_cpu_us_per_task": round(daemon_cpu_us),
        "latency_p50_ms": round(percentiles[49], 3),
        "latency_p99_ms": round(percentiles[98], 3),
        "first_task_ms": round(first_ms),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tasks", type=int, default=5000)
    parser.add_argument("--workers", type=int, default=2)
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    found = measure(options.tasks, options.workers)
    if options.json:
        print(json.dumps(found))
        return
    for name, value in found.items():
        print(f"{name:26} {value}")


if __name__ == "__main__":
    main()
