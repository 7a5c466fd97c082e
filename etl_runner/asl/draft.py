"""What parsing gathers: the report of faults, and states with their links before they are a model."""

import difflib
from collections.abc import Collection
from dataclasses import dataclass, field
from typing import Final

from etl_runner.asl.document import Node, Source
from etl_runner.asl.model import State
from etl_runner.errors import Fault

MAX_FAULTS: Final = 1_000
"""More faults than a person reads; the rest is left out, so that a hostile text cannot fill the memory."""

MAX_SUGGESTIONS: Final = 50
MAX_COMPARED: Final = 1_000


class Report:
    """The faults found so far."""

    def __init__(self, source: Source, faults: tuple[Fault, ...] = ()) -> None:
        self._source = source
        self._seen = {fault.path for fault in faults if fault.path}
        self.faults = list(faults)
        self._suggestions = 0
        self.errors = len(faults)  # counts on when no more are kept, so that nobody builds on what is faulty

    def suggest(self, name: str, known: Collection[str]) -> str:
        """Give a remedy naming the nearest of the known names, or all of them when they are few.

        Bounded, since looking for a near name among thousands, thousands of times, takes minutes.
        """
        if 0 < len(known) <= MAX_COMPARED and self._suggestions < MAX_SUGGESTIONS:
            self._suggestions += 1
            close = difflib.get_close_matches(name, known, n=1, cutoff=0.6)
            if close:
                return f"did you mean {close[0]!r}?"
        return f"known here: {', '.join(known)}" if 0 < len(known) <= 12 else ""

    def fault(self, node: Node, code: str, what: str, remedy: str = "", *, at_key: bool = False) -> None:
        """Note that something is wrong with a value, or with its key.

        A place whose text could not be read already has its fault and gets no second one.
        """
        self.errors += 1
        if len(self.faults) < MAX_FAULTS:
            fault = self._source.fault(node.key_at if at_key else node.at, code, what, remedy, path=node.path)
            if fault.path not in self._seen:
                self.faults.append(fault)


@dataclass(frozen=True, slots=True)
class Link:
    """One way to a state: the field that names it, what that field belongs to, and the name."""

    node: Node
    target: str
    subject: str


@dataclass(slots=True, kw_only=True)
class StateDraft:
    """A state as far as it could be read. `state` is None unless all of it was in order.

    `assigns` are its Assign fields: its own, and those of its Catch entries and choice rules.
    """

    name: str
    type: str
    node: Node
    terminal: bool = False
    links: list[Link] = field(default_factory=list)
    inner: list["ScopeDraft"] = field(default_factory=list)
    assigns: list[Node] = field(default_factory=list)
    state: State | None = None


@dataclass(slots=True, kw_only=True)
class ScopeDraft:
    """A scope as far as it could be read. `express` tells that its children are express workflows."""

    id: int
    node: Node
    owner: str
    express: bool = False
    start: Link | None = None
    states: dict[str, StateDraft] = field(default_factory=dict)
