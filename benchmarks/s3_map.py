"""A CSV on SeaweedFS through the whole service: a Distributed Map whose children each read one chunk.

    python -m benchmarks.s3_map [--mebibytes 256] [--chunk-mebibytes 16] [--processes 2]

The engine, its store and its worker processes are the real ones. Each child counts and sums the rows of its
chunk; the sum is checked. Prints one line of JSON. Bytes read beyond the object are s3_chunks.py's figure:
the reads are the same.
"""

import argparse
import json
import os
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import psutil

from benchmarks.s3_chunks import MEBIBYTE, blocks
from etl_runner.aws import AwsAccess
from etl_runner.daemon import running
from etl_runner.demo.embedded_aws import embedded_aws
from etl_runner.jsontypes import Json
from etl_runner.machine.state import Status, fold
from etl_runner.s3 import VersionedWriter
from etl_runner.settings import load_settings

TASKS = """
from etl_runner.s3 import read_chunk

def count(event, context):
    rows = total = 0
    for row in read_chunk(event):
        rows += 1
        total += int(row["amount"])
    return {"rows": rows, "total": total}
"""
FUNCTIONS = "functions:\n  count: {handler: tasks.count, timeout_seconds: 600}\n"


def definition(chunk_bytes: int, concurrency: int) -> str:
    reader = {
        "Resource": "arn:aws:states:::s3:getObject",
        "ReaderConfig": {
            "InputType": "CSV",
            "CSVHeaderLocation": "FIRST_ROW",
            "ChunkBytes": chunk_bytes,
        },
        "Parameters": {"Bucket": "bench", "Key": "in.csv"},
    }
    count = {"Type": "Task", "Resource": "arn:aws:lambda:us-east-1:123456789012:function:count", "End": True}
    each = {
        "Type": "Map",
        "ItemReader": reader,
        "MaxConcurrency": concurrency,
        "ItemProcessor": {
            "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
            "StartAt": "Count",
            "States": {"Count": count},
        },
        "End": True,
    }
    return json.dumps({"StartAt": "Each", "States": {"Each": each}})


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--mebibytes", type=int, default=256)
    parser.add_argument("--chunk-mebibytes", type=int, default=16)
    parser.add_argument("--processes", type=int, default=2)
    options = parser.parse_args()
    with embedded_aws("seaweedfs") as aws, tempfile.TemporaryDirectory() as folder:
        size = upload(aws.client("s3"), options.mebibytes * MEBIBYTE)
        json.dump(measure(aws, Path(folder), size, options), sys.stdout)
    print()


def upload(s3: Any, size: int) -> int:
    s3.create_bucket(Bucket="bench")
    s3.put_bucket_versioning(Bucket="bench", VersioningConfiguration={"Status": "Enabled"})
    with VersionedWriter("bench", "in.csv", idempotency_key="bench", s3=s3) as writer:
        for block in blocks(size, quoted=False):
            writer.write(block)
    return writer.receipt.size


def measure(aws: AwsAccess, folder: Path, size: int, options: argparse.Namespace) -> dict[str, Any]:
    (folder / "config").mkdir()
    workflow = folder / "workflows" / "count"
    workflow.mkdir(parents=True)
    (workflow / "tasks.py").write_text(TASKS)
    (workflow / "functions.yaml").write_text(FUNCTIONS)
    chunk = options.chunk_mebibytes * MEBIBYTE
    (workflow / "workflow.asl.json").write_text(definition(chunk, options.processes))
    os.environ.update(aws.environment())
    settings = load_settings(
        folder / "config",
        store=folder / "etl.db",
        workflows=folder / "workflows",
        tasks={"processes": options.processes},
        aws={"region": aws.region},
    )
    with running(settings, folder / "config") as service:
        before = psutil.Process().memory_info().rss
        began = time.perf_counter()
        started = service.launch.launch(workflow="count", name="bench", input={}, origin="api").result()
        status = service.engine.when_ended(started.execution_id).result()
        seconds = time.perf_counter() - began
        assert status is Status.SUCCEEDED, status
        workers = [peak_mib(child) for child in psutil.Process().children(recursive=True) if is_worker(child)]
        results = service.store.pages(started.execution_id)
        output: Json = fold(results).output
        rows = sum(row["rows"] for row in output)
    return {
        "benchmark": "s3_map",
        "bytes": size,
        "chunks": -(-size // chunk),
        "rows": rows,
        "seconds": round(seconds, 2),
        "mb_per_s": round(size / 1e6 / seconds, 1),
        "daemon_rss_before_mib": round(before / MEBIBYTE, 1),
        "daemon_peak_rss_mib": peak_mib(psutil.Process()),
        "worker_peak_rss_mib": max(workers),
        "workers": len(workers),
    }


def is_worker(process: psutil.Process) -> bool:
    return "etl_runner.tasks.worker_main" in " ".join(process.cmdline())


def peak_mib(process: psutil.Process) -> float:
    """The most memory that a process has had, as Linux counts it (VmHWM)."""
    for line in Path(f"/proc/{process.pid}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return round(int(line.split()[1]) / 1024, 1)
    return 0.0


if __name__ == "__main__":
    main()
