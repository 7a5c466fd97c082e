"""Activities: workers ask for tasks and wait for them, tasks wait for workers; each goes to one worker.

The tasks stand in the store (task_token rows), oldest first; the workers that wait stand here, without a
thread each. A worker has its task once ActivityFetch is committed, and not before.
"""

import heapq
import itertools
from collections import defaultdict, deque
from collections.abc import Callable
from typing import Final

from etl_runner.arn import Arn
from etl_runner.engine.decided import PollChanges, Turn
from etl_runner.engine.knocks import ActivityPoll, ActivityTask, Item, Knock
from etl_runner.engine.live import Live, LiveCache
from etl_runner.jsontypes import dumps_text
from etl_runner.machine import stimuli as s
from etl_runner.machine.state import OpenTask
from etl_runner.store.activities import Activities
from etl_runner.store.store import Store
from etl_runner.store.tokens import TokenReads, TokenRow


def same_account(live: Live, activity_arn: str) -> bool:
    """Whether an execution may ask workers of this activity: what others' workers do is not for it to say."""
    return Arn.parse(activity_arn).account == Arn.parse(live.arn).account


BATCH: Final = 500
"""As many as a turn has polls: one more read would be for nothing."""


class ActivityQueue:
    """The workers that wait. Owned by the engine's thread."""

    def __init__(self, store: Store, cache: LiveCache, knock: Callable[[Item], None]) -> None:
        self._reads = TokenReads(store)
        self._registry = Activities(store)
        self._cache = cache
        self._knock = knock
        self._waiting: defaultdict[str, deque[ActivityPoll]] = defaultdict(deque)
        self._until: list[tuple[int, int, ActivityPoll]] = []
        self._numbers = itertools.count()

    def exists(self, activity_arn: str) -> bool:
        """Whether an activity is registered. Raises StoreUnavailable."""
        return self._registry.get(activity_arn) is not None

    def take(self, turn: Turn, poll: ActivityPoll, decide: Callable[[Knock], bool]) -> None:
        """Give a worker the oldest task of its activity, or let it wait. Raises StoreUnavailable."""
        polls = turn.polls
        arn = poll.activity_arn
        if arn not in polls.offered:
            polls.offered[arn] = deque(self._reads.waiting(arn, BATCH))
        offered = polls.offered[arn]
        while offered:
            if not poll.claim():
                polls.lapsed.append(arn)
                return
            row = offered.popleft()
            task = self._fetch(row, poll, decide)
            if task is not None:
                polls.served.append((poll, task))
                return
        polls.unserved.append(poll)

    def _fetch(
        self, row: TokenRow, poll: ActivityPoll, decide: Callable[[Knock], bool]
    ) -> ActivityTask | None:
        live = self._cache.get(row.execution_id)
        frame_id = None if live is None else live.machine.tokens.get(row.token)
        if live is None or frame_id is None or not same_account(live, row.activity_arn or ""):
            return None
        work = live.machine.frames[frame_id].open
        assert isinstance(work, OpenTask)
        task = ActivityTask(task_token=row.text, input=dumps_text(work.arguments))
        fetch = s.ActivityFetch(token=row.token, worker=poll.worker)
        return task if decide(Knock(execution_id=row.execution_id, stimulus=fetch)) else None

    # --- after the commit ---------------------------------------------------------------------------------

    def committed(self, changes: PollChanges) -> None:
        """What a turn decided is on the disk: those who got nothing wait from now on."""
        for poll in changes.unserved:
            self._waiting[poll.activity_arn].append(poll)
            heapq.heappush(self._until, (poll.until_ms, next(self._numbers), poll))
        for arn in changes.lapsed:
            self.offer(arn)

    def offer(self, activity_arn: str) -> None:
        """A task has come, or its worker has gone: the worker that has waited longest asks again."""
        waiting = self._waiting.get(activity_arn)
        while waiting:
            poll = waiting.popleft()
            if not poll.done.done():
                self._knock(poll)
                break
        if waiting is not None and not waiting:
            del self._waiting[activity_arn]

    # --- time ---------------------------------------------------------------------------------------------

    def expired(self, now_ms: int) -> list[ActivityPoll]:
        """The polls whose time is up; they wait no longer."""
        gone: list[ActivityPoll] = []
        while self._until and self._until[0][0] <= now_ms:
            poll = heapq.heappop(self._until)[2]
            if not poll.done.done():
                gone.append(poll)
            self._clear(poll.activity_arn, now_ms)
        return gone

    def _clear(self, activity_arn: str, now_ms: int) -> None:
        """Who comes first goes first, so that those whose time is up stand at the head of their line."""
        waiting = self._waiting.get(activity_arn)
        while waiting and (waiting[0].until_ms <= now_ms or waiting[0].done.done()):
            waiting.popleft()
        if waiting is not None and not waiting:
            del self._waiting[activity_arn]

    def release(self) -> list[ActivityPoll]:
        """The engine ends: all polls, so that those who wait are told."""
        gone = [poll for waiting in self._waiting.values() for poll in waiting]
        self._waiting.clear()
        self._until.clear()
        return gone
