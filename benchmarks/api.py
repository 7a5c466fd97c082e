"""Calls of the Step Functions API per second, over HTTP against `etl-runner serve` with a new store.

    python -m benchmarks api [-- --calls 500 --threads 1 16]

StartExecution (a Pass state; each start is on the disk before it is answered), DescribeExecution and
ListActivities (which finds nothing: what a call costs by itself), through boto3 and, since boto3 takes longer
to make a call than the service to answer it, through bare connections with the same bodies. Client and
service share the machine.
"""

import argparse
import http.client
import json
import os
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import boto3
from botocore.config import Config

from benchmarks.in_process import report
from benchmarks.startup import COMMAND, PATIENCE_S, answers, free_port

PASS = '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}'
ROLE = "arn:aws:iam::123456789012:role/bench"


@contextmanager
def serving() -> Iterator[str]:
    """A service with nothing in it; gives its URL."""
    port = free_port()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for inner in ("config", "workflows"):
            (folder / inner).mkdir()
        environment = {**os.environ, "ETL_RUNNER_STORE": str(folder / "store.db")}
        command = [str(COMMAND), "serve", "--config", str(folder / "config"), "--port", str(port)]
        with (folder / "log").open("wb") as log:
            process = subprocess.Popen(command, cwd=folder, env=environment, stdout=log, stderr=log)
        begun = time.perf_counter()
        try:
            while not answers(port):
                if process.poll() is not None or time.perf_counter() - begun > PATIENCE_S:
                    raise SystemExit((folder / "log").read_text()[-2000:])
                time.sleep(0.01)
            yield f"http://127.0.0.1:{port}"
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def per_second(call: Callable[[], Any], threads: int, calls: int) -> int:
    """How often `call` can be made in a second by so many threads, each with state of its own."""
    share = max(1, calls // threads)
    ready = threading.Barrier(threads + 1)

    def work() -> None:
        ready.wait()
        for _ in range(share):
            call()

    workers = [threading.Thread(target=work) for _ in range(threads)]
    for worker in workers:
        worker.start()
    ready.wait()
    begun = time.perf_counter()
    for worker in workers:
        worker.join()
    return round(share * threads / (time.perf_counter() - begun))


class Bare:
    """One connection a thread, kept open."""

    def __init__(self, url: str) -> None:
        self._address = urlsplit(url).netloc
        self._local = threading.local()

    def call(self, action: str, **parameters: Any) -> None:
        """Ask, and read the answer."""
        connection = getattr(self._local, "connection", None)
        if connection is None:
            connection = self._local.connection = http.client.HTTPConnection(self._address)
        headers = {"X-Amz-Target": f"AWSStepFunctions.{action}", "Content-Type": "application/x-amz-json-1.0"}
        connection.request("POST", "/", json.dumps(parameters), headers)
        answer = connection.getresponse()
        body = answer.read()
        assert answer.status == 200, body


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--calls", type=int, default=500)
    parser.add_argument("--threads", type=int, nargs="+", default=[1, 16])
    options = parser.parse_args()
    figures: dict[str, Any] = {"calls": options.calls}
    with serving() as url:
        aws = boto3.client(
            "stepfunctions",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="123456789012",
            aws_secret_access_key="any",
            config=Config(max_pool_connections=max(options.threads), retries={"total_max_attempts": 1}),
        )
        arn = aws.create_state_machine(name="pass", definition=PASS, roleArn=ROLE)["stateMachineArn"]
        execution = aws.start_execution(stateMachineArn=arn)["executionArn"]
        bare = Bare(url)
        kinds: dict[str, Callable[[], Any]] = {
            "boto3_start_execution": lambda: aws.start_execution(stateMachineArn=arn),
            "boto3_describe_execution": lambda: aws.describe_execution(executionArn=execution),
            "boto3_list_activities": aws.list_activities,
            "bare_start_execution": lambda: bare.call("StartExecution", stateMachineArn=arn),
            "bare_describe_execution": lambda: bare.call("DescribeExecution", executionArn=execution),
            "bare_list_activities": lambda: bare.call("ListActivities"),
        }
        for name, call in kinds.items():
            for threads in options.threads:
                figures[f"{name}_per_s_{threads}_threads"] = per_second(call, threads, options.calls)
    report(figures)


if __name__ == "__main__":
    main()
