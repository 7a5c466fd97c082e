"""Events start workflows: each event starts each rule that it matches once, however often it comes.

What became of an event under a rule is a row of the ledger with the key (event id, rule), committed together
with the execution, whose name comes from the same two. So an event that comes again, be it because its sender
was never answered or because a queue delivered it twice, starts nothing and gets the same answer.
"""

import hashlib
import random
import re
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from threading import Condition
from typing import Any, Final

import structlog

from etl_runner.arn import DEFAULT_ACCOUNT, DEFAULT_REGION
from etl_runner.asl.dataflow import Template
from etl_runner.asl.selector import PlainEnv
from etl_runner.clock import Clock
from etl_runner.errors import Conflict, EtlRunnerError, InvalidInput, StoreError
from etl_runner.jsontypes import Json
from etl_runner.schedule.commits import committed
from etl_runner.schedule.launcher import Launcher
from etl_runner.schedule.patterns import Pattern
from etl_runner.schedule.put_events import EntryRefused, checked_event, event_of_entry
from etl_runner.store.ledger import EventMatchRow, Ledger, event_match_row
from etl_runner.store.store import Store

_log = structlog.get_logger("events")

NAME_LIMIT: Final = 80  # StartExecution's bound on `name`
REASON_LIMIT: Final = 2_000

_UUID: Final = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.ASCII)


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class RuleSpec:
    """One rule as the configuration has it. Without a `template` the execution's input is the whole event."""

    name: str
    pattern: Pattern
    workflow: str
    template: Template | None = None
    enabled: bool = True
    description: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTaken:
    """An event that is on the disk, with what became of it under each rule that it matched."""

    event_id: str
    matches: tuple[EventMatchRow, ...]


@dataclass(slots=True)
class _Started:
    """One event under one rule, handed over."""

    event_id: str
    rule: RuleSpec
    future: "Future[Any] | None" = None
    error: Exception | None = None


