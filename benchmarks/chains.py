"""Durable transitions per second: executions of a chain of ten no-op states.

    python -m benchmarks chains [-- --executions 1000 --at-once 50 --runs 5 --processes 2]

Three workloads, each a median over the runs: Task states 50 executions at a time, Task states one at a time,
and Pass states 50 at a time. A transition is a state entered, and is on the disk (SQLite in WAL with
synchronous=FULL) before what follows from it happens. A chain of Pass states is decided in one turn, so its
transitions share a commit: name it when you quote it. --processes runs the tasks in worker processes instead
of answering them inside the engine's process.
"""

import argparse
import statistics
import time
from concurrent.futures import Future
from queue import SimpleQueue
from typing import Any

from benchmarks.in_process import (
    NOOP,
    Echo,
    chain,
    engine,
    percentiles_ms,
    report,
    requests,
    worker_processes,
)
from etl_runner.engine.engine import Engine
from etl_runner.engine.knocks import Started, StartRequest

STATES = 10
TASK = {"Type": "Task", "Resource": NOOP}
PASS = {"Type": "Pass"}


def together(running: Engine, wanted: list[StartRequest], at_once: int) -> tuple[float, list[float]]:
    """Keep so many executions under way, each that ends making room for the next; gives seconds."""
    ends: SimpleQueue[float] = SimpleQueue()
    took: list[float] = []

    def follow(request: StartRequest) -> None:
        asked = time.perf_counter()

        def started(answer: Future[Started]) -> None:
            running.when_ended(answer.result().execution_id).add_done_callback(
                lambda _: ends.put(time.perf_counter() - asked)
            )

        running.start(request).add_done_callback(started)

    begun = time.perf_counter()
    for number, request in enumerate(wanted):
        if number >= at_once:
            took.append(ends.get())
        follow(request)
    while len(took) < len(wanted):
        took.append(ends.get())
    return time.perf_counter() - begun, took


def once(kind: dict[str, Any], executions: int, at_once: int, processes: int) -> dict[str, float]:
    invoker = worker_processes(processes) if processes else Echo()
    with engine(invoker) as (running, store):
        together(running, requests(store, chain(STATES, kind), 20, prefix="warm"), 10)
        before = running.transitions, running.turns
        seconds, took = together(running, requests(store, chain(STATES, kind), executions), at_once)
        transitions, turns = running.transitions - before[0], running.turns - before[1]
    assert transitions == executions * STATES, (transitions, executions)
    return {
        "transitions_per_s": round(transitions / seconds),
        **percentiles_ms(took),
        "transitions_per_commit": round(transitions / turns, 1),
    }


def median_of(
    runs: int, kind: dict[str, Any], executions: int, at_once: int, processes: int
) -> dict[str, float]:
    found = [once(kind, executions, at_once, processes) for _ in range(runs)]
    return {name: statistics.median(each[name] for each in found) for name in found[0]}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--executions", type=int, default=1000)
    parser.add_argument("--at-once", type=int, default=50)
    parser.add_argument("--runs", type=int, default=5)
    parser.add_argument("--processes", type=int, default=0, help="worker processes; 0 answers in process")
    options = parser.parse_args()
    few = max(50, options.executions // 5)
    report(
        {
            "executions": options.executions,
            "states": STATES,
            "runs": options.runs,
            "tasks_in": f"{options.processes} processes" if options.processes else "the engine's process",
            f"task_{options.at_once}_at_once": median_of(
                options.runs, TASK, options.executions, options.at_once, options.processes
            ),
            "task_one_at_a_time": median_of(options.runs, TASK, few, 1, options.processes),
            f"pass_{options.at_once}_at_once": median_of(
                options.runs, PASS, options.executions, options.at_once, 0
            ),
        }
    )


if __name__ == "__main__":
    main()
