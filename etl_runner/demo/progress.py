"""What the demo shows while it runs: a live table on a terminal, one plain line per change elsewhere."""

import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

from rich.console import Console
from rich.live import Live
from rich.table import Table

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
    outputs: list[dict[str, object]] = field(default_factory=list)

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
            self._live.update(_progress_table(watched), refresh=True)
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
        """The table at the end."""
        self.stop_watching()
        for part in _result_tables(watched, narrow=self.console.width < 100):
            self.console.print(part)


def _progress_table(watched: Sequence[Watched]) -> Table:
    table = Table(box=None, pad_edge=False)
    for title in ("workflow", "trigger", "status", "now"):
        table.add_column(title, overflow="fold")
    for one in watched:
        table.add_row(one.workflow, one.trigger, _coloured(one.status), one.now)
    return table


def _result_tables(watched: Sequence[Watched], *, narrow: bool) -> list[Table]:
    summary = Table(title="What ran", title_justify="left")
    for title in ("workflow", "execution", "status", "seconds", "objects", "bytes"):
        summary.add_column(title, overflow="fold", justify="right" if title in _NUMBERS else "left")
    for one in watched:
        size = sum(int(str(output["bytes"])) for output in one.outputs)
        seconds = "" if one.seconds is None else f"{one.seconds:.1f}"
        name = one.arn.rpartition(":")[2]
        summary.add_row(
            one.workflow, name, _coloured(one.status), seconds, f"{len(one.outputs)}", f"{size:,}"
        )
    objects = Table(title="What was written (the last three objects of each)", title_justify="left")
    for title in ("workflow", "object", "VersionId", "bytes"):
        objects.add_column(title, overflow="fold", justify="right" if title in _NUMBERS else "left")
    for one in watched:
        for output in one.outputs[-3:]:
            version = str(output["versionId"] or "")
            objects.add_row(
                one.workflow,
                f"{output['bucket']}/{output['key']}",
                version[:12] + "…" if narrow and len(version) > 12 else version,
                f"{output['bytes']:,}",
            )
    return [summary, objects]


_NUMBERS: Final = frozenset({"seconds", "objects", "bytes"})


def _coloured(status: str) -> str:
    colour = _COLOURS.get(status, "")
    return f"[{colour}]{status}[/{colour}]" if colour else status


def write_line(text: str) -> None:
    """One line on stdout, where only the JSON document goes."""
    sys.stdout.write(text + "\n")
    sys.stdout.flush()
