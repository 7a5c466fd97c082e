"""`etl-runner events ...`."""

from typing import Annotated

import typer

from etl_runner.cli import exits, options, output, shown
from etl_runner.cli.given import read_json
from etl_runner.cli.output import Column
from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json

app = options.group()


@app.callback()
def events() -> None:
    """Put events that start workflows, and see what they started."""


@app.command(epilog=exits.epilog())
def put(
    event: Annotated[
        str,
        typer.Argument(metavar="JSON|@FILE|-", help="An event, or a list of them; - reads standard input."),
    ],
    *,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Put events as EventBridge has them.

    Each starts every rule that it matches, once for its id.

    A rule that could not start its workflow ends it with 1; the event is taken all the same, and put again it
    starts nothing under that rule either.

    \b
    Examples:
      etl-runner events put @event.json
      etl-runner events put '{"source": "shop", "detail-type": "CustomerCreated", "detail": {"name": "Ada"}}'
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    value = read_json(event, "event")
    with options.connect(url, token) as client:
        found = client.post("/v1/events", {"events": value if isinstance(value, list) else [value]})
    if json:
        output.document(found)
    for number, each in enumerate(found["events"], start=1):
        if "error" in each:
            output.note(f"event {number} was not taken: {each['error']['message']}")
            continue
        if not json:
            _show(each)
        for match in _failed(each):
            what = f"the rule {match['rule']} could not start its workflow"
            output.note(f"event {each['eventId']} was taken, but {what}")
    errors = [each["error"]["type"] for each in found["events"] if "error" in each]
    if errors:
        unavailable = any(kind.startswith(("Store", "Lost")) for kind in errors)
        raise typer.Exit(exits.UNAVAILABLE if unavailable else exits.code_of(InvalidInput()))
    if any(_failed(each) for each in found["events"]):
        raise typer.Exit(exits.FAILED)


def _failed(event: Json) -> list[Json]:
    return [match for match in event["matches"] if match["outcome"] == "failed"]


def _show(event: Json) -> None:
    if not event["matches"]:
        output.say(f"{event['eventId']}: no rule matches it; nothing was started")
    for match in event["matches"]:
        what = match["executionArn"] or match["reason"]
        output.say(f"{event['eventId']}: {match['rule']} {match['outcome']} {what}")


@app.command("list", epilog=exits.epilog())
def list_(
    *,
    limit: options.Limit = 20,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Show which events started what, or why not, the newest first.

    \b
    Examples:
      etl-runner events list --limit 5
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    with options.connect(url, token) as client:
        found = client.get("/v1/events", limit=limit)
    if json:
        output.document(found)
        return
    columns = [Column(title) for title in ("TIME", "EVENT", "RULE", "OUTCOME", "EXECUTION")]
    columns.append(Column("REASON", prose=True))
    rows = [
        (
            output.when(each["recordedAt"]),
            each["eventId"],
            each["rule"],
            each["outcome"],
            shown.named(each["executionArn"]),
            each["reason"],
        )
        for each in found["matches"]
    ]
    output.table(columns, rows, empty="no event has matched a rule yet")
