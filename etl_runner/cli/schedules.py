"""`etl-runner schedules ...`."""

import time
from datetime import datetime
from pathlib import Path
from shlex import quote
from typing import Annotated, Final

import typer

from etl_runner.cli import exits, options, output, shown
from etl_runner.cli.client import of_schedule
from etl_runner.cli.offline import next_ticks
from etl_runner.cli.output import Column
from etl_runner.jsontypes import Json

app = options.group()

Name = Annotated[str, typer.Argument(metavar="SCHEDULE", help="The schedule's name.")]
_WORKFLOWS: Final = Path("workflows")


@app.callback()
def schedules() -> None:
    """List, fire, pause and resume schedules."""


@app.command("list", epilog=exits.epilog())
def list_(
    *,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """List the schedules with their next and last tick.

    \b
    Examples:
      etl-runner schedules list
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    with options.connect(url, token) as client:
        found = client.get("/v1/schedules")
    if json:
        output.document(found)
        return
    columns = [
        Column("SCHEDULE"),
        Column("STATE"),
        Column("WHEN", prose=True),
        Column("NEXT"),
        Column("LAST"),
        Column("WORKFLOW"),
    ]
    rows = [
        (
            each["name"],
            _state(each),
            each["words"],
            output.when(each["nextDue"]),
            "" if each["last"] is None else f"{each['last']['outcome']} {output.when(each['last']['due'])}",
            each["workflow"],
        )
        for each in found["schedules"]
    ]
    output.table(columns, rows, empty="no schedules")


def _state(schedule: Json) -> str:
    if not schedule["enabled"]:
        return "disabled"
    return "paused" if schedule["paused"] else "on"


@app.command("next", epilog=exits.epilog())
def next_(
    name: Annotated[
        str | None, typer.Argument(metavar="[SCHEDULE]", help="The schedule's name; all without it.")
    ] = None,
    *,
    count: Annotated[int, typer.Option("--count", "-n", min=1, max=1000, help="How many ticks.")] = 5,
    config: Annotated[
        Path | None, typer.Option("--config", help="Work it out from this folder, without a service.")
    ] = None,
    workflows: Annotated[
        Path, typer.Option("--workflows", help="The folder of workflows, with --config.")
    ] = _WORKFLOWS,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Show the next ticks of one schedule or of all.

    \b
    Examples:
      etl-runner schedules next daily-import --count 3
      etl-runner schedules next --config config/ --workflows workflows/
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    if config is not None:
        found: Json = {
            "ticks": next_ticks(config, workflows, name, count, after_ms=time.time_ns() // 1_000_000)
        }
    else:
        with options.connect(url, token) as client:
            path = "/v1/next" if name is None else of_schedule(name, "next")
            found = client.get(path, count=count)
    if json:
        output.document(found)
        return
    columns = [Column("SCHEDULE"), Column("DUE"), Column("IN"), Column("")]
    rows = [
        (each["schedule"], output.when(each["due"]), _in(each["due"]), "paused" if each["paused"] else "")
        for each in found["ticks"]
    ]
    output.table(columns, rows, empty="no ticks to come")


def _in(due: str) -> str:
    return output.lasted(max(0.0, round(datetime.fromisoformat(due).timestamp() - time.time())))


@app.command(epilog=exits.epilog())
def pause(
    name: Name,
    *,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Let a schedule's ticks pass without starting anything.

    Each leaves a row that says so.

    \b
    Examples:
      etl-runner schedules pause daily-import
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    _set(name, "pause", url, token, as_json=json)


@app.command(epilog=exits.epilog())
def resume(
    name: Name,
    *,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Let a paused schedule fire again, from its next tick on.

    \b
    Examples:
      etl-runner schedules resume daily-import
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    _set(name, "resume", url, token, as_json=json)


def _set(name: str, action: str, url: str, token: str | None, *, as_json: bool) -> None:
    with options.connect(url, token) as client:
        found = client.post(of_schedule(name, action), {})
    if as_json:
        output.document(found)
    else:
        output.say(f"{name} is {_state(found)}; {_what_follows(name, found)}")


def _what_follows(name: str, schedule: Json) -> str:
    if _state(schedule) == "paused":
        return f"its ticks start nothing until etl-runner schedules resume {quote(name)}"
    return f"its next tick: {output.when(schedule['nextDue']) or 'none'}"


@app.command(epilog=exits.epilog())
def fire(
    name: Name,
    *,
    fire_id: Annotated[
        str | None,
        typer.Option("--fire-id", help="A name for this fire: the same one starts nothing a second time."),
    ] = None,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Start a schedule's workflow now.

    It gets the input of a tick at this moment.

    \b
    Examples:
      etl-runner schedules fire daily-import
      etl-runner schedules fire daily-import --fire-id rerun_1
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    with options.connect(url, token) as client:
        found = client.post(of_schedule(name, "fire"), {"fireId": fire_id})
    if json:
        output.document(found)
    else:
        output.say(f"{name} {'had fired before' if found['existed'] else 'fired'}")
        output.say(found["executionArn"])


@app.command(epilog=exits.epilog())
def ticks(
    name: Annotated[
        str | None, typer.Argument(metavar="[SCHEDULE]", help="The schedule's name; all without it.")
    ] = None,
    *,
    limit: options.Limit = 20,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Show what became of past ticks.

    As in: why did it not run at 02:30?

    \b
    Examples:
      etl-runner schedules ticks daily-import --limit 10
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    with options.connect(url, token) as client:
        found = client.get("/v1/ticks", schedule=name, limit=limit)
    if json:
        output.document(found)
        return
    columns = [Column(title) for title in ("DUE", "SCHEDULE", "OUTCOME", "LATE", "EXECUTION")]
    columns.append(Column("REASON", prose=True))
    rows = [
        (
            output.when(each["due"]),
            each["schedule"],
            each["outcome"],
            output.lasted(each["latenessSeconds"]),
            shown.named(each["executionArn"]),
            each["reason"],
        )
        for each in found["ticks"]
    ]
    output.table(columns, rows, empty="no ticks yet")
