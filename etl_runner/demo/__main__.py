"""`python -m etl_runner.demo`: the whole service on this machine, three workflows through their triggers."""

import argparse
import sys

from etl_runner.demo.program import Options, run
from etl_runner.errors import EtlRunnerError


def main() -> int:
    """Read the command line and run the demo; 0 when every workflow succeeded."""
    parser = argparse.ArgumentParser(
        prog="make demo ARGS=...",
        description="Start etl-runner with an AWS of its own on this machine, fire three workflows through "
        "their real triggers, show what became of them, and stay up until Ctrl-C.",
    )
    parser.add_argument("--once", action="store_true", help="end when the workflows have ended")
    parser.add_argument(
        "--json", action="store_true", help="one JSON document on stdout at the end, all else on stderr"
    )
    parser.add_argument(
        "--s3",
        choices=["auto", "seaweedfs", "moto"],
        default="auto",
        help="the S3 server; auto takes SeaweedFS where its wheel is installed",
    )
    parser.add_argument("--port", type=int, help="port of the service (default: 8083, or a free one)")
    parser.add_argument(
        "--timeout", type=float, default=300.0, help="seconds the workflows may take (default: 300)"
    )
    given = parser.parse_args()
    options = Options(
        once=given.once, as_json=given.json, s3=given.s3, port=given.port, timeout_s=given.timeout
    )
    try:
        return run(options)
    except EtlRunnerError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("demo: interrupted; everything that was started has been ended\n")
        return 130


if __name__ == "__main__":
    sys.exit(main())
