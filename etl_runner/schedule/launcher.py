"""Through which door schedules and events start executions: the engine, as this room sees it."""

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Any, Protocol, TypeAlias

from etl_runner.jsontypes import Json

Row: TypeAlias = dict[str, Any]
"""A row of a ledger, by the column names of store/tables.py."""


class Launched(Protocol):
    """An execution that is on the disk. `existed`: it was there before this call."""

    @property
    def arn(self) -> str:
        """The execution's ARN."""
        ...

    @property
    def existed(self) -> bool:
        """Whether it was there before."""
        ...


class Launcher(Protocol):
    """Starts executions and writes ledger rows. What is asked first is committed first, or together."""

    def launch(
        self,
        *,
        workflow: str,
        name: str,
        input: Json,  # noqa: A002 -- StartExecution's own word
        origin: str,
        tick: Row | None = None,
        event_match: Row | None = None,
    ) -> "Future[Any]":
        """Start an execution; the future gives a Launched once it is committed together with the ledger row.

        The row's outcome and execution_arn are filled in. Raises, or fails the future with, NotFound (no
        such workflow), InvalidInput (name or input) and Conflict (the ledger row is there already).
        """
        ...

    def record(
        self,
        *,
        ticks: Iterable[Row] = (),
        event_matches: Iterable[Row] = (),
        schedule_states: Iterable[Row] = (),
    ) -> "Future[bool]":
        """Write ledger rows, all of this call in one transaction.

        The future fails with Conflict when one of them is there already; then none is written.
        """
        ...
