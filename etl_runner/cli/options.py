"""Options that many commands share."""

from typing import Annotated, Final

import typer

from etl_runner.cli.client import DEFAULT_URL, Client


def _note_json(ctx: typer.Context, given: bool) -> bool:  # noqa: FBT001 -- typer hands it over so
    ctx.find_root().obj.json = given
    return given


def _note_debug(ctx: typer.Context, given: bool) -> bool:  # noqa: FBT001 -- the same
    ctx.find_root().obj.debug = given
    return given


Json = Annotated[
    bool,
    typer.Option(
        "--json", callback=_note_json, is_eager=True, help="Write one JSON document to standard output."
    ),
]
Debug = Annotated[
    bool,
    typer.Option(
        "--debug", callback=_note_debug, is_eager=True, envvar="ETL_RUNNER_DEBUG", help="Show tracebacks."
    ),
]
Url = Annotated[str, typer.Option("--url", envvar="ETL_RUNNER_URL", help="Where the service is.")]
Token = Annotated[
    str | None,
    typer.Option(
        "--token",
        envvar="ETL_RUNNER_API_TOKEN",
        show_default=False,
        help="The service's token. Better in the variable: everyone on a machine sees command lines.",
    ),
]
Limit = Annotated[int, typer.Option("--limit", min=1, max=1000, help="The most to show.")]

NOWHERE: Final = DEFAULT_URL


def group() -> typer.Typer:
    """A group of commands."""
    return typer.Typer(
        add_completion=False, rich_markup_mode=None, no_args_is_help=True, pretty_exceptions_enable=False
    )


def connect(url: str, token: str | None) -> Client:
    """A client of the service."""
    return Client(url, token)
