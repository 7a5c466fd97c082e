"""`etl-runner test`."""

from pathlib import Path
from typing import Annotated

import typer

from etl_runner.cli import exits, options, output, testing
from etl_runner.cli.given import read_json
from etl_runner.errors import InvalidInput
from etl_runner.offline.mock_config import STATUSES, Wanted

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(epilog=exits.epilog())
def run_tests(  # noqa: PLR0913 -- each option is a parameter
    file: Annotated[Path, typer.Argument(metavar="FILE", help="The definition: *.asl.json or *.asl.yaml.")],
    *,
    state: Annotated[str | None, typer.Option("--state", help="Run this state alone.")] = None,
    first: Annotated[str | None, typer.Option("--from", help="Start with this state.")] = None,
    last: Annotated[str | None, typer.Option("--to", help="Stop after this state.")] = None,
    input_: Annotated[
        str | None,
        typer.Option("--input", "-i", metavar="JSON|@FILE|-", help="The input; default: the case's, or {}."),
    ] = None,
    mocks: Annotated[
        Path | None, typer.Option("--mocks", help="A MockConfigFile.json with test cases.")
    ] = None,
    machine: Annotated[
        str | None, typer.Option("--machine", help="The state machine in it; default: called as the file.")
    ] = None,
    case: Annotated[
        list[str] | None, typer.Option("--case", help="Run this case; may be given again; default: all.")
    ] = None,
    recorded: Annotated[
        Path | None,
        typer.Option("--recorded", help="A real execution's history: its answers are given again."),
    ] = None,
    expect: Annotated[
        str | None,
        typer.Option("--expect", help="The wanted status: SUCCEEDED (the default), FAILED or TIMED_OUT."),
    ] = None,
    expect_output: Annotated[
        str | None, typer.Option("--expect-output", metavar="JSON|@FILE", help="The wanted output.")
    ] = None,
    expect_error: Annotated[str | None, typer.Option("--expect-error", help="The wanted error.")] = None,
    steps: Annotated[bool, typer.Option("--steps", help="Show the steps of every case.")] = False,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Run a definition offline with mocks: the whole machine, a path through it, or one state.

    Nothing is called and nothing is kept. Waits and retries pass at once. Tells what happened, and which
    states, choice rules, branches, catches and retries were gone through. See docs/testing.md.

    \b
    Examples:
      etl-runner test workflow.asl.json --mocks MockConfigFile.json
      etl-runner test workflow.asl.json --mocks MockConfigFile.json --case Retries --steps
      etl-runner test workflow.asl.json --state Decide --input '{"size": 3}'
      etl-runner test workflow.asl.json --recorded history.json
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    if state is not None and (first is not None or last is not None):
        raise InvalidInput("--state runs one state alone; leave out --from and --to")
    if expect is not None and expect not in STATUSES:
        raise InvalidInput(f"--expect has {expect!r}; it has to be one of {', '.join(STATUSES)}")
    asked = testing.Asked(
        file=file,
        first=state or first,
        last=state or last,
        given=None if input_ is None else (read_json(input_, "input"),),
        mocks=mocks,
        machine=machine,
        cases=tuple(case or ()),
        recorded=recorded,
        wanted=Wanted(
            status=expect,
            output=None if expect_output is None else (read_json(expect_output, "output"),),
            error=expect_error,
        ),
    )
    definition = testing.read_machine(file)
    tested = [testing.run_test(definition, each, asked) for each in testing.tests_of(asked)]
    if json:
        output.document(testing.document(file, definition, tested))
    else:
        testing.show(definition, tested, steps=steps)
    if any(each.why for each in tested):
        raise typer.Exit(exits.FAILED)
