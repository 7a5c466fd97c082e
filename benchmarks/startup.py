"""How long one waits: `import etl_runner`, `etl-runner --help`, and `etl-runner serve` to its first answer.

    python -m benchmarks startup [-- --runs 5]

Medians, in milliseconds, each in a fresh process with warm disk caches. `serve` gets a new store, the
repository's own config/ and workflows/, and is asked for /healthz until it answers 200; it is stopped with
SIGTERM. What this installation does not have is skipped and said to be so.
"""

import argparse
import os
import socket
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable
from pathlib import Path

from benchmarks.in_process import report

ROOT = Path(__file__).resolve().parents[1]
COMMAND = Path(sys.executable).with_name("etl-runner")
PATIENCE_S = 30.0


def run_ms(*command: str | Path) -> float:
    begun = time.perf_counter()
    subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=ROOT)
    return (time.perf_counter() - begun) * 1000


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def serve_ms() -> float:
    port = free_port()
    with tempfile.TemporaryDirectory() as folder:
        environment = {**os.environ, "ETL_RUNNER_STORE": str(Path(folder) / "store.db")}
        log = Path(folder) / "log"
        with log.open("wb") as output:
            begun = time.perf_counter()
            command = [str(COMMAND), "serve", "--config", str(ROOT / "config"), "--port", str(port)]
            process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=output, stderr=output)
        try:
            while not answers(port):
                if process.poll() is not None or time.perf_counter() - begun > PATIENCE_S:
                    raise SystemExit(f"`etl-runner serve` did not answer:\n{log.read_text()[-2000:]}")
                time.sleep(0.002)
            return (time.perf_counter() - begun) * 1000
        finally:
            process.terminate()
            process.wait(PATIENCE_S)


def answers(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/healthz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, ConnectionError):
        return False


def median_ms(runs: int, measure: Callable[[], float]) -> float:
    measure()  # the first fills the caches
    return round(statistics.median(measure() for _ in range(runs)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--runs", type=int, default=5)
    runs = parser.parse_args().runs
    figures: dict[str, float | int | str] = {
        "runs": runs,
        "python_alone_ms": median_ms(runs, lambda: run_ms(sys.executable, "-c", "pass")),
        "import_etl_runner_ms": median_ms(runs, lambda: run_ms(sys.executable, "-c", "import etl_runner")),
    }
    has_cli = subprocess.run(
        [sys.executable, "-c", "import etl_runner.cli"], cwd=ROOT, capture_output=True, check=False
    )
    if COMMAND.exists() and has_cli.returncode == 0:
        figures["help_ms"] = median_ms(runs, lambda: run_ms(COMMAND, "--help"))
        figures["serve_to_healthz_ms"] = median_ms(runs, serve_ms)
    else:
        figures["skipped"] = "help and serve: the command etl-runner is not installed beside this Python"
    report(figures)


if __name__ == "__main__":
    main()
