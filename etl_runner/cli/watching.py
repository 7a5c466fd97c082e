"""Watching an execution to its end: live on a terminal, plain lines elsewhere, always on standard error."""

import sys
import time
from typing import Final, Protocol

from rich.live import Live
from rich.text import Text

from etl_runner.cli import output
from etl_runner.cli.client import Client, of_execution
from etl_runner.cli.exits import Unreachable
from etl_runner.jsontypes import Json

FIRST_STEP_S: Final = 0.3
"""What ends sooner than this is shown by its end alone."""

STEP_S: Final = 5.0
LIVE_STEP_S: Final = 1.0

PATIENCE_S: Final = 60.0
"""So long a service that went away may take to come back: a restart is no reason to stop watching."""

MOST_LINES: Final = 12


def lines_of(view: Json) -> list[str]:
    """Where an execution stands, a line for each state it is in."""
    lines = []
    counts = {run["mapRunArn"]: run for run in view["mapRuns"] if run["status"] == "RUNNING"}
    for each in view["current"][:MOST_LINES]:
        place = "/".join([*each["within"], each["state"]])
        lines.append(f"{place}: {doing(each)}")
    for run in counts.values():
        done = sum(n for status, n in run["counts"].items() if status != "RUNNING")
        total = run["started"] if run["allItemsRead"] else f"{run['started']}+"
        lines.append(f"map run: {done} of {total} done, {run['counts']['FAILED']} failed")
    for each in view["progress"][:MOST_LINES]:
        total = "" if each["total"] is None else f" of {each['total']:g}"
        lines.append(f"{each['state']}: {each['done']:g}{total} {each['note']}".rstrip())
    hidden = len(view["current"]) - MOST_LINES
    return [*lines, f"and {hidden} more"] if hidden > 0 else lines


def doing(current: Json) -> str:
    """What a state is doing: `working (attempt 2)`, `retrying at 12:00:01, after Timeout`."""
    match current["doing"]:
        case "retrying":
            error = f" after {current['error']}" if current.get("error") else ""
            return f"attempt {current['attempt']} failed{error}, next at {output.when(current['until'])}"
        case "waiting" if "until" in current:
            return f"waiting until {output.when(current['until'])}"
        case "branches":
            return f"{current['done']} of {current['total']} done"
        case plain:
            return f"{plain} (attempt {current['attempt']})" if current["attempt"] > 1 else str(plain)


class Reporter(Protocol):
    """Whoever shows how an execution goes."""

    step_s: float

    def show(self, lines: list[str]) -> None:
        """Show how it stands."""
        ...

    def close(self) -> None:
        """Show no more."""
        ...


class PlainReporter:
    """A line for each thing that has changed."""

    step_s = STEP_S

    def __init__(self) -> None:
        self._shown: set[str] = set()

    def show(self, lines: list[str]) -> None:
        """Write the lines that were not there the last time."""
        for line in lines:
            if line not in self._shown:
                output.note(f"{time.strftime('%H:%M:%S')} {line}")
        self._shown = set(lines)

    def close(self) -> None:
        """Nothing is held."""


class LiveReporter:
    """The present state, drawn over the last."""

    step_s = LIVE_STEP_S

    def __init__(self, title: str) -> None:
        self._title = title
        self._begun = time.monotonic()
        self._lines: list[str] = []
        self._live = Live(
            get_renderable=self._drawing,
            console=output.console(stderr=True),
            transient=True,
            refresh_per_second=4,
        )
        self._live.start()

    def show(self, lines: list[str]) -> None:
        """Draw it with the next refresh."""
        self._lines = [f"  {output.clean(line)}" for line in lines]

    def _drawing(self) -> Text:
        whole = int(time.monotonic() - self._begun)
        spent = f"{whole} s" if whole < 60 else output.lasted(whole)
        return Text("\n".join([f"{self._title}  {spent}", *self._lines]))

    def close(self) -> None:
        """Wipe the drawing."""
        self._live.stop()


def watch(client: Client, execution: str, timeout_s: float | None, *, name: str) -> Json:
    """The execution as it stands at its end, or when the time has passed (still RUNNING then).

    Raises NotFound, and Unreachable when the service stays away.
    """
    until = None if timeout_s is None else time.monotonic() + timeout_s
    title = f"{name} is running"
    reporter: Reporter = LiveReporter(title) if sys.stderr.isatty() else PlainReporter()
    step_s = FIRST_STEP_S
    try:
        while True:
            left = step_s if until is None else max(0.0, until - time.monotonic())
            view = _ask(client, execution, min(left, step_s), until, reporter)
            if view["status"] != "RUNNING" or (until is not None and time.monotonic() >= until):
                return view
            reporter.show(lines_of(view))
            step_s = reporter.step_s
    finally:
        reporter.close()


def _ask(client: Client, execution: str, step_s: float, until: float | None, reporter: Reporter) -> Json:
    """Ask once, and again when the service goes away for a while."""
    lost_at: float | None = None
    while True:
        try:
            return client.get(of_execution(execution, "wait"), timeout=f"{step_s:.3f}")
        except Unreachable:
            now = time.monotonic()
            lost_at = now if lost_at is None else lost_at
            if now - lost_at > PATIENCE_S or (until is not None and now >= until):
                raise
            reporter.show(["the service does not answer; waiting for it to come back"])
            time.sleep(LIVE_STEP_S)
