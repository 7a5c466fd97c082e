"""What one turn has decided: the unit to commit, and what follows in memory once it is committed."""

from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any

from etl_runner.engine.knocks import (
    ActivityPoll,
    ActivityTask,
    Item,
    MapRunUpdate,
    Started,
    StartRequest,
    TokenAnswer,
)
from etl_runner.engine.live import Live
from etl_runner.engine.patience import Patience
from etl_runner.store.tokens import TokenKey, TokenRow
from etl_runner.store.unit import Row, Unit


@dataclass(slots=True)
class TokenChanges:
    """Of task tokens: rows looked up, tokens opened, heartbeats moved on, answers that must wait."""

    rows: dict[str, TokenRow] = field(default_factory=dict)
    opened: dict[TokenKey, Row] = field(default_factory=dict)
    beats: list[tuple[TokenKey, int | None]] = field(default_factory=list)
    held: list[tuple[TokenKey, TokenAnswer]] = field(default_factory=list)


@dataclass(slots=True)
class PollChanges:
    """Of workers: the tasks that were found for them, and those for whom there was none.

    `lapsed` are the activities with a task whose worker had gone.
    """

    offered: dict[str, deque[TokenRow]] = field(default_factory=dict)
    served: list[tuple[ActivityPoll, ActivityTask]] = field(default_factory=list)
    unserved: list[ActivityPoll] = field(default_factory=list)
    lapsed: list[str] = field(default_factory=list)


@dataclass(slots=True)
class Turn:
    """One turn. `results` are answers for those who wait, `refused` the items of which nothing came.

    `redriven` has the executions that were redriven in this turn, with the client's token, `to_tell` those of
    which the publisher is to hear, by their ids.
    """

    now_ms: int
    unit: Unit = field(default_factory=Unit)
    touched: dict[int, Live] = field(default_factory=dict)
    started: list[tuple[StartRequest, Started]] = field(default_factory=list)
    results: list[tuple[Future[Any] | None, Any]] = field(default_factory=list)
    refused: list[tuple[Item, Exception]] = field(default_factory=list)
    nudged: list[int] = field(default_factory=list)
    map_run_updates: list[MapRunUpdate] = field(default_factory=list)
    tokens: TokenChanges = field(default_factory=TokenChanges)
    polls: PollChanges = field(default_factory=PollChanges)
    redriven: dict[int, str | None] = field(default_factory=dict)
    to_tell: set[int] = field(default_factory=set)
    patience: Patience = field(default_factory=Patience)
