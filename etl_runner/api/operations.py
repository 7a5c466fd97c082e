"""What one can ask of a running service and tell it to do, over HTTP and in the process alike.

All methods are synchronous, may be called from any thread, take and give JSON values (views.py has the
shapes) and raise errors of etl_runner.errors. An execution is named by its ARN, as `WORKFLOW/NAME`, or by its
name alone where only one workflow has an execution of that name.
"""

import uuid
from collections.abc import Sequence
from concurrent.futures import CancelledError, Future
from concurrent.futures import TimeoutError as FutureTimeoutError
from contextlib import suppress
from functools import lru_cache
from threading import Lock
from typing import Final, TypeVar

from etl_runner.api import views
from etl_runner.api.finding import MOST_MADE, Finder, hint
from etl_runner.api.health import health_of
from etl_runner.api.rooms import Rooms
from etl_runner.api.story import tell
from etl_runner.arn import Arn
from etl_runner.asl.bounds import UNBOUNDED
from etl_runner.asl.model import StateMachine
from etl_runner.asl.parse import parse_definition
from etl_runner.clock import to_iso
from etl_runner.engine.machine_shapes import Described
from etl_runner.errors import Conflict, EtlRunnerError, InvalidInput, NotFound, StoreUnavailable
from etl_runner.jsontypes import Json
from etl_runner.machine.aws_history import project
from etl_runner.machine.state import Status
from etl_runner.store.reads import ExecutionDetail, ExecutionQuery, Reads, check_limit

COMMIT_WAIT_S: Final = 30.0
"""How long a caller waits for its request to be on the disk."""

MOST_EVENTS: Final = 100
"""So many events may be put at once."""

MOST_TICKS: Final = 1_000
MOST_NEXT: Final = 1_000

T = TypeVar("T")


