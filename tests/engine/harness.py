"""A real engine over a real store, driven step by step, with tasks that do as the test says."""

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import closing
from itertools import pairwise
from pathlib import Path
from typing import Any

from etl_runner.arn import state_machine_arn
from etl_runner.aws import AwsAccess
from etl_runner.clock import Clock, ManualClock
from etl_runner.engine.engine import Engine
from etl_runner.engine.knocks import Started, StartRequest
from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine.history_lint import lint
from etl_runner.machine.state import Status, fold
from etl_runner.store.store import EXECUTIONS, ExecutionRow, Store
from etl_runner.tasks.contract import Failed, Invocation, Outcome, Sink, Succeeded

FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:work"
TASK: dict[str, Any] = {"Type": "Task", "Resource": FUNCTION, "End": True}
PASS: dict[str, Any] = {"Type": "Pass", "End": True}
PATIENCE = 400
"""How many times `until` looks, waiting up to 50 ms for something to happen, before it gives up."""

Behaviour = Callable[[Invocation], list[Outcome]]


def single(state: dict[str, Any], **others: dict[str, Any]) -> dict[str, Any]:
    """A machine that starts at the state `Only`."""
    return {"StartAt": "Only", "States": {"Only": state, **others}}


def chain(*names: str) -> dict[str, Any]:
    """A machine of tasks, one after the other."""
    work = {"Type": "Task", "Resource": FUNCTION}
    states = {name: work | {"Next": after} for name, after in pairwise(names)}
    return {"StartAt": names[0], "States": {**states, names[-1]: TASK}}


