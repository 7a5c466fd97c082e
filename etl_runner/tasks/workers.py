"""The pool of worker processes: takes invocations, keeps deadlines, survives whatever a task does.

One supervisor thread owns all workers and is the only one to touch them; `submit`, `cancel`, `renew` and
`close` hand it a command. A worker runs one task at a time and is used again and again; one that dies, is
killed at a deadline or by `cancel` is replaced when there is work for another.
"""

import logging
import os
import selectors
import signal
import socket
import threading
import time
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import partial
from typing import Final

import msgspec

from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES, dumps
from etl_runner.tasks.contract import Failed, Invocation, Outcome, Sink
from etl_runner.tasks.functions import FunctionSpec
from etl_runner.tasks.handlers import Ended, sandbox_cause, timed_out
from etl_runner.tasks.report import context_fields, outcome_of, tell_lines, tell_outcome, tell_progress
from etl_runner.tasks.slots import Doom, Job, Slot
from etl_runner.tasks.wire import Finished, FromWorker, Logged, Ready, Reported, Run
from etl_runner.tasks.worker_process import START_TIMEOUT_S, WorkerProcess, check_handler, exit_message

log = logging.getLogger(__name__)

TERM_GRACE_S: Final = 2.0
"""Between SIGTERM and SIGKILL when the pool closes on a running task."""