class EventService:
    """Takes events and starts what they match. May be called from any thread."""

    def __init__(
        self,
        store: Store,
        launcher: Launcher,
        clock: Clock,
        *,
        account: str = DEFAULT_ACCOUNT,
        region: str = DEFAULT_REGION,
        new_id: Callable[[], str] = lambda: str(uuid.uuid4()),
    ) -> None:
        self._ledger = Ledger(store)
        self._launcher = launcher
        self._clock = clock
        self._account = account
        self._region = region
        self._new_id = new_id
        self._rules: tuple[RuleSpec, ...] = ()
        self._busy: set[str] = set()
        self._busy_changed = Condition()

    def apply(self, rules: Iterable[RuleSpec]) -> None:
        """Take these rules for the ones there are. Raises InvalidInput when a name comes twice."""
        by_name: dict[str, RuleSpec] = {}
        for rule in rules:
            if by_name.setdefault(rule.name, rule) is not rule:
                raise InvalidInput(f"there are two rules named {rule.name!r}; give each its own name")
        self._rules = tuple(by_name.values())

    def rules(self) -> list[RuleSpec]:
        """The rules in force, by name."""
        return sorted(self._rules, key=lambda rule: rule.name)

    def matches(self, limit: int = 100, *, before_ms: int | None = None) -> list[EventMatchRow]:
        """The newest rows of the ledger: which event started what, or why not. Raises StoreUnavailable."""
        return self._ledger.matches(limit, before_ms=before_ms)

    def put(self, entries: Sequence[Json]) -> list[Json]:
        """Take entries as PutEvents has them (Source, DetailType, Detail ...), each by itself.

        Gives for each `{"EventId"}` once it is committed, or `{"ErrorCode", "ErrorMessage"}`. InternalFailure
        is worth another try; the others are not. How many entries a request may have is the edge's business.
        """
        now_ms = self._clock.now_ms()
        events: list[Json | EntryRefused] = []
        for entry in entries:
            try:
                event = event_of_entry(
                    entry,
                    event_id=self._new_id(),
                    now_ms=now_ms,
                    account=self._account,
                    region=self._region,
                )
            except EntryRefused as refused:
                events.append(refused)
            else:
                events.append(event)
        sound = [event for event in events if not isinstance(event, EntryRefused)]
        answers = iter(self.put_all(sound))
        return [_entry_answer(each if isinstance(each, EntryRefused) else next(answers)) for each in events]

    def put_event(self, event: Json) -> EventTaken:
        """Take a full event, with an id of its own or a new one. Returns once it is committed.

        Raises InvalidInput when it is no event, StoreUnavailable when it could not be committed.
        """
        (answer,) = self.put_all([event])
        if isinstance(answer, Exception):
            raise answer
        return answer

    def put_all(self, events: Sequence[Json]) -> list[EventTaken | EtlRunnerError]:
        """Take full events together, waiting for the commits at the end; one's fault is no other's."""
        answers: dict[int, EventTaken | EtlRunnerError] = {}
        checked = [self._checked(event) for event in events]
        waiting: dict[int, dict[str, Json]] = {}
        for index, event in enumerate(checked):
            if isinstance(event, EtlRunnerError):
                answers[index] = event
            else:
                waiting[index] = event
        while waiting:
            ours = self._claim(waiting)
            try:
                begun = {index: self._begin(waiting.pop(index)) for index in ours}
                for index, each in begun.items():
                    answers[index] = each if isinstance(each, EtlRunnerError) else self._finish(*each)
            finally:
                self._release(ours.values())
        return [answers[index] for index in range(len(checked))]

    # --- one event ----------------------------------------------------------------------------------------

    def _checked(self, event: Json) -> dict[str, Json] | EtlRunnerError:
        now_ms = self._clock.now_ms()
        try:
            return checked_event(
                event, event_id=self._new_id(), now_ms=now_ms, account=self._account, region=self._region
            )
        except InvalidInput as error:
            return error

    def _claim(self, waiting: Mapping[int, Mapping[str, Json]]) -> dict[int, str]:
        """Choose those whose id nobody is busy with; waits until there is one. Gives their ids by index.

        The ledger's key alone would do, but every collision there costs the engine a whole turn.
        """
        with self._busy_changed:
            while True:
                ours: dict[int, str] = {}
                for index, event in waiting.items():
                    if event["id"] not in self._busy:
                        self._busy.add(event["id"])
                        ours[index] = event["id"]
                if ours:
                    return ours
                self._busy_changed.wait()

    def _release(self, event_ids: Iterable[str]) -> None:
        with self._busy_changed:
            self._busy.difference_update(event_ids)
            self._busy_changed.notify_all()

    def _begin(self, event: Mapping[str, Json]) -> tuple[str, list[_Started]] | EtlRunnerError:
        """Hand over the starts of an event, without waiting for them."""
        now_ms = self._clock.now_ms()
        event_id: str = event["id"]
        try:
            matching = [rule for rule in self._rules if rule.enabled and rule.pattern.matches(event)]
            known = self._ledger.matches_of(event_id) if matching else {}
        except EtlRunnerError as error:
            return error
        return event_id, [
            self._start(event, event_id, rule, now_ms) for rule in matching if rule.name not in known
        ]

    def _start(self, event: Mapping[str, Json], event_id: str, rule: RuleSpec, now_ms: int) -> _Started:
        started = _Started(event_id, rule)
        try:
            started.future = self._launcher.launch(
                workflow=rule.workflow,
                name=execution_name(rule.name, event_id),
                input=_input_of(rule, event, event_id),
                origin=f"rule:{rule.name}",
                event_match=event_match_row(event_id, rule.name, recorded_ms=now_ms),
            )
        except Exception as error:  # noqa: BLE001 -- this rule's fault is no other's
            started.error = error
        return started

    def _finish(self, event_id: str, all_started: list[_Started]) -> EventTaken | EtlRunnerError:
        """Wait until everything of an event is committed, refusals too."""
        failure: EtlRunnerError | None = None
        for started in all_started:
            try:
                self._settle(started)
            except EtlRunnerError as error:
                failure = error
        if failure is not None:
            return failure
        try:
            matches = self._ledger.matches_of(event_id)
        except StoreError as error:
            return error
        return EventTaken(event_id=event_id, matches=tuple(matches[name] for name in sorted(matches)))

    def _settle(self, started: _Started) -> None:
        """See to it that one event under one rule has its row. Raises StoreUnavailable or Conflict."""
        what = f"event {started.event_id!r}"
        error = started.error
        if started.future is not None:
            try:
                committed(started.future, what)
            except StoreError:
                raise
            except Exception as failed:  # noqa: BLE001 -- whatever refused it is the reason in its row
                error = failed
        if error is None:
            return
        if isinstance(error, StoreError):
            raise error
        if isinstance(error, Conflict) and started.rule.name in self._ledger.matches_of(started.event_id):
            return  # someone else put the same event at the same time
        reason = (str(error) or type(error).__name__)[:REASON_LIMIT]
        _log.error(
            "an event could not start its workflow",
            event_id=started.event_id,
            rule=started.rule.name,
            reason=reason,
        )
        row = event_match_row(
            started.event_id,
            started.rule.name,
            recorded_ms=self._clock.now_ms(),
            outcome="failed",
            reason=reason,
        )
        try:
            committed(self._launcher.record(event_matches=[row]), what)
        except Conflict:
            if started.rule.name not in self._ledger.matches_of(started.event_id):
                raise


@dataclass(frozen=True, slots=True, kw_only=True)
class _EventEnv(PlainEnv):
    """What a rule's template looks at. The same event draws the same random values each time."""

    input: Json
    rng: random.Random
    context: Json = field(default_factory=dict)


def _input_of(rule: RuleSpec, event: Json, event_id: str) -> Json:
    if rule.template is None:
        return event
    rng = random.Random(f"{rule.name} {event_id}")  # noqa: S311 -- repeatable on purpose, guards nothing
    return rule.template.evaluate(_EventEnv(input={"event": event, "rule": {"name": rule.name}}, rng=rng))


def execution_name(rule: str, event_id: str) -> str:
    """The name of the execution that an event starts under a rule: RULE-EVENTID where the id is a UUID.

    Any other id, and a name that would be too long, gives the rule (cut where needed) and a hash of both:
    ids are the sender's choice, and two pairs must never meet in one name.
    """
    if _UUID.fullmatch(event_id) and len(rule) + 37 <= NAME_LIMIT:
        return f"{rule}-{event_id}"
    digest = hashlib.sha256(f"{rule}\0{event_id}".encode()).hexdigest()[:32]
    return f"{rule[: NAME_LIMIT - 33]}-{digest}"


def _entry_answer(answer: EventTaken | EtlRunnerError) -> Json:
    match answer:
        case EventTaken():
            return {"EventId": answer.event_id}
        case EntryRefused():
            return {"ErrorCode": answer.code, "ErrorMessage": str(answer)}
        case InvalidInput():
            return {"ErrorCode": "InvalidArgument", "ErrorMessage": str(answer)}
        case _:
            return {"ErrorCode": "InternalFailure", "ErrorMessage": str(answer)}
