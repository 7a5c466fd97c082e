"""A Distributed Map over 10,000 items whose children are one no-op task each: children/s and peak memory.

    python -m benchmarks distributed_map [-- --items 10000 --runs 3 --processes 2]

A child is an execution of its own: its row, its facts and its end are on the disk. The items are an array in
the map's input, and the outputs are its result. Peak RSS is that of the engine's process, imports included
(given apart); worker processes are not counted. Medians over the runs; each run is a process of its own,
because a process never gives its peak back.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

from benchmarks.in_process import NOOP, Echo, engine, peak_rss_mib, report, requests, worker_processes

DEFINITION = {
    "StartAt": "Each",
    "States": {
        "Each": {
            "Type": "Map",
            "ItemsPath": "$.items",
            "End": True,
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Noop",
                "States": {"Noop": {"Type": "Task", "Resource": NOOP, "End": True}},
            },
        }
    },
}


def once(items: int, processes: int) -> dict[str, float]:
    """One run, in this process."""
    before = peak_rss_mib()
    with engine(worker_processes(processes) if processes else Echo()) as (running, store):
        (request,) = requests(store, DEFINITION, 1, {"items": list(range(items))})
        begun = time.perf_counter()
        started = running.start(request).result(60)
        status = running.when_ended(started.execution_id).result(600)
        seconds = time.perf_counter() - begun
        turns = running.turns
    assert status == "SUCCEEDED", status
    return {
        "children_per_s": round(items / seconds),
        "seconds": round(seconds, 2),
        "turns": turns,
        "rss_after_imports_mib": before,
        "peak_rss_mib": peak_rss_mib(),
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--items", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=3)
    parser.add_argument("--processes", type=int, default=0, help="worker processes; 0 answers in process")
    parser.add_argument("--single", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.single:
        print(json.dumps(once(options.items, options.processes)))
        return
    given = ["--single", "--items", str(options.items), "--processes", str(options.processes)]
    command = [sys.executable, "-m", "benchmarks.distributed_map", *given]
    root = Path(__file__).resolve().parents[1]
    found: list[dict[str, Any]] = []
    for _ in range(options.runs):
        answer = subprocess.run(command, cwd=root, check=True, stdout=subprocess.PIPE)
        found.append(json.loads(answer.stdout))
    medians = {name: statistics.median(each[name] for each in found) for name in found[0]}
    where = f"{options.processes} processes" if options.processes else "the engine's process"
    report({"items": options.items, "runs": options.runs, "tasks_in": where, **medians})


if __name__ == "__main__":
    main()
