"""Telling the world of what was committed: status changes to EventBridge, histories to CloudWatch Logs.

A thread of its own reads pages of facts after their commit; it never holds up a turn. What must not be lost
stands in the outbox, committed with the page and deleted once it was told: so it is told at least once. Of
Express executions nothing is written; they are told of as long as there is room, as AWS has it.
"""

import time
from collections import OrderedDict, deque
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from threading import Condition, Thread
from typing import Final, TypeAlias

import structlog

from etl_runner.arn import Arn
from etl_runner.asl import model
from etl_runner.aws import AwsAccess
from etl_runner.engine.deliver import Delivery, Parcel
from etl_runner.engine.knocks import Told
from etl_runner.engine.live import Definitions, Live
from etl_runner.engine.published import CHANGES, is_logged, log_groups, log_line, status_event
from etl_runner.errors import EtlRunnerError
from etl_runner.jsontypes import Json, loads
from etl_runner.machine import facts as f
from etl_runner.machine.aws_history import Projector
from etl_runner.machine.state import Machine, begin, evolve
from etl_runner.store.outbox import pages_to_tell
from etl_runner.store.store import Store

_log = structlog.get_logger("publish")

MOST_WAITING: Final = 10_000
"""So many pages may wait in memory; further ones are read from the outbox when there is room."""

BATCH: Final = 200
MOST_STORIES: Final = 1_000
MOST_LATE: Final = 50
"""So many batches may wait for places that take nothing now; then no further one is begun."""

LOOK_S: Final = 1.0
AGAIN_S: Final = 0.5
"""How often what is late is looked at; see deliver.py for how often a place is tried."""

