"""`etl-runner run`."""

from typing import Annotated

import typer

from etl_runner.cli import exits, options, output, shown
from etl_runner.cli.given import read_json

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(epilog=exits.epilog())
def run(  # noqa: PLR0913 -- each option is a parameter
    workflow: Annotated[str, typer.Argument(metavar="WORKFLOW", help="The workflow's name or ARN.")],
    *,
    input_: Annotated[
        str, typer.Option("--input", "-i", metavar="JSON|@FILE|-", help="The input; - reads standard input.")
    ] = "{}",
    name: Annotated[
        str | None,
        typer.Option("--name", help="The execution's name; the same name and input start only once."),
    ] = None,
    wait: Annotated[bool, typer.Option("--wait", "-w", help="Wait for the end and show it.")] = False,
    timeout: Annotated[
        float | None, typer.Option("--timeout", min=0, help="Wait at most so many seconds.")
    ] = None,
    url: options.Url = options.NOWHERE,
    token: options.Token = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Start a workflow in the running service; with --wait, watch it to its end.

    The execution runs in the service: to stop watching, press Ctrl-C; the execution goes on.

    \b
    Examples:
      etl-runner run greet --input '{"name": "Ada"}' --wait
      etl-runner run daily_import --input @workflows/daily_import/input.json --name 2026-01-31
      cat input.json | etl-runner run greet --input - --wait --timeout 60 --json
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    value = read_json(input_, "input")
    with options.connect(url, token) as client:
        started = client.post("/v1/executions", {"workflow": workflow, "input": value, "name": name})
        reference = shown.reference(started)
        if wait or timeout is not None:
            output.note(f"{reference} {'was there before' if started['existed'] else 'started'}")
            arn = started["executionArn"]
            shown.follow(client, arn, name=reference, timeout_s=timeout, as_json=json)
        elif json:
            output.document(started)
        else:
            output.say(f"{reference} {'was there before' if started['existed'] else 'started'}")
            output.say(started["executionArn"])
