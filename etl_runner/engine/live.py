"""Executions in memory: loaded by folding their facts, kept while they work, dropped while they only wait."""

from collections import OrderedDict
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

import structlog

from etl_runner.asl import model
from etl_runner.asl.bounds import UNBOUNDED
from etl_runner.asl.parse import parse_definition
from etl_runner.engine.knocks import StartRequest
from etl_runner.errors import StoreUnavailable
from etl_runner.jsontypes import Json, loads
from etl_runner.machine.facts import Fact, Token
from etl_runner.machine.state import Frame, Machine, OpenMapRun, OpenTask, Status, fold
from etl_runner.machine.states.task import is_activity
from etl_runner.store.store import ExecutionRow, Store

_log = structlog.get_logger("engine")

KEEP: Final = 5_000
"""How many executions that hold no hand-out may stay in memory; the rest are folded again when needed."""

_JOBS: Final = (".sync", ".sync:2")


@dataclass(slots=True)
class Live:
    """One execution in memory, and what the store last heard of it.

    `fresh` are facts not yet committed; `new` says that the execution's own row is not there yet.
    `map_tokens` are the open tokens that map runs hold, `task_tokens` those with a row of their own.
    `logging` is the logging configuration under which it was started, where that asks for anything.
    `request` is what an Express one was started by.

    A `volatile` one (Express) is in no table: `pages` is all that is known of it. `acknowledged` says that a
    row asks for it to be run again after a crash.
    """

    id: int
    arn: str
    state_machine_arn: str
    name: str
    origin: str
    input_sha256: str
    definition_id: int
    definition: model.StateMachine
    machine: Machine
    map_run_id: int | None = None
    item_index: int | None = None
    new: bool = False
    kept_working: bool = False
    kept_wake_ms: int | None = None
    fresh: list[Fact] = field(default_factory=list)
    map_tokens: set[Token] = field(default_factory=set)
    task_tokens: set[Token] = field(default_factory=set)
    logging: Json = None
    request: StartRequest | None = None
    volatile: bool = False
    acknowledged: bool = False
    pages: list[tuple[int, list[Fact]]] = field(default_factory=list)

    @property
    def working(self) -> bool:
        """Whether a task or a map run of it is handed out by this process."""
        machine = self.machine
        if machine.status is not Status.RUNNING:
            return False
        for frame_id in machine.tokens.values():
            frame = machine.frames[frame_id]
            if isinstance(frame.open, OpenMapRun) or self.holds(frame):
                return True
        return False

    def holds(self, frame: Frame) -> bool:
        """Whether the frame's task is an invoker's to work on.

        A task that was submitted is its service's, unless it is a job of the `.sync` form: whoever started
        it looks for its end. An activity's task is its worker's.
        """
        work = frame.open
        if not isinstance(work, OpenTask):
            return False
        if work.task_token is None:
            return not work.submitted
        state = self.definition.scopes[frame.scope].states[frame.state or ""]
        assert isinstance(state, model.TaskState)
        if work.submitted:
            return state.resource.endswith(_JOBS)
        return not is_activity(state.resource)

    def undo(self) -> bool:
        """Be as it was after the last commit. False when nothing of it had been committed."""
        if self.new or not self.volatile:
            return False
        self.machine = fold(self.pages)
        self.fresh = []
        return True


MOST_PARSED: Final = 2_000
"""So many definitions are kept parsed; a state machine made by a test and deleted leaves its own behind."""


class Definitions:
    """Parsed definitions by the id of their text: each is parsed once."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._parsed: dict[int, model.StateMachine] = {}

    def get(self, definition_id: int) -> model.StateMachine:
        """Give the parsed definition. Raises DefinitionError when this release refuses an older text."""
        found = self._parsed.get(definition_id)
        if found is not None:
            return found
        text, yaml = self._store.definition_text(definition_id)
        # It was held to the bounds when it was taken, which may have been wider ones than those of now.
        found = parse_definition(text, yaml=yaml, bounds=UNBOUNDED)
        self.put(definition_id, found)
        return found

    def put(self, definition_id: int, parsed: model.StateMachine) -> None:
        """Keep what somebody else has parsed."""
        if len(self._parsed) >= MOST_PARSED:
            # Whoever runs one has it in hand; the others are parsed again when they are asked for.
            self._parsed.clear()
        self._parsed[definition_id] = parsed


class LiveCache:
    """The executions in memory."""

    def __init__(self, store: Store, definitions: Definitions) -> None:
        self._store = store
        self._definitions = definitions
        self._live: OrderedDict[int, Live] = OrderedDict()
        self._unloadable: set[int] = set()

    def __len__(self) -> int:
        return len(self._live)

    def __iter__(self) -> Iterator[Live]:
        return iter(self._live.values())

    def add(self, live: Live) -> None:
        """Keep a new execution."""
        self._live[live.id] = live

    def peek(self, execution_id: int) -> Live | None:
        """Give an execution if it is in memory."""
        return self._live.get(execution_id)

    def drop(self, execution_id: int) -> None:
        """Forget an execution; it is folded again when needed."""
        self._live.pop(execution_id, None)

    def get(self, execution_id: int) -> Live | None:
        """Give a running execution, folding it when it is not in memory; None when none runs by that id.

        One that cannot be folded (damaged, or of a release to come) is logged once and passed over: it
        concerns nobody else. Raises StoreUnavailable.
        """
        live = self._live.get(execution_id)
        if live is not None:
            return live
        row = self._store.execution(execution_id)
        if row is None or row.status != Status.RUNNING:
            return None
        return self.load(row)

    def load(self, row: ExecutionRow) -> Live | None:
        """Fold an execution, whatever its status; None when that is not possible. Raises StoreUnavailable."""
        execution_id = row.id
        try:
            live = self._live[execution_id] = self._load(row)
        except StoreUnavailable:
            raise
        except Exception as error:  # noqa: BLE001 -- data from the disk: anything may be wrong with it
            if execution_id not in self._unloadable:
                self._unloadable.add(execution_id)
                _log.error("an execution cannot be loaded", execution=row.arn, error=str(error))
            return None
        return live

    def _load(self, row: ExecutionRow) -> Live:
        machine = fold(self._store.pages(row.id))
        return Live(
            id=row.id,
            arn=row.arn,
            state_machine_arn=row.state_machine_arn,
            name=row.name,
            origin=row.origin,
            input_sha256=row.input_sha256,
            definition_id=row.definition_id,
            definition=self._definitions.get(row.definition_id),
            machine=machine,
            map_run_id=row.map_run_id,
            item_index=row.item_index,
            kept_working=row.working,
            kept_wake_ms=row.wake_at_ms,
            map_tokens={work.token for _, work in machine.open_work() if isinstance(work, OpenMapRun)},
            task_tokens={
                work.token
                for _, work in machine.open_work()
                if isinstance(work, OpenTask) and work.task_token is not None
            },
            logging=None if row.logging is None else loads(row.logging),
        )

    def undo(self, live: Live) -> None:
        """What a turn decided of an execution was not committed."""
        if not live.undo():
            self.drop(live.id)

    def trim(self) -> None:
        """Drop those that only wait, oldest first, when there are too many."""
        if len(self._live) <= KEEP:
            return
        idle = [
            live.id for live in self._live.values() if not (live.kept_working or live.fresh or live.volatile)
        ]
        for execution_id in idle[: len(self._live) - KEEP]:
            del self._live[execution_id]
