"""The `etl-runner` command. What it asks of a service goes over HTTP; lint and serve work by themselves.

Each command is a module of its own, imported only when it is asked for: `--help` stays quick.
"""

from etl_runner.cli.app import app


def main() -> None:
    """Run the command line; the console script of the package."""
    app()


__all__ = ["app", "main"]
