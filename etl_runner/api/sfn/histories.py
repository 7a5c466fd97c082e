"""Execution histories as GetExecutionHistory gives them: made once, kept for those who page through them.

Facts are only ever added, so what was made of them holds for good: whoever asks again for an execution that
has gone on pays for what is new, and the next page of a long history costs no more than its bytes.
"""

from collections import OrderedDict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Lock
from typing import Final

import msgspec

from etl_runner.arn import Arn
from etl_runner.asl.model import StateMachine
from etl_runner.jsontypes import Json, dumps, loads
from etl_runner.machine.aws_events import HistoryEvent
from etl_runner.machine.aws_history import Projector
from etl_runner.machine.facts import ExecutionStarted
from etl_runner.machine.limits import AWS, Limits
from etl_runner.machine.redrive import redrive_refusal
from etl_runner.store.reads import ExecutionSummary, Reads
from etl_runner.store.store import Store

MOST_BYTES: Final = 64 * 1_048_576
"""How much of histories is kept: about ten of the longest with small payloads."""

LEAST_BYTES: Final = 4_096
"""What keeping a history costs beside its text, which is as large as the data that goes with it.

Where the text shows no data, it is as much as a state may have.
"""


@dataclass(slots=True)
class _Kept:
    """One history so far. `seq` is the number of the fact that comes next."""

    projector: Projector
    size_bytes: int
    events: list[bytes] = field(default_factory=list)
    seq: int = 0


class Histories:
    """The histories of one store. For any thread."""

    def __init__(
        self,
        store: Store,
        definition: Callable[[int], StateMachine],
        *,
        limits: Limits = AWS,
        most_bytes: int = MOST_BYTES,
    ) -> None:
        """`definition` gives the parsed definition of an id, `limits` are those of executions."""
        self._reads = Reads(store)
        self._definition = definition
        self._limits = limits
        self._most_bytes = most_bytes
        self._bytes = 0
        self._kept: OrderedDict[tuple[int, bool], _Kept] = OrderedDict()
        self._lock = Lock()

    def events(self, row: ExecutionSummary, *, include_data: bool = True) -> Sequence[bytes]:
        """All events of an execution up to now, each as JSON text. Raises StoreError."""
        with self._up_to_date(row, include_data=include_data) as kept:
            return tuple(kept.events)

    def last(self, row: ExecutionSummary) -> HistoryEvent:
        """The newest event of an execution. Raises StoreError."""
        with self._up_to_date(row) as kept:
            event: HistoryEvent = loads(kept.events[-1])
        return event

    def redrive_refusal(self, row: ExecutionSummary) -> str | None:
        """Why an execution could not go on again, see machine/redrive.py. Raises StoreError."""
        with self._up_to_date(row) as kept:
            return redrive_refusal(kept.projector.machine, self._limits)

    @contextmanager
    def _up_to_date(self, row: ExecutionSummary, *, include_data: bool = True) -> Iterator[_Kept]:
        key = (row.id, include_data)
        with self._lock:  # whoever takes a history out owns it until it is put back
            kept = self._kept.pop(key, None)
            self._bytes -= 0 if kept is None else kept.size_bytes
        if kept is None:
            definition, region = self._definition(row.definition_id), Arn.parse(row.arn).region
            projector = Projector(definition, region=region, include_data=include_data)
            kept = _Kept(projector, LEAST_BYTES if include_data else self._limits.payload_bytes)
        self._go_on(row.id, kept)
        yield kept
        self._keep(key, kept)

    def start(self, row: ExecutionSummary) -> ExecutionStarted:
        """The first fact of an execution. Raises StoreError."""
        fact = self._reads.first_fact(row.id)
        assert isinstance(fact, ExecutionStarted), "every execution begins so"
        return fact

    def _go_on(self, execution_id: int, kept: _Kept) -> None:
        for at_ms, facts in self._reads.pages_from(execution_id, kept.seq):
            for fact in facts:
                for event in kept.projector.take(fact, at_ms):
                    event["timestamp"] /= 1000  # answers have seconds
                    text = dumps(event)
                    kept.events.append(text)
                    kept.size_bytes += len(text)
            kept.seq += len(facts)

    def _keep(self, key: tuple[int, bool], kept: _Kept) -> None:
        with self._lock:
            other = self._kept.pop(key, None)  # someone else made it too, meanwhile
            self._bytes += kept.size_bytes - (0 if other is None else other.size_bytes)
            self._kept[key] = kept
            while self._bytes > self._most_bytes and len(self._kept) > 1:
                self._bytes -= self._kept.popitem(last=False)[1].size_bytes


def as_json(events: Sequence[bytes]) -> list[Json]:
    """Events as they stand in an answer."""
    return [msgspec.Raw(event) for event in events]
