"""`etl-runner executions ...`."""

from typing import Annotated

import typer

from etl_runner.cli import exits, options, output, shown
from etl_runner.cli.client import of_execution
from etl_runner.cli.given import moment
from etl_runner.cli.output import Column
from etl_runner.jsontypes import Json

app = options.group()

Execution = Annotated[
    str, typer.Argument(metavar="EXECUTION", help="WORKFLOW/NAME, an ARN, or a name that is unique.")
]


@app.callback()
def executions() -> None:
    """List, show, watch and stop executions."""


@app.command("list", epilog=exits.epilog())
def list_(  # noqa: PLR0913 -- each option is a parameter
    *,
    workflow: Annotated[str | None, typer.Option("--workflow", help="Of this workflow only.")] = None,
    status: Annotated[
        str | None,
        typer.Option("--status", help="RUNNING, SUCCEEDED, FAILED, TIMED_OUT or ABORTED."),
    ] = None,
    origin: Annotated[
        str | None, typer.Option("--origin", help="What started it: api, schedule:NAME or rule:NAME.")
    ] = None,
    map_run: Annotated[
        str | None, typer.Option("--map-run", metavar="ARN", help="The children of this map run.")
    ] = None,
    after: Annotated[
        str | None, typer.Option("--after", help="Started then or later: a time, or an age such as 2d.")
    ] = None,
    before: Annotated[
        str | None, typer.Option("--before", help="Started earlier: a time, or an age such as 90m.")
    ] = None,
    limit: options.Limit = 20,
    page: Annotated[
        str | None, typer.Option("--next", help="The token that the page before ended with.")
    ] = None,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """List executions, newest first.

    \b
    Examples:
      etl-runner executions list --status FAILED --after 1d
      etl-runner executions list --workflow daily_import --limit 5 --json
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    with options.connect(url, token) as client:
        found = client.get(
            "/v1/executions",
            workflow=workflow,
            status=status,
            origin=origin,
            mapRun=map_run,
            after=moment(after, "--after"),
            before=moment(before, "--before"),
            limit=limit,
            next=page,
        )
    if json:
        output.document(found)
        return
    shown.summaries(found["executions"])
    if found["next"] is not None:
        output.note(f"there are more: --next {found['next']}")


@app.command(epilog=exits.epilog())
def show(
    execution: Execution,
    *,
    everything: Annotated[bool, typer.Option("--all", help="Every written object, however many.")] = False,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Show what ran of an execution, what did not and why.

    Also where it stands, what it wrote, its variables and redrives.

    \b
    Examples:
      etl-runner executions show daily_import/2026-01-31
      etl-runner executions show 2026-01-31 --json
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    with options.connect(url, token) as client:
        view = client.get(of_execution(execution))
        objects = shown.objects(client, view["executionArn"], everything=everything)
    if json:
        output.document({**view, "written": objects["objects"], "moreWritten": objects["next"] is not None})
    else:
        shown.execution(view, objects)


@app.command(epilog=exits.epilog())
def history(  # noqa: PLR0913 -- each option is a parameter
    execution: Execution,
    *,
    limit: options.Limit = 1000,
    after: Annotated[int, typer.Option("--after", min=0, help="Only events after this id.")] = 0,
    newest_first: Annotated[bool, typer.Option("--newest-first", help="The last event first.")] = False,
    data: Annotated[bool, typer.Option("--data/--no-data", help="With inputs and outputs.")] = True,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Show the history of an execution, event by event.

    The events are those of AWS's GetExecutionHistory; --json has all of their details.

    \b
    Examples:
      etl-runner executions history daily_import/2026-01-31
      etl-runner executions history 2026-01-31 --newest-first --limit 10 --json
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    with options.connect(url, token) as client:
        path = of_execution(execution, "history")
        found = client.get(path, after=after, limit=limit, newestFirst=newest_first, includeData=data)
    if json:
        output.document(found)
        return
    numbers = [Column("ID", right=True), Column("AFTER", right=True)]
    columns = [*numbers, Column("TIME"), Column("EVENT", prose=True)]
    rows = [(e["id"], e["previousEventId"], output.when(e["timestamp"]), _event(e)) for e in found["events"]]
    output.table(columns, rows, empty="no events")
    if found["next"] is not None:
        output.note(f"there are more: --after {found['next']}")


def _event(event: Json) -> str:
    """An event's type with what says most of it: the state's name, or the error."""
    details: Json = next((value for key, value in event.items() if key.endswith("EventDetails")), {})
    about = details.get("name") or details.get("error") or details.get("resource") or ""
    return f"{event['type']} {about}".rstrip()


@app.command(epilog=exits.epilog())
def wait(
    execution: Execution,
    *,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, help="Wait at most so many seconds.")
    ] = None,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Watch an execution to its end.

    \b
    Examples:
      etl-runner executions wait daily_import/2026-01-31 --timeout 3600
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    with options.connect(url, token) as client:
        view = client.get(of_execution(execution))
        arn, name = view["executionArn"], shown.reference(view)
        shown.follow(client, arn, name=name, timeout_s=timeout, as_json=json)


@app.command(epilog=exits.epilog())
def stop(
    execution: Execution,
    *,
    error: Annotated[str | None, typer.Option("--error", help="The error it ends with.")] = None,
    cause: Annotated[str | None, typer.Option("--cause", help="Why it is stopped.")] = None,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Stop a running execution; tasks that are under way are cancelled.

    \b
    Examples:
      etl-runner executions stop daily_import/2026-01-31 --cause "wrong date"
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    with options.connect(url, token) as client:
        view = client.post(of_execution(execution, "stop"), {"error": error, "cause": cause})
    if json:
        output.document(view)
    else:
        output.say(f"{shown.reference(view)} is stopped after {output.lasted(view['durationSeconds'])}")
