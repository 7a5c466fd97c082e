"""`etl-runner serve`."""

from pathlib import Path
from typing import Annotated, Final

import typer

from etl_runner.cli import exits, options
from etl_runner.daemon import serve as serve_forever
from etl_runner.log import configure_logging
from etl_runner.settings import load_settings

app = typer.Typer(add_completion=False, rich_markup_mode=None, pretty_exceptions_enable=False)

_CONFIG: Final = Path("config")


@app.command(epilog=exits.epilog())
def serve(
    *,
    config: Annotated[Path, typer.Option("--config", help="The folder of settings and schedules.")] = _CONFIG,
    port: Annotated[
        int | None, typer.Option("--port", show_default="8083", help="Port to listen on; 0 takes a free one.")
    ] = None,
    host: Annotated[
        str | None, typer.Option("--host", show_default="127.0.0.1", help="Address to listen on.")
    ] = None,
    store: Annotated[
        Path | None, typer.Option("--store", show_default="var/etl-runner.db", help="The SQLite file.")
    ] = None,
    workflows: Annotated[
        Path | None, typer.Option("--workflows", show_default="workflows", help="The folder of workflows.")
    ] = None,
    json: options.Json = False,
    debug: options.Debug = False,  # noqa: ARG001 -- noted by its callback
) -> None:
    """Run the service until Ctrl-C or SIGTERM, then finish what runs and stop.

    Options win over variables (ETL_RUNNER_PORT ...), those over config/etl-runner.yaml. Edited files take
    effect without a restart. With --json the log is JSON lines (on standard error, as always).

    \b
    Examples:
      etl-runner serve --config config/ --port 8083
      etl-runner serve --store /var/lib/etl-runner/store.db --workflows workflows/
    """  # noqa: D301 -- \b is the help formatter's own mark: leave this paragraph as it is
    given = {"port": port, "host": host, "store": store, "workflows": workflows}
    settings = load_settings(config, **given)
    configure_logging(settings.log.level, "json" if json else settings.log.format)
    serve_forever(settings, config)
