"""Laws that every history of facts obeys, whatever the definition said. Used by tests and by `doctor`.

It keeps books of its own instead of folding, so that a fault in state.py cannot hide a fault in a history.
"""

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Any, Final

from etl_runner.machine import facts as f

_OPENS: Final = (
    f.TaskScheduled,
    f.WaitScheduled,
    f.Paused,
    f.RetryScheduled,
    f.MapRunStarted,
    f.MapRunRedriven,
)
_CLOSES: Final = (
    f.TaskSucceeded,
    f.TaskFailed,
    f.TaskTimedOut,
    f.TimerFired,
    f.TokenRevoked,
    f.MapRunSucceeded,
    f.MapRunFailed,
)
_USES: Final = (f.ActivityStarted, f.TaskSubmitted)
_ENDS: Final = (f.ExecutionSucceeded, f.ExecutionFailed, f.ExecutionTimedOut, f.ExecutionAborted)
_CLOSERS_OF: Final[dict[type, tuple[type, ...]]] = {
    f.TaskScheduled: (f.TaskSucceeded, f.TaskFailed, f.TaskTimedOut, f.TokenRevoked),
    f.WaitScheduled: (f.TimerFired, f.TokenRevoked),
    f.Paused: (f.TimerFired, f.TokenRevoked),
    f.RetryScheduled: (f.TimerFired, f.TokenRevoked),
    f.MapRunStarted: (f.MapRunSucceeded, f.MapRunFailed, f.TokenRevoked),
    f.MapRunRedriven: (f.MapRunSucceeded, f.MapRunFailed, f.TokenRevoked),
}
_ROOT: Final = 0


def lint(pages: Iterable[tuple[int, Sequence[f.Fact]]]) -> list[str]:
    """Say what is wrong with a history of pages `(at_ms, facts)`; an empty list when it obeys every law.

    A history that has not ended yet may have open tokens and frames. Each sentence begins with the number of
    the fact, counted from 1.
    """
    books = _Books()
    last_ms: int | None = None
    for at_ms, page in pages:
        if last_ms is not None and at_ms < last_ms:
            books.complain(f"a page of {at_ms} ms follows one of {last_ms} ms: time went back")
        last_ms = at_ms
        for fact in page:
            books.enter(fact)
    if books.number == 0:
        return ["0: a history without facts is no execution"]
    return books.faults


@dataclass(slots=True)
class _FrameBook:
    """What is known of a living frame: its parent, the state it is in, and the token or group it has open."""

    parent: f.FrameId | None
    state: str | None = None
    token: f.Token | None = None
    group: bool = False
    children: set[f.FrameId] = field(default_factory=set)


