"""What people and programs get to read: tables that fit their terminal, one JSON document, errors.

Where output goes to a file or a pipe, lines are as long as their content. Where a terminal is too narrow to
show names in one piece, so that they can be copied, a table becomes blocks of `name: value`.
"""

import os
import sys
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Final, Literal

import msgspec
from rich.cells import cell_len
from rich.console import Console
from rich.segment import Segment, Segments
from rich.table import Table
from rich.text import Text

from etl_runner.errors import ConfigError, DefinitionError, EtlRunnerError
from etl_runner.jsontypes import Json, dumps

NARROW: Final = 72
UNBOUNDED: Final = 100_000
GAP: Final = 2
KEPT_WHOLE: Final = 24
"""In a column of prose, words up to this length are not broken."""

COLOURS: Final = {
    "RUNNING": "cyan",
    "running": "cyan",
    "SUCCEEDED": "green",
    "succeeded": "green",
    "started": "green",
    "FAILED": "red",
    "failed": "red",
    "TIMED_OUT": "red",
    "ABORTED": "yellow",
    "stopped": "yellow",
    "caught": "yellow",
    "missed": "yellow",
    "paused": "yellow",
    "passed": "green",
    "not reached": "bright_black",
}


@dataclass(frozen=True, slots=True)
class Column:
    """One column: its heading, whether its cells may take several lines, and whether long words may break."""

    title: str
    wraps: bool = True
    right: bool = False
    prose: bool = False


def console(*, stderr: bool = False) -> Console:
    """A console on standard output or error that takes text as it is."""
    stream = sys.stderr if stderr else sys.stdout
    width = None if "COLUMNS" in os.environ or stream.isatty() else UNBOUNDED
    return Console(stderr=stderr, width=width, markup=False, highlight=False, emoji=False, soft_wrap=False)


def document(value: Json) -> None:
    """Write the one JSON document."""
    sys.stdout.write(msgspec.json.format(dumps(value), indent=2).decode() + "\n")
    sys.stdout.flush()


def say(text: str) -> None:
    """A line for people, on standard output."""
    console().print(clean(text), soft_wrap=True)


def note(text: str) -> None:
    """A line beside the result, on standard error."""
    console(stderr=True).print(clean(text), soft_wrap=True)


def error(raised: EtlRunnerError) -> None:
    """An error as one paragraph on standard error; faults are a line each."""
    shown = console(stderr=True)
    text = Text("error: ", style="red")
    text.append(clean(str(raised)), style="default")
    if isinstance(raised, ConfigError | DefinitionError):
        for fault in raised.faults:
            shown.print(Text(clean(str(fault))), soft_wrap=True)
        return
    shown.print(text, soft_wrap=shown.width >= UNBOUNDED)


def error_shape(raised: EtlRunnerError) -> Json:
    """An error in the document of --json, as the service's HTTP answers have it."""
    shape: dict[str, Json] = {"type": type(raised).__name__, "message": str(raised)}
    if isinstance(raised, ConfigError | DefinitionError):
        shape["faults"] = [asdict(fault) for fault in raised.faults]
    return shape


def table(
    columns: Sequence[Column], rows: Sequence[Sequence[object]], *, empty: str, narrow: int = NARROW
) -> None:
    """Rows under headings, or as blocks where the terminal is narrow; `empty` when there are none.

    A column without any value is left out. Below `narrow` columns of the terminal there are blocks, and
    wherever the words that must stay whole do not fit side by side.
    """
    if not rows:
        say(empty)
        return
    used = [at for at in range(len(columns)) if any(row[at] not in {None, ""} for row in rows)]
    columns = [columns[at] for at in used]
    rows = [[row[at] for at in used] for row in rows]
    cells = [[cell(value) for value in row] for row in rows]
    shown = console()
    widths = None if shown.width < narrow else _widths(columns, cells, shown.width)
    if widths is None:
        for number, row in enumerate(rows):
            if number:
                shown.print()
            fields([(column.title, value) for column, value in zip(columns, row, strict=True)])
        return
    grid = Table(box=None, pad_edge=False, padding=(0, GAP, 0, 0), header_style="bold")
    for column, width in zip(columns, widths, strict=True):
        side: Literal["left", "right"] = "right" if column.right else "left"
        grid.add_column(column.title, overflow="fold", width=width, justify=side)
    for each in cells:
        grid.add_row(*each)
    _print(shown, grid)


