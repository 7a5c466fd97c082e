"""Handlers that the tests run in worker processes and threads."""

import datetime as dt
import decimal
import logging
import os
import re
import signal
import stat
import subprocess
import sys
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from etl_runner.errors import StatesError
from etl_runner.lineage import note_written

log = logging.getLogger(__name__)


class CustomException(Exception):  # noqa: N818 -- the name is what the recorded cases have
    pass


def echo(event: Any, context: Any) -> Any:
    return event


def raise_states_error(event: Any, context: Any) -> Any:
    raise StatesError("S3.SlowDown", event)


def whole_context(event: Any, context: Any) -> Any:
    return {
        "function_name": context.function_name,
        "function_version": context.function_version,
        "invoked_function_arn": context.invoked_function_arn,
        "memory_limit_in_mb": context.memory_limit_in_mb,
        "uuid": str(uuid.UUID(context.aws_request_id)),
        "log_group_name": context.log_group_name,
        "log_stream_name": context.log_stream_name,
        "identity": context.identity.cognito_identity_id,
        "client_context": context.client_context,
        "idempotency_key": context.idempotency_key,
        "execution_arn": context.execution_arn,
        "state_name": context.state_name,
        "attempt": context.attempt,
        "remaining": context.get_remaining_time_in_millis(),
    }


def fail(event: Any, context: Any) -> Any:
    note_written({"Bucket": "b", "Key": "before the failure"})
    raise CustomException(event)


def odd_results(event: Any, context: Any) -> Any:
    return {
        "tuple": (1, 2),
        "keys": {1: "one"},
        "decimal": decimal.Decimal("1.5"),
        "big": 2**80,
        "text": "ü\u2028",
        "float": 1.0,
    }


class Awkward(dict[str, Any]):
    def items(self) -> Any:
        raise KeyError("awkward")


def unfit(event: Any, context: Any) -> Any:
    loop: list[Any] = []
    loop.append(loop)
    return {
        "datetime": dt.datetime.now(tz=dt.UTC),
        "nan": float("nan"),
        "set": {1},
        "loop": loop,
        "surrogate": "\ud800",
        "bytes": b"x",
        "awkward": Awkward(a=1),
    }[event]


def sized(event: Any, context: Any) -> Any:
    return "x" * (event - 2)


def say(event: Any, context: Any) -> Any:
    sys.stdout.write("to stdout\nand ü on")
    sys.stderr.write("to stderr\n")
    log.info("to the log %s", event)
    subprocess.run(["/bin/echo", "from a child"], check=True)


def report_oddly(event: Any, context: Any) -> Any:
    context.progress(decimal.Decimal("1.5"), decimal.Decimal(2), note=7)
    context.progress("most of it")


def report(event: Any, context: Any) -> Any:
    for row in range(event):
        context.progress(row, event, note=f"row {row}")


def leave(event: Any, context: Any) -> Any:
    os._exit(event)


def leave_politely(event: Any, context: Any) -> Any:
    sys.exit(event)


def crash(event: Any, context: Any) -> Any:
    os.kill(os.getpid(), signal.Signals[event])


def hang(event: Any, context: Any) -> Any:
    """Tell where it is, start a child that holds the same pipe, and never end."""
    with Path(event).open("w") as told:
        child = subprocess.Popen(["/bin/sleep", "600"], pass_fds=(told.fileno(),))
        told.write(f"{os.getpid()} {child.pid}\n")
        told.flush()
        time.sleep(600)


def hold_the_gil(event: Any, context: Any) -> Any:
    """Never end, in C code that lets no other thread run."""
    with Path(event).open("w") as told:
        told.write(f"{os.getpid()}\n")
        told.flush()
        re.match(r"(a+)+$", "a" * 60 + "b")


def who(event: Any, context: Any) -> Any:
    return os.getpid()


def spoil(event: Any, context: Any) -> Any:
    seen = {name: os.environ.get(name) for name in ("GIVEN", "LEFT", "HOME")}
    os.environ["LEFT"] = "behind"
    os.environ.pop("HOME", None)
    os.chdir("/")
    return {**seen, "cwd": str(Path.cwd())}


def here(event: Any, context: Any) -> Any:
    return {"cwd": str(Path.cwd()), **{name: os.environ.get(name) for name in ("GIVEN", "LEFT", "HOME")}}


def write(event: Any, context: Any) -> Any:
    note_written({"Bucket": "b", "Key": "k", "VersionId": "1"})
    note_written({"Bucket": "b", "Key": "k", "VersionId": "2"})


def close_stdout(event: Any, context: Any) -> Any:
    os.close(1)
    sys.stdout = None


def silence(event: Any, context: Any) -> Any:
    sys.stdout.close()


def garble(event: Any, context: Any) -> Any:
    """Write rubbish into every socket the process has."""
    # The line has the number that it had in the daemon: any, where many files are open.
    lines = [fd for fd in (int(entry.name) for entry in Path("/dev/fd").iterdir()) if is_socket(fd)]
    if not lines:
        raise CustomException("the worker has no socket to write rubbish into")
    for fd in lines:
        os.write(fd, b"\xff" * 64)
    time.sleep(600)


def is_socket(fd: int) -> bool:
    try:
        return stat.S_ISSOCK(os.fstat(fd).st_mode)
    except OSError:  # the one that listing the folder took
        return False


def mutate(event: Any, context: Any) -> Any:
    event["items"].append("mine")
    return event


def say_and_report(event: Any, context: Any) -> Any:
    log.info("to the log %s", event)
    context.progress(1, 2)


def read_fifo(event: Any, context: Any) -> Any:
    log.info("waiting")
    return Path(event).read_text()


def ignore_sigterm(event: Any, context: Any) -> Any:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    hang(event, context)


def write_from_threads(event: Any, context: Any) -> Any:
    with ThreadPoolExecutor(3) as pool:
        list(pool.map(lambda n: note_written({"Key": f"{event}/{n}"}), range(20)))
    note_written({"Key": f"{event}/own"})
    return None
