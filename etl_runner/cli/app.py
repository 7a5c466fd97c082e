"""The root of the command line: which commands there are, and what happens to an error that reaches it."""

import gc
import importlib
import sys
import traceback
from dataclasses import dataclass
from typing import Annotated, Any, Final

import typer
from typer.core import TyperCommand, TyperGroup

from etl_runner import __version__
from etl_runner.cli import exits
from etl_runner.errors import EtlRunnerError

COMMANDS: Final = {
    # Name: what `etl-runner --help` says of it; the command itself is in the module of the same name.
    "serve": "Run the service.",
    "run": "Start a workflow.",
    "lint": "Check definitions and configuration.",
    "test": "Run a definition offline with mocks.",
    "executions": "List, show, watch and stop executions.",
    "workflows": "List the workflows of the service.",
    "schedules": "List, fire, pause and resume schedules.",
    "events": "Put events that start workflows.",
}


@dataclass(slots=True)
class Mode:
    """What holds for the whole command, noted as its options are read."""

    json: bool = False
    debug: bool = False


class Root(TyperGroup):
    """Loads commands when they are asked for, and turns errors into a sentence and an exit code."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        # Stand-ins with the help line: all that `--help` and "did you mean" need.
        placeholders = {name: TyperCommand(name=name, help=line) for name, line in COMMANDS.items()}
        self.commands = {**placeholders}

    def resolve_command(self, ctx: Any, args: list[str]) -> Any:
        """Import the command that is asked for, and note --json before its options can fail."""
        ctx.obj.json = "--json" in args
        if args and args[0] in COMMANDS:
            gc.disable()  # importing makes much that stays and hardly any garbage: looking for it is in vain
            module = importlib.import_module(f"etl_runner.cli.{args[0]}")
            gc.enable()
            command = typer.main.get_command(module.app)
            command.name = args[0]
            self.commands[args[0]] = command
        return super().resolve_command(ctx, args)

    def invoke(self, ctx: Any) -> Any:
        """Run a command; no error of ours leaves as a traceback unless --debug asks for it."""
        mode = ctx.obj = Mode()
        try:
            return super().invoke(ctx)
        except EtlRunnerError as error:
            if mode.debug:
                traceback.print_exc()
            raise typer.Exit(report(error, mode)) from None
        except KeyboardInterrupt:
            sys.stderr.write("interrupted\n")
            raise typer.Exit(exits.INTERRUPTED) from None
        except BrokenPipeError:
            # Whoever read our output has gone (`| head`). Python must not complain of it again at its end.
            sys.stdout = None
            raise typer.Exit(exits.FINE) from None
        except typer.Abort:
            raise
        except Exception as error:
            if hasattr(error, "exit_code"):  # typer's own: a usage error, or a command that has ended
                if mode.json and hasattr(error, "format_message"):
                    from etl_runner.cli import output  # noqa: PLC0415 -- as in report

                    output.document({"error": {"type": "Usage", "message": error.format_message()}})
                raise
            if mode.debug:
                traceback.print_exc()
            fault = EtlRunnerError(
                f"etl-runner failed inside: {type(error).__name__}: {error}. --debug shows where; "
                "please report it"
            )
            raise typer.Exit(report(fault, mode)) from None


def report(error: EtlRunnerError, mode: Mode) -> int:
    """Say what went wrong, on standard error and with --json as the document as well; gives the exit code."""
    from etl_runner.cli import output  # noqa: PLC0415 -- brings rich, which `--help` need not pay for

    output.error(error)
    if mode.json:
        output.document({"error": output.error_shape(error)})
    return exits.code_of(error)


def _version(given: bool) -> None:  # noqa: FBT001 -- typer hands it over so
    if given:
        sys.stdout.write(f"etl-runner {__version__}\n")
        raise typer.Exit


app = typer.Typer(
    cls=Root,
    add_completion=False,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    no_args_is_help=True,
    epilog=exits.epilog(),
    context_settings={"help_option_names": ["-h", "--help"]},
)


@app.callback()
def root(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_version, is_eager=True, help="Show the version.")
    ] = False,
) -> None:
    """Run AWS Step Functions workflows on your own machine.

    \b
    Examples:
      etl-runner serve --config config/ --port 8083
      etl-runner run greet --input '{"name": "Ada"}' --wait
      etl-runner executions list --status FAILED
      etl-runner COMMAND --help

    Every command has --json: one JSON document on standard output, all else on standard error.
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