def _widths(columns: Sequence[Column], cells: Sequence[Sequence[Text]], room: int) -> list[int] | None:
    """How wide each column is to be; None when the words that must stay whole do not fit side by side."""
    least, wanted = [], []
    for at, column in enumerate(columns):
        texts = [Text(column.title), *(row[at] for row in cells)]
        line = max(cell_len(line) for text in texts for line in text.plain.split("\n"))
        word = max((cell_len(word) for text in texts for word in text.plain.split()), default=0)
        word = min(word, max(KEPT_WHOLE, len(column.title))) if column.prose else word
        least.append(word if column.wraps else line)
        wanted.append(line)
    spare = room - sum(least) - GAP * len(columns)
    if spare < 0:
        return None
    widths = list(least)
    # Those that need little get it; what is left goes to the columns of long sentences.
    by_need = sorted(range(len(columns)), key=lambda at: wanted[at] - least[at])
    for place, at in enumerate(by_need):
        more = min(wanted[at] - least[at], spare // (len(columns) - place))
        widths[at] += more
        spare -= more
    return widths


def _print(shown: Console, grid: Table) -> None:
    """Print a table without the blanks that would fill its lines up to the longest."""
    segments: list[Segment] = []
    for line in shown.render_lines(grid, pad=False):
        while line and not line[-1].text.strip():
            line.pop()
        if line:
            line[-1] = Segment(line[-1].text.rstrip(), line[-1].style)
        segments += [*line, Segment.line()]
    shown.print(Segments(segments), end="", soft_wrap=True)


def fields(pairs: Sequence[tuple[str, object]], *, indent: int = 0) -> None:
    """`name: value` lines; those without a value are left out."""
    shown = console()
    pairs = [(name, value) for name, value in pairs if value not in {None, ""}]
    wide = max((len(name) for name, _ in pairs), default=0)
    grid = Table.grid(padding=(0, 1, 0, 0))
    grid.add_column(no_wrap=True, min_width=wide + 1 + indent)
    grid.add_column(overflow="fold")
    for name, value in pairs:
        grid.add_row(Text(f"{' ' * indent}{name}:", style="bold"), cell(value))
    _print(shown, grid)


def cell(value: object) -> Text:
    """A value as text, statuses in their colour."""
    text = "" if value is None else clean(str(value))
    return Text(text, style=COLOURS.get(text, ""))


def clean(text: str) -> str:
    """A text without what would steer a terminal: it may come from a task's output or an event."""
    return "".join(
        char if char.isprintable() or char in "\n\t" else "\N{REPLACEMENT CHARACTER}" for char in text
    )


def when(iso: str | None) -> str:
    """An ISO time in the local zone, with its offset."""
    if iso is None:
        return ""
    return datetime.fromisoformat(iso).astimezone().isoformat(sep=" ", timespec="seconds")


def lasted(seconds: float | None) -> str:
    """A duration: 0.42 s, 12.3 s, 4 min 10 s, 3 h 5 min, 2 d 4 h."""
    if seconds is None:
        return ""
    if seconds < 60:
        return f"{seconds:.2f} s" if seconds < 10 else f"{seconds:.1f} s"
    whole = int(seconds)
    for size, name, small, small_name in (
        (86_400, "d", 3_600, "h"),
        (3_600, "h", 60, "min"),
        (60, "min", 1, "s"),
    ):
        if whole >= size:
            return f"{whole // size} {name} {whole % size // small} {small_name}"
    return f"{whole} s"


def pretty(value: Json) -> str:
    """JSON text for people."""
    return msgspec.json.format(dumps(value), indent=2).decode()