class WorkerPool:
    """Runs process functions in up to `size` workers (default: one per CPU); what waits is first come, first
    served. `environment` is the workers' whole environment (default: this process's), `limit_bytes` what a
    result may have.

    A function's own timeout counts from the moment when its worker takes it and ends the worker and all that
    it has started; the outcome is Lambda's `Sandbox.Timedout`. The state's timeout is the machine's, which
    calls `cancel`.
    """  # noqa: D205 -- one sentence says both

    def __init__(
        self,
        size: int | None = None,
        *,
        environment: Mapping[str, str] | None = None,
        limit_bytes: int = PAYLOAD_LIMIT_BYTES,
    ) -> None:
        self.size = size or os.cpu_count() or 1
        self._environment = dict(os.environ if environment is None else environment)
        self._limit_bytes = limit_bytes
        self._commands: deque[Callable[[], None]] = deque()
        self._wake_out, self._wake_in = socket.socketpair()
        self._wake_in.setblocking(False)
        self._wake_out.setblocking(False)
        self._signalled = False
        self._selector = selectors.DefaultSelector()
        self._selector.register(self._wake_out, selectors.EVENT_READ, self._on_wake)
        self._slots: set[Slot] = set()
        self._waiting: deque[Job] = deque()
        self._closing_until_s: float | None = None
        self._terminated = False
        self._lock = threading.Lock()  # guards _open and Job.closed: whoever closes a job first has it
        self._open: dict[str, Job] = {}
        self._accepting = True
        self._thread = threading.Thread(target=self._supervise, name="worker-supervisor", daemon=True)
        self._thread.start()

    # ------------------------------------------------------------------ called from any thread

    def submit(self, spec: FunctionSpec, invocation: Invocation, sink: Sink, task: str = "") -> None:
        """Queue one invocation. Its outcome goes to the sink, unless `cancel` or `close` comes first.

        `task` is what a result over the size limit is blamed on, by default the function's ARN. Raises
        TypeError for arguments that are no JSON.
        """
        job = Job(
            spec=spec,
            invocation=invocation,
            sink=sink,
            task=task or spec.arn,
            arguments=dumps(invocation.arguments),
        )
        with self._lock:
            if not self._accepting:
                return  # the daemon is ending; the task is handed out again when it is back
            self._open[invocation.token] = job
        self._post(partial(self._waiting.append, job))

    def cancel(self, token: str) -> None:
        """Take a waiting invocation off the queue, kill the worker of a running one. No outcome follows."""
        with self._lock:
            job = self._open.pop(token, None)
            if job is None:
                return
            job.closed = True
        self._post(partial(self._cancel, job))

    def renew(self, environment: Mapping[str, str] | None = None) -> None:
        """Let no worker start another task with the code it has imported; running ones finish first.

        Called when files under workflows/ have changed. `environment` replaces the workers' environment.
        """
        self._post(partial(self._renew, None if environment is None else dict(environment)))

    def close(self, grace_s: float) -> None:
        """Drop what waits, give what runs `grace_s` seconds, then SIGTERM, then SIGKILL; return at the end.

        Tasks that were dropped or killed here have no outcome: whoever owns them hands them out again later.
        """
        with self._lock:
            self._accepting = False
        if self._thread.is_alive():
            self._post(partial(self._begin_close, time.monotonic() + grace_s))
            self._thread.join()

    def check(self, spec: FunctionSpec) -> str | None:
        """None when the function's handler can be imported, else a sentence saying what is wrong.

        A process of its own does the importing, so that a broken or endless module cannot hurt the daemon
        and a file that was corrected is read anew.
        """
        return check_handler(spec, self._environment)

    def _post(self, command: Callable[[], None]) -> None:
        self._commands.append(command)
        if not self._signalled:
            self._signalled = True
            # A full socket means that the supervisor will wake anyway, a closed one that it is over.
            with suppress(OSError):
                self._wake_in.send(b"x")

    # ------------------------------------------------------------------ the supervisor's own

    def _supervise(self) -> None:
        try:
            while self._closing_until_s is None or self._slots:
                self._turn()
        finally:
            # Only a mistake of ours can get here with workers left; they end with their lifelines.
            for slot in self._slots:
                slot.worker.bury()
            self._selector.close()
            self._wake_in.close()
            self._wake_out.close()

    def _turn(self) -> None:
        for key, events in self._selector.select(self._patience_s()):
            self._try(partial(key.data, events))
        self._try(self._keep_limits)
        self._try(self._assign)

    def _try(self, step: Callable[[], None]) -> None:
        try:
            step()
        except Exception:
            log.exception("the worker supervisor met a fault of its own and goes on")

    def _patience_s(self) -> float | None:
        limits = [slot.limit_s for slot in self._slots]
        if self._closing_until_s is not None:
            limits.append(self._closing_until_s)
        soonest = min(limits, default=float("inf"))
        return None if soonest == float("inf") else max(0.0, soonest - time.monotonic())

    def _on_wake(self, _events: int) -> None:
        with suppress(BlockingIOError):
            self._wake_out.recv(4096)
        self._signalled = False  # before the commands are read: one posted from here on signals again
        while self._commands:
            self._try(self._commands.popleft())

    def _cancel(self, job: Job) -> None:
        with suppress(ValueError):
            self._waiting.remove(job)
        for slot in self._slots:
            if slot.job is job:
                self._kill(slot, Doom.SILENT)

    def _renew(self, environment: dict[str, str] | None) -> None:
        if environment is not None:
            self._environment = environment
        for slot in self._slots:
            slot.outdated = True
            if slot.job is None:
                self._kill(slot, Doom.SILENT)

    def _begin_close(self, until_s: float) -> None:
        self._closing_until_s = until_s
        self._waiting.clear()
        for slot in self._slots:
            if slot.job is None:
                self._kill(slot, Doom.SILENT)

    def _kill(self, slot: Slot, doom: Doom) -> None:
        if slot.doom is None:
            slot.doom = doom
            slot.limit_s = float("inf")
            slot.worker.signal(signal.SIGKILL)

    def _keep_limits(self) -> None:
        now = time.monotonic()
        for slot in self._slots:
            if slot.limit_s <= now:
                self._kill(slot, Doom.TIMEOUT if slot.ready else Doom.START)
        if self._closing_until_s is not None and self._closing_until_s <= now:
            self._end_what_runs(now)

    def _end_what_runs(self, now: float) -> None:
        if self._terminated:
            self._closing_until_s = float("inf")
            for slot in self._slots:
                self._kill(slot, Doom.SILENT)
            return
        self._terminated = True
        self._closing_until_s = now + TERM_GRACE_S
        with self._lock:
            for job in self._open.values():
                job.closed = True
            self._open.clear()
        for slot in self._slots:
            slot.worker.signal(signal.SIGTERM)

    # ------------------------------------------------------------------ handing out

    def _assign(self) -> None:
        while self._waiting and self._closing_until_s is None:
            try:
                slot = self._free_slot(self._waiting[0].spec.search_path)
            except (OSError, ValueError) as fault:
                if any(slot.job for slot in self._slots):
                    return  # tried again when one of them is done
                self._refuse(self._waiting.popleft(), f"no worker process could be started ({fault})")
                continue
            if slot is None:
                return
            self._hand_out(slot, self._waiting.popleft())

    def _refuse(self, job: Job, message: str) -> None:
        # One of the names that AWS's guide tells everyone to retry.
        error = "Lambda.ServiceException"
        cause = sandbox_cause(error, f"{message}; it is worth trying again", job.request_id)
        self._deliver(job, Failed(token=job.invocation.token, error=error, cause=cause))

    def _free_slot(self, search_path: str) -> Slot | None:
        # A worker keeps its first search path: modules of one name from two folders must not meet.
        free = [slot for slot in self._slots if slot.job is None and slot.doom is None]
        for slot in free:
            if slot.search_path == search_path:
                return slot
        alive = sum(slot.doom is None for slot in self._slots)
        if alive >= self.size:
            if not free:
                return None
            self._kill(free[0], Doom.SILENT)
        return self._start(search_path)

    def _start(self, search_path: str) -> Slot:
        worker = WorkerProcess(self._environment)
        slot = Slot(worker, search_path, None, limit_s=time.monotonic() + START_TIMEOUT_S)
        self._slots.add(slot)
        register = self._selector.register
        register(worker.socket, selectors.EVENT_READ, partial(self._on_socket, slot))
        for name, stream in worker.streams.items():
            register(stream, selectors.EVENT_READ, partial(self._on_output, slot, name))
        if worker.pidfd is not None:
            register(worker.pidfd, selectors.EVENT_READ, partial(self._on_death, slot))
        return slot

    def _hand_out(self, slot: Slot, job: Job) -> None:
        run = Run(
            context=context_fields(job.spec, job.invocation, job.request_id),
            module=job.spec.module,
            function=job.spec.function,
            search_path=job.spec.search_path,
            environment=dict(job.spec.environment),
            arguments=job.arguments,
            task=job.task,
            limit_bytes=self._limit_bytes,
        )
        slot.job = job
        if slot.ready:
            slot.limit_s = time.monotonic() + job.spec.timeout_s
        if not slot.worker.send(run):
            self._watch(slot, selectors.EVENT_READ | selectors.EVENT_WRITE)

    def _watch(self, slot: Slot, events: int) -> None:
        self._selector.modify(slot.worker.socket, events, partial(self._on_socket, slot))

    # ------------------------------------------------------------------ hearing from workers

    def _on_socket(self, slot: Slot, events: int) -> None:
        if slot not in self._slots:
            return  # buried earlier in the same turn
        if events & selectors.EVENT_WRITE and slot.worker.send_more():
            self._watch(slot, selectors.EVENT_READ)
        if events & selectors.EVENT_READ and not self._take_messages(slot):
            self._on_death(slot)

    def _take_messages(self, slot: Slot) -> bool:
        """Act on what has come in; False at the end of the line."""
        try:
            messages = slot.worker.messages()
        except (ValueError, msgspec.MsgspecError):
            log.exception("worker %d sent what is no message; it is replaced", slot.worker.pid)
            self._kill(slot, Doom.GARBLED)
            return True
        for message in messages or ():
            self._take(slot, message)
        return messages is not None

    def _take(self, slot: Slot, message: FromWorker) -> None:
        match message:
            case Ready():
                slot.ready = True
                slot.limit_s = time.monotonic() + slot.job.spec.timeout_s if slot.job else float("inf")
            case Finished(ended=ended):
                self._finish(slot, ended)
            case Reported():
                self._tell_progress(slot.job, message)
            case Logged(text=text):
                self._tell_lines(slot.job, "log", text.splitlines())

    def _finish(self, slot: Slot, ended: Ended) -> None:
        job = slot.job
        for name in slot.worker.streams:
            self._tell_lines(job, name, slot.worker.last_lines(name))
        slot.job = None
        slot.limit_s = float("inf")
        if job is not None:
            self._deliver(job, outcome_of(job.invocation.token, ended))
        if slot.outdated or self._closing_until_s is not None:
            self._kill(slot, Doom.SILENT)

    def _on_output(self, slot: Slot, name: str, _events: int) -> None:
        if slot not in self._slots:
            return
        lines = slot.worker.read_lines(name)
        if lines is None:  # the task closed its stdout: a stream at its end is for ever readable
            self._selector.unregister(slot.worker.streams[name])
        else:
            self._tell_lines(slot.job, name, lines)

    def _on_death(self, slot: Slot, _events: int = 0) -> None:
        if slot not in self._slots:
            return
        while self._take_messages(slot) and not slot.worker.drained:
            pass  # an outcome may stand in the socket of a dead worker
        for name in slot.worker.streams:
            self._tell_lines(slot.job, name, slot.worker.last_lines(name))
        self._slots.discard(slot)
        for source in (slot.worker.socket, *slot.worker.streams.values(), slot.worker.pidfd):
            if source is not None:
                with suppress(KeyError, ValueError):
                    self._selector.unregister(source)
        code = slot.worker.bury()
        if slot.job is not None:
            self._tell_end(slot, slot.job, code)

    def _tell_end(self, slot: Slot, job: Job, code: int) -> None:
        if slot.doom is Doom.TIMEOUT:
            error, cause = timed_out(job.request_id, job.spec.timeout_s)
        else:
            error = "Runtime.ExitError"
            message = exit_message(code)
            if slot.doom is Doom.START:
                message = f"the worker process was not ready within {START_TIMEOUT_S:g} s"
            elif slot.doom is Doom.GARBLED:
                message = "the function wrote into the worker's own connection to the service"
            cause = sandbox_cause(error, message, job.request_id)
        self._deliver(job, Failed(token=job.invocation.token, error=error, cause=cause))

    # ------------------------------------------------------------------ telling the sink

    def _deliver(self, job: Job, outcome: Outcome) -> None:
        with self._lock:
            if job.closed:
                return
            job.closed = True
            if self._open.get(outcome.token) is job:
                del self._open[outcome.token]
        tell_outcome(job.sink, outcome)

    def _tell_progress(self, job: Job | None, message: Reported) -> None:
        if job is not None and not job.closed:
            tell_progress(job.sink, job.invocation, message.done, message.total, message.note)

    def _tell_lines(self, job: Job | None, stream: str, lines: list[str]) -> None:
        if job is not None and not job.closed:
            tell_lines(job.sink, job.invocation, stream, lines)
        else:
            for text in lines:  # left over from a task that has ended, or from a worker's own start
                log.info("worker %s: %s", stream, text)