class Operations:
    """The operations of one running service."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._reads = Reads(rooms.store)
        self._finder = Finder(rooms, self._reads)
        self._ends: dict[int, Future[Status]] = {}
        self._ends_lock = Lock()

    @property
    def rooms(self) -> Rooms:
        """The service that these are the operations of."""
        return self._rooms

    # --- executions ---------------------------------------------------------------------------------------

    def start_execution(self, workflow: str, input: Json, name: str | None = None) -> dict[str, Json]:  # noqa: A002 -- StartExecution's own word
        """Start an execution and return once it is on the disk; the same name and input start it once.

        Raises NotFound (workflow), InvalidInput (name or input), Conflict (the name is taken by another
        input) and StoreUnavailable (not committed within 30 s).
        """
        machine = self._finder.machine(workflow, running=True)
        name = uuid.uuid4().hex if name is None else name
        asked = self._rooms.launch.launch(workflow=machine, name=name, input=input, origin="api")
        started = self._committed(
            asked, f"the start of {workflow}/{name}", "start it again with the same name"
        )
        return {
            "executionArn": started.arn,
            "workflow": started.arn.split(":")[-2],
            "name": name,
            "startedAt": to_iso(started.started_ms),
            "existed": started.existed,
        }

    def stop_execution(
        self, execution: str, error: str | None = None, cause: str | None = None
    ) -> dict[str, Json]:
        """Stop a running execution and return once that is on the disk.

        Raises NotFound, Conflict (it has ended already) and StoreUnavailable.
        """
        row = self._finder.execution(execution)
        asked = self._rooms.engine.stop(row.id, error=error, cause=cause)
        stopped = self._committed(asked, f"the stop of {row.name}", "look at the execution again")
        after = self._reads.by_id(row.id) or row
        if not stopped:
            raise Conflict(f"the execution {row.name} has ended before ({after.status}); nothing was stopped")
        return views.execution_summary(after, self._now())

    def list_executions(
        self,
        *,
        workflow: str | None = None,
        status: str | None = None,
        origin: str | None = None,
        map_run: str | None = None,
        after_ms: int | None = None,
        before_ms: int | None = None,
        limit: int = 50,
        token: str | None = None,
    ) -> dict[str, Json]:
        """List executions, newest first: `{"executions", "next"}`. Children only with their map run's ARN.

        Raises NotFound (workflow, map run) and InvalidInput (status, limit, token).
        """
        query = ExecutionQuery(
            machine=None if workflow is None else self._finder.machine(workflow),
            status=None if status is None else status.upper(),
            origin=origin,
            map_run=None if map_run is None else self._finder.map_run(map_run),
            after_ms=after_ms,
            before_ms=before_ms,
        )
        page = self._reads.executions(query, limit=limit, token=token)
        now_ms = self._now()
        shown = [views.execution_summary(row, now_ms) for row in page.rows]
        return {"executions": shown, "next": page.next_token}

    def get_execution(self, execution: str) -> dict[str, Json]:
        """Everything about one execution but its history and written objects. Raises NotFound."""
        detail = self._detail(execution)
        definition = _parsed(detail.definition, yaml=detail.yaml)
        return views.execution(
            detail.row,
            tell(definition, detail.pages),
            now_ms=self._now(),
            definition_sha256=definition.sha256,
            map_runs=self._reads.map_runs(detail.row.id),
            progress=self._rooms.engine.progress_of(detail.row.arn),
        )

    def history(
        self,
        execution: str,
        *,
        after: int = 0,
        limit: int = 1_000,
        newest_first: bool = False,
        include_data: bool = True,
    ) -> dict[str, Json]:
        """The events as AWS's GetExecutionHistory has them, `{"events", "next"}`; timestamps are ISO times.

        `next` is what to pass as `after` for those that follow. Raises NotFound and InvalidInput.
        """
        check_limit(limit)
        detail = self._detail(execution)
        definition = _parsed(detail.definition, yaml=detail.yaml)
        region = Arn.parse(detail.row.arn).region
        events = list(project(definition, detail.pages, region=region, include_data=include_data))
        if newest_first:
            wanted = [event for event in reversed(events) if not after or event["id"] < after]
        else:
            wanted = events[after:]
        shown = [{**event, "timestamp": to_iso(event["timestamp"])} for event in wanted[:limit]]
        return {"events": shown, "next": shown[-1]["id"] if len(wanted) > limit else None}

    def written(self, execution: str, *, limit: int = 100, token: str | None = None) -> dict[str, Json]:
        """What an execution and the children of its map runs wrote to S3: `{"objects", "next"}`.

        Raises NotFound and InvalidInput (limit, token).
        """
        page = self._reads.written(self._finder.execution(execution).id, limit=limit, token=token)
        return {"objects": [views.written(row) for row in page.rows], "next": page.next_token}

    def progress(self, execution: str) -> list[Json]:
        """What the running tasks of an execution last said of how far they are. Raises NotFound."""
        return [
            views.task_progress(each)
            for each in self._rooms.engine.progress_of(self._finder.execution(execution).arn)
        ]

    def wait(self, execution: str, timeout_s: float) -> dict[str, Json]:
        """Wait for the end of an execution, at most `timeout_s` seconds; gives it as it stands then.

        Raises NotFound.
        """
        row = self._finder.execution(execution)
        with suppress(FutureTimeoutError, CancelledError):  # the answer says that it has not ended
            self.ending(row.id).result(timeout=max(0.0, timeout_s))
        return self.get_execution(row.arn)

    def execution_id(self, execution: str) -> int:
        """The number of an execution, for `ending`. Raises NotFound."""
        return self._finder.execution(execution).id

    def ending(self, execution_id: int) -> "Future[Status]":
        """A future for an execution's end, one for all who wait. It must not be cancelled."""
        with self._ends_lock:
            found = self._ends.get(execution_id)
            if found is not None:
                return found
            fresh = self._ends[execution_id] = self._rooms.engine.when_ended(execution_id)
        # Outside the lock: when the execution has ended, this calls back at once.
        fresh.add_done_callback(lambda _: self._forget_end(execution_id))
        return fresh

    def _forget_end(self, execution_id: int) -> None:
        with self._ends_lock:
            self._ends.pop(execution_id, None)

    # --- workflows ----------------------------------------------------------------------------------------

    def workflows(self) -> list[Json]:
        """Every workflow by name, then the state machines made through the API; executions by status.

        Of the latter at most 1,000: ListStateMachines gives all of them, in pages.
        """
        config = self._rooms.config
        shown: list[Json] = [
            views.workflow(each, self._reads.counts(each.arn)) for _, each in sorted(config.workflows.items())
        ]
        return shown + [self._made(each) for each in self._rooms.state_machines.made(limit=MOST_MADE)]

    def workflow(self, name: str) -> dict[str, Json]:
        """One workflow, or state machine, with its definition's text. Raises NotFound and InvalidInput."""
        arn = self._finder.machine(name, running=True)
        for found in self._rooms.config.workflows.values():
            if found.arn == arn:
                shown = views.workflow(found, self._reads.counts(arn))
                return {**shown, "definition": found.text, "yaml": found.yaml}
        made = self._rooms.state_machines.get(arn)
        text = self._rooms.state_machines.definition(made.revision.definition_id)
        return {**self._made(made), "definition": text, "yaml": False}

    def _made(self, made: Described) -> dict[str, Json]:
        parsed = self._rooms.state_machines.parsed(made.revision.definition_id)
        return views.made(made, parsed, self._reads.counts(made.machine.arn))

    # --- schedules and events -----------------------------------------------------------------------------

    def schedules(self) -> list[Json]:
        """Every schedule by name, with its next tick and the last."""
        return [views.schedule(each) for each in self._rooms.schedules.describe()]

    def schedule_next(self, name: str | None = None, count: int = 5) -> list[Json]:
        """The next ticks of one schedule or of all, soonest first. Raises NotFound and InvalidInput."""
        check_limit(count, MOST_NEXT)
        self._check_schedule(name)
        return [views.next_tick(each) for each in self._rooms.schedules.next(name, count)]

    def pause(self, name: str) -> dict[str, Json]:
        """Let a schedule's ticks pass without firing. Raises NotFound and StoreUnavailable."""
        self._check_schedule(name)
        self._rooms.schedules.pause(name)
        return self._schedule(name)

    def resume(self, name: str) -> dict[str, Json]:
        """Let a schedule fire again. Raises NotFound and StoreUnavailable."""
        self._check_schedule(name)
        self._rooms.schedules.resume(name)
        return self._schedule(name)

    def fire(self, name: str, fire_id: str | None = None) -> dict[str, Json]:
        """Start a schedule's workflow now. The same `fire_id` starts it once.

        Raises NotFound, InvalidInput, Conflict, StatesError (the input's template) and StoreUnavailable.
        """
        self._check_schedule(name)
        return views.fired(self._rooms.schedules.fire(name, fire_id=fire_id))

    def ticks(
        self, schedule: str | None = None, *, limit: int = 100, before_ms: int | None = None
    ) -> list[Json]:
        """What became of the newest ticks of one schedule or of all. Raises NotFound and InvalidInput."""
        check_limit(limit, MOST_TICKS)
        return [views.tick(row) for row in self._rooms.schedules.ticks(schedule, limit, before_ms=before_ms)]

    def put_events(self, events: Sequence[Json]) -> dict[str, Json]:
        """Put full events, each by itself, and return once all is on the disk: `{"events", "failed"}`.

        An event's answer is `{"eventId", "matches"}`, or `{"error"}` when it was not taken. Raises
        InvalidInput when there are none or too many.
        """
        if not 1 <= len(events) <= MOST_EVENTS:
            raise InvalidInput(f"{len(events)} events were put; from 1 to {MOST_EVENTS} can be put at once")
        answers = self._rooms.events.put_all(events)
        shown = [
            {"error": views.error(each)} if isinstance(each, EtlRunnerError) else views.event_taken(each)
            for each in answers
        ]
        return {"events": shown, "failed": sum("error" in each for each in shown)}

    def put_entries(self, entries: Sequence[Json]) -> list[Json]:
        """Put entries as AWS's PutEvents has them; gives its answers, one for each."""
        return self._rooms.events.put(entries)

    def event_matches(self, *, limit: int = 100, before_ms: int | None = None) -> list[Json]:
        """Which event started what, or why not, the newest first. Raises InvalidInput (limit)."""
        check_limit(limit)
        return [views.event_match(row) for row in self._rooms.events.matches(limit, before_ms=before_ms)]

    # --- health -------------------------------------------------------------------------------------------

    def health(self) -> dict[str, Json]:
        """How the service is, see health.py. May take a few seconds when it is unwell."""
        return health_of(self._rooms, self._reads)

    # --- finding ------------------------------------------------------------------------------------------

    def _now(self) -> int:
        return self._rooms.clock.now_ms()

    def _committed(self, asked: "Future[T]", what: str, remedy: str) -> T:
        """Wait for a commit. A request that was not answered still stands in the engine's inbox."""
        try:
            return asked.result(timeout=COMMIT_WAIT_S)
        except (FutureTimeoutError, CancelledError):
            why = self._rooms.engine.trouble or "the engine is busy or the service is stopping"
            raise StoreUnavailable(
                f"{what} is not on the disk after {COMMIT_WAIT_S:.0f} s and may still come about: {why}; "
                f"{remedy} to find out"
            ) from None

    def _detail(self, execution: str) -> ExecutionDetail:
        detail = self._reads.detail(self._finder.execution(execution).id)
        assert detail is not None  # executions are not removed
        return detail

    def _check_schedule(self, name: str | None) -> None:
        schedules = self._rooms.config.schedules
        if name is not None and name not in schedules:
            raise NotFound(f"there is no schedule {name!r}; {hint(name, schedules)}")

    def _schedule(self, name: str) -> dict[str, Json]:
        status = next(each for each in self._rooms.schedules.describe() if each.name == name)
        return views.schedule(status)


@lru_cache(maxsize=32)
def _parsed(text: str, *, yaml: bool) -> StateMachine:
    return parse_definition(text, yaml=yaml, bounds=UNBOUNDED)
