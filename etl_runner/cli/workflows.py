"""`etl-runner workflows ...`."""

from collections import Counter
from typing import Final

import typer

from etl_runner.cli import exits, options, output
from etl_runner.cli.output import Column

app: typer.Typer = options.group()

_NARROW: Final = 40
"""The columns are short: a table of them fits most terminals."""


@app.callback()
def workflows() -> None:
    """List the workflows of the service."""


@app.command("list", epilog=exits.epilog())
def list_(
    *,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """List workflows and state machines with their executions.

    They are those of the service's files and those made through the Step Functions API. Nothing is kept of
    Express executions.

    \b
    Examples:
      etl-runner workflows list
      etl-runner workflows list --json
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    with options.connect(url, token) as client:
        found = client.get("/v1/workflows")
    if json:
        output.document(found)
        return
    columns = [
        Column("WORKFLOW"),
        Column("FROM"),
        Column("TYPE"),
        Column("RUNNING", right=True),
        Column("SUCCEEDED", right=True),
        Column("OTHER", right=True),
        Column("DESCRIPTION", prose=True),
    ]
    named = Counter(each["name"] for each in found["workflows"])
    rows = [
        (
            each["name"] if named[each["name"]] == 1 else each["stateMachineArn"],
            "API" if each["file"] is None else "file",
            each["type"],
            each["counts"]["RUNNING"],
            each["counts"]["SUCCEEDED"],
            sum(each["counts"][status] for status in ("FAILED", "TIMED_OUT", "ABORTED")),
            each["description"],
        )
        for each in found["workflows"]
    ]
    output.table(columns, rows, empty="no workflows", narrow=_NARROW)
