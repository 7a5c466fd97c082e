"""The real engine under the services: workflows of one Pass state, and an invoker that nobody calls."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from etl_runner.arn import state_machine_arn
from etl_runner.clock import Clock, SystemClock
from etl_runner.engine.engine import Engine
from etl_runner.engine.launch import Launch
from etl_runner.engine.workflows import Workflows
from etl_runner.store.store import Store
from etl_runner.tasks.contract import Invocation, Sink

PASS_ONLY = '{"StartAt": "Done", "States": {"Done": {"Type": "Pass", "End": true}}}'


class NoTasks:
    """An invoker for workflows without tasks."""

    def accepts(self, resource: str) -> str | None:
        return f"{resource} cannot be invoked here"

    def start(self, invocation: Invocation, sink: Sink) -> None:
        raise NotImplementedError

    def cancel(self, token: str) -> None:
        pass

    def close(self, grace_s: float) -> None:
        pass


@contextmanager
def engine_on(
    path: Path, *, workflows: tuple[str, ...] = ("work",), clock: Clock | None = None
) -> Iterator[tuple[Store, Launch]]:
    """A store and a running engine that knows these workflows."""
    store = Store(path)
    clock = clock or SystemClock()
    engine = Engine(store=store, invoker=NoTasks(), clock=clock)
    known = Workflows(store, clock)
    known.apply((name, state_machine_arn(name), PASS_ONLY, False, f"{name}.asl.json") for name in workflows)
    engine.open()
    try:
        yield store, Launch(engine, known)
    finally:
        engine.close(5)
        store.close()
