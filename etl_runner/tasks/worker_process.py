"""One worker process as the daemon sees it: its socket, its output, its end. Used by the supervisor only."""

import os
import signal
import socket
import subprocess
import sys
from collections.abc import Mapping
from contextlib import suppress
from typing import Final

from etl_runner.tasks.functions import FunctionSpec
from etl_runner.tasks.wire import FrameReader, FromWorker, Run, frame

MODULE: Final = "etl_runner.tasks.worker_main"
COMMAND: Final = (sys.executable, "-P", "-m", MODULE)
"""-P: the folder the daemon was started in must not shadow a module of the standard library."""

START_TIMEOUT_S: Final = 60.0
"""A worker that has not said Ready by then is killed; on a loaded machine it takes one or two seconds."""

_PIECE_BYTES: Final = 65_536
_LINE_LIMIT_BYTES: Final = 65_536
"""A line that never ends is cut here, so that it cannot fill the daemon's memory."""

_ADVICE: Final = {
    signal.SIGKILL: "the system may have run out of memory: let the function hold less at once, or give it "
    "a machine with more",
    signal.SIGSEGV: "a native library crashed; the last lines that the task wrote say where",
    signal.SIGABRT: "a native library gave up; the last lines that the task wrote say where",
}


class Lines:
    """Cuts the bytes of an output stream into lines."""

    def __init__(self) -> None:
        self._rest = bytearray()

    def feed(self, piece: bytes) -> list[str]:
        """Take a piece, give the lines that are whole now."""
        self._rest += piece
        *whole, rest = self._rest.split(b"\n")
        if len(rest) >= _LINE_LIMIT_BYTES:
            whole.append(rest)
            rest = bytearray()
        self._rest = bytearray(rest)
        return [line.decode(errors="replace").removesuffix("\r") for line in whole]

    def flush(self) -> list[str]:
        """Give what stands there without an end of line."""
        rest, self._rest = self._rest, bytearray()
        return [rest.decode(errors="replace")] if rest else []


class WorkerProcess:
    """A started worker. Nothing here blocks but `bury`, which waits for a process that was killed."""

    def __init__(self, environment: Mapping[str, str]) -> None:
        """Start it. Raises OSError when no process can be started."""
        ours, theirs = socket.socketpair()
        lifeline_theirs, self._lifeline = os.pipe()
        try:
            self._process = subprocess.Popen(  # noqa: S603 -- our own interpreter and module
                [*COMMAND, str(theirs.fileno()), str(lifeline_theirs)],
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.PIPE,
                bufsize=0,
                pass_fds=(theirs.fileno(), lifeline_theirs),
                env=dict(environment),
                start_new_session=True,  # a group of its own: killed whole, and out of reach of Ctrl-C
            )
        except BaseException:
            ours.close()
            os.close(self._lifeline)
            raise
        finally:
            theirs.close()
            os.close(lifeline_theirs)
        assert self._process.stdout is not None
        assert self._process.stderr is not None
        self.pid = self._process.pid
        self.socket = ours
        self.streams = {"stdout": self._process.stdout, "stderr": self._process.stderr}
        self._lines = {name: Lines() for name in self.streams}
        for fd in (ours.fileno(), *(stream.fileno() for stream in self.streams.values())):
            os.set_blocking(fd, False)
        self.pidfd = os.pidfd_open(self.pid) if hasattr(os, "pidfd_open") else None
        self._frames = FrameReader()
        self.drained = True
        self._unsent = bytearray()

    def send(self, run: Run) -> bool:
        """Send a Run as far as the socket takes it; True when all is gone, else call `send_more`."""
        self._unsent += frame(run)
        return self.send_more()

    def send_more(self) -> bool:
        """Send what is left. A worker that is gone counts as done: its end is seen elsewhere."""
        while self._unsent:
            try:
                sent = self.socket.send(self._unsent)
            except BlockingIOError:
                return False
            except OSError:
                self._unsent.clear()
                return True
            del self._unsent[:sent]
        return True

    def messages(self) -> list[FromWorker] | None:
        """What a piece of the socket's bytes completes; None at the end of the line. Sets `drained`.

        Raises ValueError (msgspec's errors are such) for bytes that are no message.
        """
        self.drained = True
        try:
            piece = self.socket.recv(_PIECE_BYTES)
        except BlockingIOError:
            return []
        except OSError:
            return None
        self.drained = False
        return self._frames.feed(piece) if piece else None

    def read_lines(self, stream: str) -> list[str] | None:
        """The lines that a piece of output completes; None when the stream has ended."""
        try:
            piece = os.read(self.streams[stream].fileno(), _PIECE_BYTES)
        except BlockingIOError:
            return []
        return self._lines[stream].feed(piece) if piece else None

    def last_lines(self, stream: str) -> list[str]:
        """Everything written so far, with a last line that has no end."""
        lines: list[str] = []
        with suppress(BlockingIOError):
            while piece := os.read(self.streams[stream].fileno(), _PIECE_BYTES):
                lines += self._lines[stream].feed(piece)
        return lines + self._lines[stream].flush()

    def signal(self, number: signal.Signals) -> None:
        """Send a signal to the worker and to all that it has started."""
        # The process is not reaped yet, so that its id cannot have become someone else's.
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(self.pid, number)

    def bury(self) -> int:
        """Kill what is left of the group, reap the worker, close its files. Gives subprocess's returncode."""
        self.signal(signal.SIGKILL)
        code = self._process.wait()
        self.socket.close()
        os.close(self._lifeline)
        for stream in self.streams.values():
            stream.close()
        if self.pidfd is not None:
            os.close(self.pidfd)
        return code


def exit_message(code: int) -> str:
    """Say how a worker ended that was not told to, in Lambda's words and with what to do about it."""
    if code >= 0:
        return (
            f"Runtime exited with error: exit status {code}; the function ended its own process "
            "(os._exit, or a library that does so): raise an exception instead"
        )
    try:
        number = signal.Signals(-code)
    except ValueError:
        return f"Runtime exited with error: signal: {-code}"
    name = (signal.strsignal(number) or number.name).lower()
    advice = _ADVICE.get(number, "something outside of the function ended it")
    return f"Runtime exited with error: signal: {name}; {advice}"


def check_handler(spec: FunctionSpec, environment: Mapping[str, str]) -> str | None:
    """Import a function's handler in a process of its own; say what is wrong, None if nothing is."""
    command = [*COMMAND, "--check", spec.module, spec.function, spec.search_path]
    try:
        done = subprocess.run(  # noqa: S603 -- our own interpreter and module
            command,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            env={**environment, **spec.environment},
            timeout=START_TIMEOUT_S,
            check=False,
            start_new_session=True,
        )
    except subprocess.TimeoutExpired:
        what = f"importing {spec.module} took over {START_TIMEOUT_S:g} s"
        return f"the function {spec.name} ({spec.module}.{spec.function}) cannot be used: {what}"
    if done.returncode == 0:
        return None
    lines = done.stdout.decode(errors="replace").splitlines()
    what = lines[-1] if lines and done.returncode == 1 else exit_message(done.returncode)
    return f"the function {spec.name} ({spec.module}.{spec.function}) cannot be used: {what}"
