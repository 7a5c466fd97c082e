"""What the demo shows while it runs: a live table on a terminal, one plain line per change elsewhere."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

WIDE: Final = 118
"""From so many columns on, the names of executions and triggers have room beside the rest."""

SHOWN: Final = 3
MOST_ERROR: Final = 500

_COLOURS: Final = {
    "waiting": "dim",
    "RUNNING": "yellow",
    "SUCCEEDED": "green",
    "FAILED": "red",
    "TIMED_OUT": "red",
    "ABORTED": "red",
}


@dataclass(slots=True)
class Watched:
    """One workflow of the demo, as far as is known. `trigger` says what is to start it."""

    workflow: str
    trigger: str
    status: str = "waiting"
    arn: str = ""
    now: str = ""
    seconds: float | None = None
    error: str = ""
    outputs: list[dict[str, object]] = field(default_factory=list)

    @property
    def name(self) -> str:
        """The execution's name, empty before it was started."""
        return self.arn.rpartition(":")[2]

    @property
    def title(self) -> str:
        """How the command line names the execution."""
        return f"{self.workflow}/{self.name}" if self.name else f"{self.workflow}: not started"

    @property
    def ended(self) -> bool:
        """Whether it has come to an end, good or bad."""
        return self.status not in {"waiting", "RUNNING"}


class Display:
    """Shows what is said and what the workflows do, on stderr."""

    def __init__(self) -> None:
        self.console = Console(stderr=True, highlight=False)
        self._began = time.monotonic()
        self._live: Live | None = None
        self._shown: dict[str, tuple[str, str]] = {}

    def say(self, text: str) -> None:
        """One line, with the seconds since the beginning."""
        self.console.print(f"[dim]{time.monotonic() - self._began:6.1f}s[/dim] {text}", soft_wrap=True)

    def watch(self, watched: Sequence[Watched]) -> None:
        """Show the present state of the workflows."""
        if self.console.is_terminal:
            if self._live is None:
                self._live = Live(console=self.console, transient=True, auto_refresh=False)
                self._live.start()
            table = _progress_table(watched, with_triggers=self.console.width >= WIDE)
            self._live.update(table, refresh=True)
            return
        for one in watched:
            state = (one.status, one.now)
            if self._shown.get(one.workflow) != state:
                self._shown[one.workflow] = state
                self.say(f"{one.workflow}: {one.status}{f' ({one.now})' if one.now else ''}")

    def stop_watching(self) -> None:
        """Take the live table away."""
        if self._live is not None:
            self._live.stop()
            self._live = None

    def result(self, watched: Sequence[Watched]) -> None:
        """The table at the end, and below it what was written."""
        self.stop_watching()
        self.console.print("\n[bold]What ran[/bold]")
        self.console.print(_summary(watched, with_names=self.console.width >= WIDE))
        self.console.print(f"\n[bold]What was written[/bold] (the last {SHOWN} objects of each execution)")
        for one in watched:
            self._written(one)

    def _written(self, one: Watched) -> None:
        """An execution and its last objects: a line for each object, one for its version."""
        self._line(one.title)
        if one.error:
            self._line(f"  {one.error[:MOST_ERROR]}")
        if not one.outputs:
            self._line("  no object")
        for output in one.outputs[-SHOWN:]:
            self._line(f"  s3://{output['bucket']}/{output['key']}")
            self._line(f"    VersionId {output['versionId']}, {output['bytes']:,} bytes")

    def _line(self, text: str) -> None:
        # As it is: a terminal wraps a long key so that it can still be copied, and [x] is no markup.
        self.console.print(text, soft_wrap=True, markup=False)


def _progress_table(watched: Sequence[Watched], *, with_triggers: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    titles = ("workflow", "trigger", "status", "now") if with_triggers else ("workflow", "status", "now")
    for title in titles:
        table.add_column(title, no_wrap=True, overflow="ellipsis")
    for one in watched:
        trigger = (one.trigger,) if with_triggers else ()
        table.add_row(one.workflow, *trigger, _coloured(one.status), one.now)
    return table


def _summary(watched: Sequence[Watched], *, with_names: bool) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for title in ("workflow", "status", "seconds", "objects", "bytes"):
        table.add_column(title, no_wrap=True, justify="right" if title in _NUMBERS else "left")
    if with_names:
        table.add_column("execution", no_wrap=True)
    for one in watched:
        table.add_row(
            one.workflow,
            _coloured(one.status),
            "" if one.seconds is None else f"{one.seconds:.1f}",
            str(len(one.outputs)),
            f"{sum(int(str(output['bytes'])) for output in one.outputs):,}",
            *((one.name,) if with_names else ()),
        )
    return table


_NUMBERS: Final = frozenset({"seconds", "objects", "bytes"})


def _coloured(status: str) -> str:
    colour = _COLOURS.get(status, "")
    return f"[{colour}]{status}[/{colour}]" if colour else status


def write_line(text: str) -> None:
    """One line on stdout, where only the JSON document goes."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