class _Books:
    """The books of one history."""

    def __init__(self) -> None:
        self.number = 0
        self.faults: list[str] = []
        self.ended: str | None = None
        self.living: dict[f.FrameId, _FrameBook] = {}
        self.lost: dict[f.FrameId, _FrameBook] = {}
        self.evaluated: f.FrameId | None = None
        self.seen_frames: set[f.FrameId] = set()
        self.open_tokens: dict[f.Token, tuple[type, f.FrameId]] = {}
        self.seen_tokens: set[f.Token] = set()

    def complain(self, what: str) -> None:
        self.faults.append(f"{self.number}: {what}")

    def enter(self, fact: f.Fact) -> None:
        self.number += 1
        name = type(fact).__name__
        if isinstance(fact, f.ExecutionRedriven):
            self._redriven(anew=fact.anew)
            return
        if self.ended is not None:
            self.complain(f"{name} comes after {self.ended}")
        if (self.number == 1) != isinstance(fact, f.ExecutionStarted):
            self.complain(f"{name} is fact {self.number}; ExecutionStarted is the first and no other")
        if isinstance(fact, f.ExecutionStarted):
            self.living[_ROOT] = _FrameBook(None)
            self.seen_frames.add(_ROOT)
        elif isinstance(fact, _OPENS):
            self._opened(fact.frame, fact.token, type(fact))
        elif isinstance(fact, _CLOSES):
            self._closed(fact.token, type(fact))
        elif isinstance(fact, _USES):
            if self.open_tokens.get(fact.token, (None,))[0] is not f.TaskScheduled:
                self.complain(f"{name} is about token {fact.token}, which is no open task")
        elif isinstance(fact, _ENDS):
            self._end(name, succeeded=isinstance(fact, f.ExecutionSucceeded))
        else:
            _RULES[type(fact)](self, fact)

    def _frame(self, frame_id: f.FrameId, name: str) -> _FrameBook | None:
        book = self.living.get(frame_id)
        if book is None:
            self.complain(f"{name} is about frame {frame_id}, which is not alive")
        return book

    def _opened(self, frame_id: f.FrameId, token: f.Token, kind: type) -> None:
        if token in self.seen_tokens:
            self.complain(f"{kind.__name__} opens token {token} a second time")
        self.seen_tokens.add(token)
        book = self._frame(frame_id, kind.__name__)
        if book is None:
            return
        if book.state is None:
            self.complain(f"{kind.__name__} opens token {token} in frame {frame_id}, which is in no state")
        if kind is f.RetryScheduled and not book.children:
            book.group = False  # a group that is to be tried again ends without a fact of its own
        if book.token is not None or book.group:
            self.complain(f"{kind.__name__} opens token {token} in frame {frame_id}, which has work open")
        book.token = token
        self.open_tokens[token] = (kind, frame_id)

    def _closed(self, token: f.Token, kind: type) -> None:
        held = self.open_tokens.pop(token, None)
        if held is None:
            self.complain(f"{kind.__name__} closes token {token}, which is not open")
            return
        opener, frame_id = held
        if kind not in _CLOSERS_OF[opener]:
            self.complain(f"{kind.__name__} closes token {token}, which {opener.__name__} opened")
        book = self._frame(frame_id, kind.__name__)
        if book is not None:
            book.token = None

    def _end(self, name: str, *, succeeded: bool) -> None:
        self.ended = name
        for token, (kind, frame_id) in self.open_tokens.items():
            self.complain(f"{name} leaves token {token} of frame {frame_id} open ({kind.__name__})")
        for frame_id in sorted(self.living):
            if frame_id != _ROOT:
                self.complain(f"{name} leaves frame {frame_id} open")
        root = self.living.get(_ROOT)
        if succeeded and root is not None and root.state is not None:
            self.complain(f"{name} comes while the execution is in the state {root.state!r}")

    def _redriven(self, *, anew: bool) -> None:
        if self.ended in {None, "ExecutionSucceeded"}:
            self.complain(f"ExecutionRedriven comes after {self.ended or 'no end'}")
        self.ended = None
        root = self.living.get(_ROOT)
        if root is not None and anew:
            root.group = False

    def frame_opened(self, fact: f.FrameOpened) -> None:
        if fact.frame in self.seen_frames:
            self.complain(f"FrameOpened opens frame {fact.frame} a second time")
        self.seen_frames.add(fact.frame)
        self.living[fact.frame] = _FrameBook(fact.parent)
        parent = self._frame(fact.parent, "FrameOpened")
        if parent is None:
            return
        if not parent.group:
            self.complain(
                f"FrameOpened opens frame {fact.frame} below {fact.parent}, which has no group open"
            )
        parent.children.add(fact.frame)

    def frame_closed(self, fact: f.FrameSucceeded | f.FrameFailed | f.FrameAborted) -> None:
        name = type(fact).__name__
        book = self._frame(fact.frame, name)
        if book is None:
            return
        if book.token is not None or book.children:
            self.complain(f"{name} closes frame {fact.frame}, which has work open")
        if isinstance(fact, f.FrameSucceeded) and book.state is not None:
            self.complain(f"{name} closes frame {fact.frame}, which is in the state {book.state!r}")
        del self.living[fact.frame]
        if not isinstance(fact, f.FrameSucceeded):
            self.lost[fact.frame] = book
        if book.parent is None:
            self.complain(f"{name} closes the execution's own frame")
        elif book.parent in self.living:
            self.living[book.parent].children.discard(fact.frame)

    def frame_redriven(self, fact: f.FrameRedriven) -> None:
        book = self.lost.pop(fact.frame, None)
        parent = self._frame(fact.parent, "FrameRedriven")
        if book is None:
            self.complain(f"FrameRedriven revives frame {fact.frame}, which neither failed nor was aborted")
            return
        self.living[fact.frame] = book
        if parent is None:
            return
        if not parent.group or book.parent != fact.parent:
            self.complain(f"FrameRedriven revives frame {fact.frame} below {fact.parent}, not its open group")
        parent.children.add(fact.frame)

    def group_redriven(self, fact: f.GroupRedriven) -> None:
        book = self._in_state(fact.frame, "GroupRedriven")
        if book is not None:
            if book.group:
                self.complain(f"GroupRedriven is about frame {fact.frame}, which has a group open")
            book.group = True

    def evaluation_failed(self, fact: f.StateEvaluationFailed) -> None:
        if self._in_state(fact.frame, "StateEvaluationFailed") is not None:
            self.evaluated = fact.frame

    def state_entered(self, fact: f.StateEntered) -> None:
        book = self._frame(fact.frame, "StateEntered")
        if book is None:
            return
        if book.state is not None:
            self.complain(f"frame {fact.frame} enters {fact.state!r} while it is in {book.state!r}")
        book.state = fact.state

    def state_exited(self, fact: f.StateExited) -> None:
        self._in_state(fact.frame, "StateExited", leaves=True)

    def state_failed(self, fact: f.StateFailed) -> None:
        book = self._in_state(fact.frame, "StateFailed")
        if book is not None:
            book.group = False

    def _in_state(self, frame_id: f.FrameId, name: str, *, leaves: bool = False) -> _FrameBook | None:
        """The book of a frame that must be in a state, with nothing open below it."""
        book = self._frame(frame_id, name)
        if book is None:
            return None
        if book.state is None:
            self.complain(f"{name} is about frame {frame_id}, which is in no state")
        if book.token is not None or book.children or (leaves and book.group):
            self.complain(f"{name} is about frame {frame_id}, which has work open")
        if leaves:
            book.state = None
        return book

    def group_opened(self, fact: f.ParallelStarted | f.MapStarted) -> None:
        name = type(fact).__name__
        book = self._in_state(fact.frame, name)
        if book is None:
            return
        if book.group:
            self.complain(f"{name} opens a group in frame {fact.frame}, which has one open")
        book.group = True

    def group_closed(
        self, fact: f.ParallelSucceeded | f.ParallelFailed | f.MapSucceeded | f.MapFailed
    ) -> None:
        name = type(fact).__name__
        book = self._in_state(fact.frame, name)
        if book is None:
            return
        if not book.group and self.evaluated != fact.frame:
            self.complain(f"{name} is about frame {fact.frame}, which has no group open")
        book.group = False
        self.evaluated = None

    def map_run_refused(self, fact: f.MapRunRefused) -> None:
        self._in_state(fact.frame, "MapRunRefused")


_RULES: Final[dict[type, Callable[[_Books, Any], None]]] = {
    f.FrameOpened: _Books.frame_opened,
    f.FrameSucceeded: _Books.frame_closed,
    f.FrameFailed: _Books.frame_closed,
    f.FrameAborted: _Books.frame_closed,
    f.StateEntered: _Books.state_entered,
    f.StateExited: _Books.state_exited,
    f.StateFailed: _Books.state_failed,
    f.ParallelStarted: _Books.group_opened,
    f.ParallelSucceeded: _Books.group_closed,
    f.ParallelFailed: _Books.group_closed,
    f.MapStarted: _Books.group_opened,
    f.MapSucceeded: _Books.group_closed,
    f.MapFailed: _Books.group_closed,
    f.MapRunRefused: _Books.map_run_refused,
    f.StateEvaluationFailed: _Books.evaluation_failed,
    f.GroupRedriven: _Books.group_redriven,
    f.FrameRedriven: _Books.frame_redriven,
}
