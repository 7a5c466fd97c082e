"""`python -m etl_runner.demo`: the whole service on this machine, three workflows through their triggers."""

import argparse
import signal
import sys

from etl_runner.errors import EtlRunnerError

INTERRUPTED = 130


def main() -> int:
    """Read the command line and run the demo; 0 when every workflow succeeded."""
    given = _arguments()
    # A terminal that is closed and whoever ends us mean what Ctrl-C means: take down what was started.
    for number in (signal.SIGTERM, signal.SIGHUP):
        signal.signal(number, signal.default_int_handler)
    try:
        # Late, so that Ctrl-C in the second that this takes shows no traceback either.
        from etl_runner.demo.program import Options, run  # noqa: PLC0415

        return run(
            Options(
                once=given.once, as_json=given.json, s3=given.s3, port=given.port, timeout_s=given.timeout
            )
        )
    except EtlRunnerError as error:
        sys.stderr.write(f"demo: {error}\n")
        return 2
    except KeyboardInterrupt:
        sys.stderr.write("demo: interrupted; everything that was started has been ended\n")
        return INTERRUPTED


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="make demo ARGS=...",
        description="Start etl-runner with an AWS of its own on this machine, fire three workflows through "
        "their real triggers, show what became of them, and stay up until Ctrl-C.",
        epilog="Exit codes: 0 every workflow succeeded, 1 one did not, 2 it could not begin, 130 Ctrl-C.",
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
    parser.add_argument("--port", type=_port, help="port of the service (default: 8083, or a free one)")
    parser.add_argument(
        "--timeout", type=_seconds, default=300.0, help="seconds the workflows may take (default: 300)"
    )
    return parser.parse_args()


def _port(text: str) -> int:
    port = int(text) if text.isdecimal() else -1
    if not 0 <= port <= 65535:
        raise argparse.ArgumentTypeError(f"{text!r} is no port; it must be a number from 0 to 65535")
    return port


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 <= seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text!r} is no number of seconds")
    return seconds


if __name__ == "__main__":
    sys.exit(main())
