"""From what stands in the inbox to turns that are committed, whatever is wrong with single items.

Normally all items share one turn and one commit. Where one of them spoils that, each is taken alone, so that
a fault of ours, a damaged execution or a row that is there already concerns nobody else.
"""

from collections import deque
from collections.abc import Callable, Sequence

import structlog

from etl_runner.engine.decided import Turn
from etl_runner.engine.effects import Effects
from etl_runner.engine.inbox import refuse
from etl_runner.engine.knocks import Item, Knock
from etl_runner.engine.live import LiveCache
from etl_runner.engine.map_runs import MapRuns
from etl_runner.engine.turn import TurnMaker, TurnVoid, breakdown_cause
from etl_runner.errors import Conflict, EtlRunnerError, LostExecution, StoreUnavailable
from etl_runner.machine import stimuli as s
from etl_runner.store.store import Store

_log = structlog.get_logger("engine")


class TurnTaker:
    """Takes turns. Owned by the engine's thread."""

    def __init__(
        self, store: Store, cache: LiveCache, maker: TurnMaker, effects: Effects, map_runs: MapRuns
    ) -> None:
        self._store = store
        self._cache = cache
        self._maker = maker
        self._effects = effects
        self._map_runs = map_runs

    def take(self, items: deque[Item], after: Callable[[Turn], None]) -> None:
        """Take all items in one turn, or, when one of them spoils it, each in a turn of its own.

        What is settled leaves `items`, so that a store that fails half way does not see it a second time.
        `after` is called with each turn that was committed. Raises StoreUnavailable.
        """
        try:
            turn = self._commit(items, refill=not self._effects.parked)
        except StoreUnavailable:
            raise
        except (TurnVoid, Conflict, LostExecution):
            pass
        except Exception:  # noqa: BLE001 -- a fault of ours: find the item it comes from, and let the others go on
            _log.exception("a turn broke down; its items are taken one by one")
        else:
            items.clear()
            after(turn)
            return
        while items:
            turns = self._alone(items[0])
            items.popleft()
            for turn in turns:
                after(turn)

    def _alone(self, item: Item) -> list[Turn]:
        """Take one item in a turn of its own. When that fails too, it alone is refused."""
        for attempt in (1, 2):
            try:
                return [self._commit([item], refill=False)]
            except StoreUnavailable:
                raise
            except (TurnVoid, Conflict, LostExecution) as error:
                # Loaded again, the second time: another process may have gone on with the execution.
                if attempt == 2:
                    return self._spoiled(item, error)
            except Exception as error:  # noqa: BLE001 -- this item's own fault
                return self._spoiled(item, error)
        raise AssertionError("both attempts return")

    def _spoiled(self, item: Item, error: Exception) -> list[Turn]:
        """Nothing can come of an item. Where it was an answer, its execution would wait for ever: end it."""
        ours = not isinstance(error, EtlRunnerError)
        _log.error("a request was refused", error=str(error), exc_info=error if ours else None)
        refuse(item, error)
        if not isinstance(item, Knock) or isinstance(error, LostExecution):
            return []
        stimulus = s.Breakdown(cause=breakdown_cause(error))
        try:
            return [self._commit([Knock(execution_id=item.execution_id, stimulus=stimulus)], refill=False)]
        except StoreUnavailable:
            raise
        except Exception:  # noqa: BLE001 -- it cannot even be ended
            _log.exception("an execution could not be ended", execution_id=item.execution_id)
            return []

    def _commit(self, items: Sequence[Item], *, refill: bool) -> Turn:
        """Decide and commit. When it raises, nothing was committed and what was decided is forgotten."""
        turn = self._maker.begin()
        try:
            self._map_runs.catch_up(self._cache)
            self._maker.take(turn, items)
            self._map_runs.take(turn)
            if refill:
                self._map_runs.refill(turn, self._maker)
            self._effects.register(turn)
            self._maker.seal(turn)
            if not turn.unit.is_empty():
                self._store.commit(turn.unit)
        except BaseException as error:
            for live in turn.touched.values():
                self._cache.undo(live)
            self._map_runs.void(turn.touched, error)
            raise
        return turn
