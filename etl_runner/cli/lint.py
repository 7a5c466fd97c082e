"""`etl-runner lint`."""

import sys
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from etl_runner.cli import exits, options, output
from etl_runner.cli.linting import lint_paths
from etl_runner.errors import Fault

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)


@app.command(epilog=exits.epilog())
def lint(
    paths: Annotated[
        list[Path],
        typer.Argument(metavar="PATH...", help="Definitions, folders of workflows or a configuration."),
    ],
    *,
    workflows: Annotated[
        Path | None,
        typer.Option("--workflows", help="The workflows that a configuration names; default: beside it."),
    ] = None,
    portable: Annotated[
        bool, typer.Option("--portable", help="Tell what keeps definitions from running unchanged on AWS.")
    ] = False,
    strict: Annotated[bool, typer.Option("--strict", help="Warnings are faults too.")] = False,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Check definitions, functions, schedules and rules: all faults, each with its place and remedy.

    Lines read FILE:LINE:COLUMN: what is wrong; what to do [code]. No service is needed, nothing is changed.

    \b
    Examples:
      etl-runner lint workflows/greet
      etl-runner lint workflows/ config/
      etl-runner lint definition.asl.json --json
      etl-runner lint --portable workflows/greet
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    found = lint_paths(paths, workflows, portable=portable)
    faults = found.faults
    errors = sum(fault.severity == "error" for fault in faults)
    warnings = len(faults) - errors
    if json:
        shown = [{**asdict(fault), "text": str(fault)} for fault in faults]
        output.document({"faults": shown, "errors": errors, "warnings": warnings, "files": len(found.files)})
    else:
        for fault in faults:
            sys.stdout.write(output.clean(_line(fault)) + "\n")
    sys.stdout.flush()
    files = f"{len(found.files)} file{'' if len(found.files) == 1 else 's'}"
    output.note(f"{_count(errors, 'error')}, {_count(warnings, 'warning')} in {files}")
    if errors or (strict and warnings):
        raise typer.Exit(exits.FAILED)


def _line(fault: Fault) -> str:
    text = str(fault)
    return text if fault.severity == "error" else text.replace(fault.what, f"warning: {fault.what}", 1)


def _count(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"
