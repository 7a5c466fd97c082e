"""Functions that run in a thread of the daemon: light and trusted ones, where a process would be waste."""

import heapq
import logging
import sys
import threading
import time
import uuid
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES, dumps
from etl_runner.tasks.context import Context
from etl_runner.tasks.contract import Failed, Invocation, Outcome, Sink
from etl_runner.tasks.daemon_threads import DaemonThreads
from etl_runner.tasks.functions import FunctionSpec
from etl_runner.tasks.handlers import Handler, call, load_handler, timed_out
from etl_runner.tasks.report import context_fields, outcome_of, tell_lines, tell_outcome, tell_progress

DEFAULT_THREADS: Final = 8


@dataclass(slots=True, kw_only=True, eq=False)
class Call:
    """One invocation in a thread. `closed` once its outcome is told or nobody wants it."""

    spec: FunctionSpec
    invocation: Invocation
    sink: Sink
    task: str
    request_id: str = field(default_factory=lambda: str(uuid.uuid4()))
    closed: bool = False


_current: ContextVar[Call | None] = ContextVar("current_call", default=None)


class CapturingHandler(logging.Handler):
    """Gives the records of a task function to its sink; those of the daemon are none of its business."""

    def __init__(self) -> None:
        super().__init__()
        self.setFormatter(logging.Formatter("%(levelname)s %(name)s: %(message)s"))

    def emit(self, record: logging.LogRecord) -> None:
        """Send one record, where it comes from a task."""
        running = _current.get()
        if running is None or running.closed:
            return
        try:
            tell_lines(running.sink, running.invocation, "log", self.format(record).splitlines())
        except Exception:  # noqa: BLE001 -- a line that cannot be formatted must not fail the task
            self.handleError(record)


class ThreadFunctions:
    """Runs functions in up to `size` threads. `limit_bytes` is what a result may have.

    A thread cannot be killed. When a function's own timeout has passed, its failure (`Sandbox.Timedout`) is
    told and a later answer is dropped, but the thread works on and keeps its place until it ends by
    itself; the same goes for `cancel`. What the function writes with `logging` is streamed; what it prints
    goes to the daemon's own stdout, which all threads share.
    """

    def __init__(self, size: int = DEFAULT_THREADS, *, limit_bytes: int = PAYLOAD_LIMIT_BYTES) -> None:
        self._limit_bytes = limit_bytes
        self._threads = DaemonThreads(size, "function")
        self._lock = threading.Lock()  # guards what follows and Call.closed
        self._open: dict[str, Call] = {}
        self._handlers: dict[tuple[str, str], Handler] = {}
        self._accepting = True
        self._alarm = Alarm(self._time_out)
        self._capture = CapturingHandler()
        logging.getLogger().addHandler(self._capture)

    def submit(self, spec: FunctionSpec, invocation: Invocation, sink: Sink, task: str = "") -> None:
        """Queue one invocation. Its outcome goes to the sink, unless `cancel` or `close` comes first."""
        call_ = Call(spec=spec, invocation=invocation, sink=sink, task=task or spec.arn)
        # Text, so that the function cannot change what the engine holds.
        arguments = dumps(invocation.arguments)
        with self._lock:
            if not self._accepting:
                return  # the daemon is ending; the task is handed out again when it is back
            self._open[invocation.token] = call_
            self._threads.submit(partial(self._run, call_, arguments))

    def cancel(self, token: str) -> None:
        """Drop the outcome of this hand-out, and the call itself if it has not begun."""
        with self._lock:
            call_ = self._open.pop(token, None)
            if call_ is not None:
                call_.closed = True

    def renew(self) -> None:
        """Import the functions anew at their next call: files under workflows/ have changed."""
        with self._lock:
            for module, _ in self._handlers:
                top = module.partition(".")[0]
                for name in [name for name in sys.modules if name == top or name.startswith(f"{top}.")]:
                    del sys.modules[name]
            self._handlers.clear()

    def close(self, grace_s: float) -> None:
        """Take no more calls, wait up to `grace_s` seconds for those that run; drop later answers."""
        with self._lock:
            self._accepting = False
        self._threads.close(grace_s)
        with self._lock:
            for call_ in self._open.values():
                call_.closed = True
            self._open.clear()
        self._alarm.close()
        logging.getLogger().removeHandler(self._capture)

    def _run(self, call_: Call, arguments: bytes) -> None:
        if call_.closed:
            return
        _current.set(call_)
        spec, invocation = call_.spec, call_.invocation
        self._alarm.set(time.monotonic() + spec.timeout_s, call_)
        context = Context(
            context_fields(spec, invocation, call_.request_id),
            partial(self._progress, call_),
            worker=threading.current_thread().name,
        )
        ended = call(
            lambda: self._handler(spec), arguments, context, call_.task, limit_bytes=self._limit_bytes
        )
        self._tell(call_, outcome_of(invocation.token, ended))

    def _handler(self, spec: FunctionSpec) -> Handler:
        key = (spec.module, spec.function)
        with self._lock:
            if spec.search_path and spec.search_path not in sys.path:
                sys.path.append(spec.search_path)  # last: nothing of the service's own may be shadowed
            found = self._handlers.get(key)
        if found is None:
            found = load_handler(*key)
            logger = logging.getLogger(spec.module)
            if logger.level == logging.NOTSET:
                logger.setLevel(logging.INFO)  # as in a worker, whatever the daemon's own level is
            with self._lock:
                self._handlers[key] = found
        return found

    def _progress(self, call_: Call, done: float, total: float | None, note: str) -> None:
        if not call_.closed:
            tell_progress(call_.sink, call_.invocation, done, total, note)

    def _time_out(self, call_: Call) -> None:
        error, cause = timed_out(call_.request_id, call_.spec.timeout_s)
        self._tell(call_, Failed(token=call_.invocation.token, error=error, cause=cause))

    def _tell(self, call_: Call, outcome: Outcome) -> None:
        with self._lock:
            if call_.closed:
                return
            call_.closed = True
            if self._open.get(outcome.token) is call_:
                del self._open[outcome.token]
        tell_outcome(call_.sink, outcome)


class Alarm:
    """Calls `ring` for each call whose time has come, from one thread that starts with the first of them."""

    def __init__(self, ring: Callable[[Call], None]) -> None:
        self._ring = ring
        self._changed = threading.Condition()
        self._due: list[tuple[float, int, Call]] = []
        self._count = 0
        self._closed = False
        self._thread: threading.Thread | None = None

    def set(self, at_s: float, call_: Call) -> None:
        """Ring at this moment of the monotonic clock, unless the call is closed by then."""
        with self._changed:
            if self._closed:
                return
            self._count += 1  # calls themselves have no order
            heapq.heappush(self._due, (at_s, self._count, call_))
            if self._thread is None:
                self._thread = threading.Thread(target=self._watch, name="function-alarm", daemon=True)
                self._thread.start()
            self._changed.notify()

    def close(self) -> None:
        """Ring no more."""
        with self._changed:
            self._closed = True
            self._changed.notify()
        if self._thread is not None:
            self._thread.join()

    def _watch(self) -> None:
        while (call_ := self._next()) is not None:
            self._ring(call_)

    def _next(self) -> Call | None:
        with self._changed:
            while not self._closed:
                while self._due and self._due[0][2].closed:
                    heapq.heappop(self._due)
                now = time.monotonic()
                if self._due and self._due[0][0] <= now:
                    return heapq.heappop(self._due)[2]
                self._changed.wait(self._due[0][0] - now if self._due else None)
            return None
