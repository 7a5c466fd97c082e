"""`etl-runner workflows ...`."""

import typer

from etl_runner.cli import exits, options, output
from etl_runner.cli.output import Column

app: typer.Typer = options.group()


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
    """List the workflows that the service has loaded, with their executions by status.

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
        Column("RUNNING"),
        Column("SUCCEEDED"),
        Column("OTHER"),
        Column("DESCRIPTION", prose=True),
    ]
    rows = [
        (
            each["name"],
            each["counts"]["RUNNING"],
            each["counts"]["SUCCEEDED"],
            sum(each["counts"][status] for status in ("FAILED", "TIMED_OUT", "ABORTED")),
            each["description"],
        )
        for each in found["workflows"]
    ]
    output.table(columns, rows, empty="no workflows")