_Pages: TypeAlias = Sequence[tuple[int, Sequence[f.Fact]]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Page:
    """Facts that were committed together, and whose they are.

    `history` are all pages of an execution that is in no table, this one among them. `tell_status` says that
    EventBridge is to hear of it.
    """

    execution_id: int
    seq: int
    at_ms: int
    facts: Sequence[f.Fact]
    arn: str
    definition: model.StateMachine
    logging: Json
    tell_status: bool
    history: _Pages | None = None

    @property
    def key(self) -> tuple[int, int]:
        """Its row in the outbox."""
        return self.execution_id, self.seq


@dataclass(slots=True)
class _Story:
    """How far the telling of one execution is: facts up to `next_seq` were taken."""

    machine: Machine
    projector: Projector
    next_seq: int = 0


@dataclass(frozen=True, slots=True)
class _Batch:
    """What some pages say, as far as it is still to be delivered."""

    parcel: Parcel
    pages: Sequence[Page]


class Publisher:
    """Tells of pages. `put` is for the engine's thread; the rest is done by a thread of its own."""

    def __init__(
        self,
        store: Store,
        definitions: Definitions,
        aws: AwsAccess,
        told: Callable[[Told], None],
        *,
        tell_status: bool,
    ) -> None:
        self._store = store
        self._told = told
        self._tell_status = tell_status
        self._delivery = Delivery(aws)
        self._definitions = definitions
        self._stories: OrderedDict[int, _Story] = OrderedDict()
        self._waiting: deque[Page] = deque()
        self._late: list[_Batch] = []
        self._known: set[tuple[int, int]] = set()
        self._behind = True
        self._stopping = False
        self._changed = Condition()
        self._thread = Thread(target=self._run, name="publish", daemon=True)

    # --- doors --------------------------------------------------------------------------------------------

    def open(self) -> None:
        """Begin, with what an earlier process left in the outbox."""
        self._thread.start()

    def close(self, grace_s: float) -> None:
        """Tell what is waiting, for up to `grace_s` seconds; the outbox keeps the rest for the next start."""
        with self._changed:
            self._stopping = True
            self._changed.notify()
        if self._thread.ident is not None:
            self._thread.join(grace_s)

    def put(self, live: Live, at_ms: int, facts: Sequence[f.Fact]) -> None:
        """A page that is to be told of was committed."""
        page = Page(
            execution_id=live.id,
            seq=live.machine.facts - len(facts),
            at_ms=at_ms,
            facts=facts,
            arn=live.arn,
            definition=live.definition,
            logging=live.logging,
            tell_status=self._tell_status and not live.volatile and live.map_run_id is None,
            history=live.pages if live.volatile else None,
        )
        with self._changed:
            if page.key in self._known:
                return
            if len(self._waiting) >= MOST_WAITING:
                self._no_room(page)
                return
            self._known.add(page.key)
            self._waiting.append(page)
            self._changed.notify()

    def forget(self, keys: Iterable[tuple[int, int]]) -> None:
        """These rows have left the outbox."""
        with self._changed:
            self._known.difference_update(keys)

    def _no_room(self, page: Page) -> None:
        if page.history is None:
            self._behind = True
        else:
            _log.warning("the log cannot keep up: events of an Express execution are left out", arn=page.arn)

    # --- the thread ---------------------------------------------------------------------------------------

    def _run(self) -> None:
        while True:
            try:
                pages = self._next()
                if pages is None:
                    self._delivery.hurry()
                    self._deliver()
                    return
                if pages:
                    self._late.append(_Batch(self._packed(pages), pages))
                self._deliver()
            except Exception:  # noqa: BLE001 -- whatever it is, this thread must not end of it
                _log.exception("the outbox could not be read; it is tried again")
                if self._stopping:
                    return
                self._pause(LOOK_S)

    def _next(self) -> list[Page] | None:
        """The next pages, none when it is time for what is late, None when the end has come."""
        with self._changed:
            full = len(self._late) >= MOST_LATE
            if full:
                self._changed.wait_for(lambda: self._stopping, AGAIN_S)
            else:
                again = AGAIN_S if self._late else None
                self._changed.wait_for(lambda: self._waiting or self._behind or self._stopping, again)
            if not self._stopping and (full or not (self._waiting or self._behind)):
                return []
            pages = [self._waiting.popleft() for _ in range(min(BATCH, len(self._waiting)))]
        if pages:
            return pages
        if self._stopping:
            return None
        return self._read_outbox()

    def _read_outbox(self) -> list[Page]:
        with self._changed:
            self._behind = False
            most = BATCH + len(self._known)
        keys = pages_to_tell(self._store, most)
        with self._changed:
            wanted = [key for key in keys if key not in self._known][:BATCH]
            self._known.update(wanted)
            self._behind = self._behind or len(keys) == most
        return [page for key in wanted if (page := self._load(*key)) is not None]

    def _load(self, execution_id: int, seq: int) -> Page | None:
        try:
            row = self._store.execution(execution_id)
            if row is None:
                return None  # it was forgotten meanwhile
            definition = self._definitions.get(row.definition_id)
            _, at_ms, facts = _split(self._store.pages(execution_id), seq)
        except (EtlRunnerError, ValueError) as error:
            _log.error("what is in the outbox cannot be told", execution_id=execution_id, error=str(error))
            return None
        return Page(
            execution_id=execution_id,
            seq=seq,
            at_ms=at_ms,
            facts=facts,
            arn=row.arn,
            definition=definition,
            logging=None if row.logging is None else loads(row.logging),
            tell_status=self._tell_status and row.map_run_id is None,
        )

    def _packed(self, pages: Sequence[Page]) -> Parcel:
        parcel = Parcel()
        for page in pages:
            try:
                self._pack(page, parcel)
            except Exception:  # noqa: BLE001 -- one history's fault must not keep the others from being told
                _log.exception("an execution could not be told of", execution=page.arn)
                self._stories.pop(page.execution_id, None)
        return parcel

    def _deliver(self) -> None:
        """Deliver what can be, the oldest first. The rows of what was told may go."""
        for batch in list(self._late):
            if not self._delivery.deliver(batch.parcel):
                continue
            self._late.remove(batch)
            keys = tuple(page.key for page in batch.pages if page.history is None)
            with self._changed:
                self._known.difference_update(page.key for page in batch.pages if page.history is not None)
            if keys:
                self._told(Told(pages=keys))

    def _pause(self, seconds: float) -> None:
        until = time.monotonic() + seconds
        with self._changed:
            while not self._stopping and (left := until - time.monotonic()) > 0:
                self._changed.wait(left)

    # --- what a page says ---------------------------------------------------------------------------------

    def _pack(self, page: Page, parcel: Parcel) -> None:
        story = self._story(page)
        groups = log_groups(page.logging) if page.logging else ()
        for fact in page.facts:
            if groups:
                self._log(page, story, fact, groups, parcel)
            if not isinstance(fact, f.ExecutionStarted):
                evolve(story.machine, fact, page.at_ms)
            if page.tell_status and isinstance(fact, CHANGES):
                region = Arn.parse(page.arn).region
                parcel.events.setdefault(region, []).append(status_event(story.machine, page.at_ms))
        story.next_seq = page.seq + len(page.facts)
        self._keep(page, story)

    @staticmethod
    def _log(
        page: Page, story: _Story, fact: f.Fact, groups: Sequence[tuple[str, str]], parcel: Parcel
    ) -> None:
        level = page.logging["level"]
        redrives = story.machine.redrives + isinstance(fact, f.ExecutionRedriven)
        for event in story.projector.take(fact, page.at_ms):
            if is_logged(str(event["type"]), level):
                line = log_line(event, page.arn, redrives)
                for region, group in groups:
                    machine_arn = story.machine.start.state_machine_arn
                    parcel.lines.setdefault((region, group, machine_arn), []).append((page.at_ms, line))

    def _story(self, page: Page) -> _Story:
        """The story as it stands before this page, from the facts when it was not followed so far."""
        story = self._stories.get(page.execution_id)
        if story is not None and story.next_seq == page.seq:
            return story
        before: _Pages = ()
        if page.seq:
            all_pages = self._store.pages(page.execution_id) if page.history is None else page.history
            before = _split(all_pages, page.seq)[0]
        first = before[0][1][0] if before else page.facts[0]
        assert isinstance(first, f.ExecutionStarted)
        region = Arn.parse(page.arn).region
        include = bool((page.logging or {}).get("includeExecutionData", False))
        story = _Story(
            machine=begin(first, before[0][0] if before else page.at_ms),
            projector=Projector(page.definition, region=region, include_data=include),
        )
        for at_ms, facts in before:
            for fact in facts:
                if page.logging:
                    story.projector.take(fact, at_ms)
                if fact is not first:
                    evolve(story.machine, fact, at_ms)
        return story

    def _keep(self, page: Page, story: _Story) -> None:
        self._stories.pop(page.execution_id, None)
        if story.machine.status == "RUNNING" and page.logging:
            self._stories[page.execution_id] = story
            if len(self._stories) > MOST_STORIES:
                self._stories.popitem(last=False)


def _split(pages: _Pages, seq: int) -> tuple[_Pages, int, Sequence[f.Fact]]:
    """The pages before the one that begins at `seq`, and that one. Raises ValueError when none does."""
    count = 0
    for number, (at_ms, facts) in enumerate(pages):
        if count == seq:
            return pages[:number], at_ms, facts
        count += len(facts)
    raise ValueError(f"no page of facts begins at {seq}")
