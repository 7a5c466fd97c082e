"""The worker process: reads Runs from its socket, one at a time, and answers with how they ended.

Started by workers.py as `python -m etl_runner.tasks.worker_main SOCKET_FD LIFELINE_FD`, in a process group
of its own. It dies with the daemon: the lifeline is a pipe whose other end only the daemon holds.
`--check MODULE FUNCTION SEARCH_PATH` only imports a handler.
"""

import ctypes
import faulthandler
import logging
import os
import signal
import socket
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from functools import partial
from typing import Final

from etl_runner.tasks.context import Context
from etl_runner.tasks.handlers import Ended, Handler, HandlerProblem, call, load_handler
from etl_runner.tasks.wire import (
    HEADER_BYTES,
    Finished,
    FromWorker,
    Logged,
    Ready,
    Reported,
    Run,
    body_length,
    decode_run,
    frame,
)

_PR_SET_PDEATHSIG: Final = 1
_NOISY: Final = ("boto3", "botocore", "httpcore", "httpx", "urllib3", "s3transfer")
"""Libraries whose INFO lines (which credentials were found ...) are not what a task has to say."""


def die() -> None:
    """End this process and all it has started, at once: nothing may go on working for a dead owner."""
    os.killpg(os.getpgrp(), signal.SIGKILL)


def die_with_parent(lifeline_fd: int) -> None:
    """Arrange that this process group ends when the daemon does, however the daemon ends."""
    if sys.platform == "linux":
        # The thread below cannot run while a handler holds the GIL in C code, an endless regex for one. So
        # the kernel sends SIGHUP when the daemon dies, and C's alarm() is its handler, called with the
        # signal's number, 1: one second later SIGALRM ends the process. SIGKILL at once would end it
        # before the thread could end the group, and what the handler has started would live on.
        libc = ctypes.CDLL(None, use_errno=True)
        libc.signal.argtypes = (ctypes.c_int, ctypes.c_void_p)
        libc.signal(signal.SIGHUP, ctypes.cast(libc.alarm, ctypes.c_void_p))
        libc.prctl(_PR_SET_PDEATHSIG, signal.SIGHUP)

    def watch() -> None:
        os.read(lifeline_fd, 1)  # nobody writes to it: it returns when the other end is closed
        die()

    threading.Thread(target=watch, name="lifeline", daemon=True).start()


class Line:
    """The socket to the daemon. Sending is safe from any thread of a handler."""

    def __init__(self, fd: int) -> None:
        os.set_inheritable(fd, False)
        self._socket = socket.socket(fileno=fd)
        self._lock = threading.Lock()

    def send(self, message: FromWorker) -> None:
        """Send one message; a daemon that is gone ends this process."""
        data = frame(message)
        with self._lock:
            try:
                self._socket.sendall(data)
            except OSError:
                die()

    def receive(self) -> Run:
        """Wait for the next Run; the end of the line ends this process."""
        return decode_run(self._exactly(body_length(self._exactly(HEADER_BYTES))))

    def _exactly(self, size: int) -> bytes:
        pieces = bytearray()
        while len(pieces) < size:
            piece = self._socket.recv(size - len(pieces))
            if not piece:
                die()
            pieces += piece
        return bytes(pieces)


class SendingHandler(logging.Handler):
    """Sends what the handler logs to the daemon, as "LEVEL logger: message"."""

    def __init__(self, line: Line) -> None:
        super().__init__()
        self._line = line
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record."""
        try:
            self._line.send(Logged(text=self.format(record)))
        except Exception:  # noqa: BLE001 -- a log line that cannot be formatted must not fail the task
            self.handleError(record)


@contextmanager
def environment(extra: dict[str, str]) -> Iterator[None]:
    """Set variables for one invocation; afterwards the environment is as it was, whatever the task did."""
    before = dict(os.environ)
    os.environ.update(extra)
    try:
        yield
    finally:
        if dict(os.environ) != before:
            os.environ.clear()
            os.environ.update(before)


class Worker:
    """Runs one task after the other and keeps what they have imported."""

    def __init__(self, line: Line) -> None:
        self._line = line
        self._name = f"worker-{os.getpid()}"
        self._handlers: dict[tuple[str, str], Handler] = {}
        self._home = os.getcwd()  # noqa: PTH109 -- on the path of every task; Path would cost more

    def serve(self) -> None:
        """Work until the line ends."""
        self._line.send(Ready())
        while True:
            ended = self.run(self._line.receive())
            # What was printed must be in the pipe before the end is told: the daemon reads it up to there.
            with suppress(ValueError, OSError):  # a task may have closed its stdout
                sys.stdout.flush()
                sys.stderr.flush()
            self._line.send(Finished(ended=ended))

    def run(self, run: Run) -> Ended:
        """One invocation, from setting its environment to putting things back."""
        if run.search_path and run.search_path not in sys.path:
            sys.path.insert(0, run.search_path)
        context = Context(run.context, self._report, worker=self._name)
        with environment(run.environment):
            load = partial(self._handler, run.module, run.function)
            ended = call(load, run.arguments, context, run.task, limit_bytes=run.limit_bytes, alone=True)
        self._go_home()
        return ended

    def _handler(self, module: str, function: str) -> Handler:
        key = (module, function)
        if key not in self._handlers:
            self._handlers[key] = load_handler(module, function)
        return self._handlers[key]

    def _report(self, done: float, total: float | None, note: str) -> None:
        self._line.send(Reported(done=done, total=total, note=note))

    def _go_home(self) -> None:
        try:
            if os.getcwd() != self._home:  # noqa: PTH109 -- see above
                os.chdir(self._home)
        except OSError:  # the task removed the folder it stood in
            os.chdir(self._home)


def check(module: str, function: str, search_path: str) -> int:
    """Import a handler and say on stdout's last line what is wrong, if anything is."""
    if search_path:
        sys.path.insert(0, search_path)
    try:
        load_handler(module, function)
    except HandlerProblem as problem:
        problem_text = str(problem)
    except BaseException as fault:  # noqa: BLE001 -- importing runs foreign code, which may raise anything
        problem_text = f"importing {module} raised {type(fault).__name__}: {fault}"
    else:
        return 0
    sys.stdout.write("\n" + " ".join(problem_text.split()) + "\n")
    return 1


def main(arguments: list[str]) -> int:
    """Check a handler, or serve until the daemon ends the line."""
    # Ctrl-C in a terminal is the daemon's to handle: it drains, and running tasks go on meanwhile.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    if arguments[0] == "--check":
        return check(*arguments[1:])
    socket_fd, lifeline_fd = int(arguments[0]), int(arguments[1])
    os.set_inheritable(lifeline_fd, False)
    die_with_parent(lifeline_fd)
    faulthandler.enable()  # a segfault says where, on stderr, which the daemon reads
    line = Line(socket_fd)
    logging.basicConfig(level=logging.INFO, handlers=[SendingHandler(line)])
    for name in _NOISY:
        logging.getLogger(name).setLevel(logging.WARNING)
    sys.stdout.reconfigure(line_buffering=True, errors="backslashreplace")  # type: ignore[union-attr]  # a text file
    Worker(line).serve()
    return 0  # not reached: the end of the line ends the process


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