def distributed(processor: dict[str, Any] | None = None, **fields: Any) -> dict[str, Any]:
    """A Distributed Map called Only over `$.items`, whose children run one task called Item."""
    inner = processor or {"StartAt": "Item", "States": {"Item": TASK}}
    config = {"ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}}
    items = {} if "ItemReader" in fields else {"ItemsPath": "$.items"}
    return single({"Type": "Map", "ItemProcessor": {**config, **inner}, "End": True, **items, **fields})


# --- behaviours of tasks ------------------------------------------------------------------------------------


def echo(invocation: Invocation) -> list[Outcome]:
    return [Succeeded(token=invocation.token, output=invocation.arguments)]


def answer(output: Json) -> Behaviour:
    return lambda invocation: [Succeeded(token=invocation.token, output=output)]


def fail(error: str, cause: str = "") -> Behaviour:
    return lambda invocation: [Failed(token=invocation.token, error=error, cause=cause)]


def never(_invocation: Invocation) -> list[Outcome]:
    return []


def twice(invocation: Invocation) -> list[Outcome]:
    return echo(invocation) * 2


class Script:
    """An invoker whose tasks behave by the name of their state; `default` where none is named."""

    def __init__(self, default: Behaviour = echo) -> None:
        self.default = default
        self.behaviours: dict[str, Behaviour] = {}
        self.invocations: list[Invocation] = []
        self.cancelled: list[str] = []
        self.closed = False
        self.at_close: Callable[[], None] = lambda: None
        self.sink: Sink

    def accepts(self, _resource: str) -> str | None:
        return None

    invokable = accepts

    def start(self, invocation: Invocation, sink: Sink) -> None:
        self.sink = sink
        self.invocations.append(invocation)
        for outcome in self.behaviours.get(invocation.state_name, self.default)(invocation):
            sink.outcome(outcome)

    def cancel(self, token: str) -> None:
        self.cancelled.append(token)

    def close(self, _grace_s: float) -> None:
        self.at_close()
        self.closed = True

    def of(self, state: str) -> list[Invocation]:
        """What was handed out for a state, in order."""
        return [each for each in self.invocations if each.state_name == state]

    def tell(self, *outcomes: Outcome) -> None:
        """Let outcomes come now."""
        for outcome in outcomes:
            self.sink.outcome(outcome)

    def succeed(self, invocation: Invocation, output: Json = None, written: tuple[Json, ...] = ()) -> None:
        self.tell(Succeeded(token=invocation.token, output=output, written=written))


class World:
    """A store in a folder, and the engine over it as it stands at the moment."""

    def __init__(self, folder: Path, *, aws: AwsAccess | None = None, clock: Clock | None = None) -> None:
        self.path = folder / "store.db"
        self.manual = ManualClock()
        self.clock: Clock = clock or self.manual
        self.aws = aws
        self.script = Script()
        self.names = 0
        self.damaged = False
        """Set by a test that breaks a history on purpose: there is nothing to check then."""
        self.begin()

    def begin(self) -> None:
        """Take the store up, and recover."""
        self.store = Store(self.path)
        self.engine = Engine(
            store=self.store, invoker=self.script, aws=self.aws, clock=self.clock, rng=random.Random(1)
        )
        self.engine._recover()

    def crash(self) -> None:
        """Drop the engine as a kill would: nothing more is committed, nothing in memory stays."""
        self.check()
        self.engine._map_runs.stop()
        self.engine._workers.shutdown()
        self.store.close()

    def restart(self, script: Script | None = None) -> None:
        self.crash()
        self.script = script or Script()
        self.begin()

    def end(self) -> None:
        """Check what must hold, and let go."""
        try:
            self.check()
        finally:
            if self.engine._thread.ident is not None:
                self.engine.close(0)
            else:
                self.engine._map_runs.stop()
                self.engine._workers.shutdown()
            self.store.close()

    def check(self) -> None:
        """Every history obeys the laws; its fold is what the engine holds and what the columns say."""
        if self.damaged:
            return
        held = {live.id: live for live in self.engine._cache}
        rows = self.rows()
        kept = self.store._pages_of([row.id for row in rows])
        for row in rows:
            pages = kept[row.id]
            assert lint(pages) == []

            machine = fold(pages)
            assert (machine.status, machine.wake_at_ms()) == (row.status, row.wake_at_ms)
            if row.id in held and not held[row.id].fresh:
                live = held.pop(row.id)
                assert (live.machine, live.working) == (machine, row.working)
                opened = [work.token for _, work in machine.open_work() if hasattr(work, "plan")]
                assert sorted(live.map_tokens) == opened

    # --- asking -------------------------------------------------------------------------------------------

    def define(self, definition: dict[str, Any], machine: str = "machine") -> tuple[str, int]:
        text = json.dumps(definition)
        return machine, self.store.put_definition(text, yaml=False, now_ms=self.clock.now_ms())

    def request(
        self, of: tuple[str, int] | dict[str, Any], given: Json = None, name: str = "", **more: Any
    ) -> StartRequest:
        machine, definition_id = self.define(of) if isinstance(of, dict) else of
        self.names += 1
        return StartRequest(
            state_machine_arn=state_machine_arn(machine),
            state_machine_name=machine,
            definition_id=definition_id,
            name=name or f"run-{self.names}",
            input={} if given is None else given,
            **more,
        )

    def ask(
        self, of: tuple[str, int] | dict[str, Any], given: Json = None, name: str = ""
    ) -> Future[Started]:
        """Ask for an execution; no turn is taken."""
        return self.engine.start(self.request(of, given, name))

    def start(self, of: tuple[str, int] | dict[str, Any], given: Json = None, name: str = "") -> int:
        """Start an execution and go on until nothing more happens by itself; gives its id."""
        asked = self.ask(of, given, name)
        self.drive()
        return asked.result(0).execution_id

    # --- time ---------------------------------------------------------------------------------------------

    def drive(self) -> None:
        """Take turns until nothing stands in the inbox."""
        while True:
            self.engine.step()
            if self.engine._inbox.empty() and not self.engine._waiting:
                return

    def pass_time(self, ms: int) -> None:
        self.manual.advance(ms)
        self.drive()

    def until(self, holds: Callable[[], bool]) -> None:
        """Take turns until something holds; for what threads beside the engine do (map runs)."""
        for _ in range(PATIENCE):
            self.engine.step(0.0 if holds() else 0.05)
            if holds() and self.engine._inbox.empty():
                return
        raise AssertionError("it did not happen")

    def until_ended(self, execution_id: int) -> ExecutionRow:
        self.until(lambda: self.row(execution_id).status != "RUNNING")
        return self.row(execution_id)

    # --- looking ------------------------------------------------------------------------------------------

    def row(self, execution_id: int) -> ExecutionRow:
        found = self.store.execution(execution_id)
        assert found is not None
        return found

    def rows(self) -> list[ExecutionRow]:
        return sorted(self.store._executions(EXECUTIONS, {}), key=lambda row: row.id)

    def status(self, execution_id: int) -> Status:
        return Status(self.row(execution_id).status)

    def facts(self, execution_id: int, *kinds: type[f.Fact]) -> list[Any]:
        pages = self.store.pages(execution_id)
        return [fact for _, page in pages for fact in page if not kinds or isinstance(fact, kinds)]

    def output(self, execution_id: int) -> Json:
        machine = fold(self.store.pages(execution_id))
        assert machine.status is Status.SUCCEEDED, (machine.error, machine.cause)
        return machine.output

    def error(self, execution_id: int) -> tuple[str | None, str | None]:
        machine = fold(self.store.pages(execution_id))
        assert machine.status is Status.FAILED, machine.status
        return machine.error, machine.cause

    def children(self) -> list[ExecutionRow]:
        """The children of all map runs, by item."""
        return sorted(
            (row for row in self.rows() if row.map_run_id is not None), key=lambda r: r.item_index or 0
        )

    def sql(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Ask the file beside the engine, as another process would."""
        with closing(sqlite3.connect(self.path, isolation_level=None)) as connection:
            return connection.execute(statement, values).fetchall()


def worlds(folder: Path, **options: Any) -> Iterator[World]:
    """For fixtures: a world that is checked on its way out."""
    world = World(folder, **options)
    yield world
    world.end()
