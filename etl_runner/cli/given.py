"""Values given on the command line: JSON from a text, a file or standard input, and times."""

import json
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from re import fullmatch
from typing import Final

from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json, loads

_UNITS: Final = {"s": 1, "m": 60, "h": 3_600, "d": 86_400}


def read_json(given: str, what: str) -> Json:
    """The value of JSON text, of @FILE, or of standard input for `-`. Raises InvalidInput with the place."""
    if given == "-":
        data, source = sys.stdin.buffer.read(), "standard input"
    elif given.startswith("@"):
        path = Path(given[1:])
        try:
            data, source = path.read_bytes(), str(path)
        except OSError as error:
            raise InvalidInput(f"the {what} file {path} cannot be read: {error.strerror}") from None
    else:
        data, source = given.encode(errors="surrogateescape"), f"the {what}"
    try:
        return loads(data)
    except ValueError as error:
        hint = "; to read a file, write @FILE" if source == f"the {what}" else ""
        raise InvalidInput(f"{source} is no JSON: {_place(data, error)}{hint}") from None


def _place(data: bytes, error: ValueError) -> str:
    """Where JSON text goes wrong, by line and column; the quick reader tells a byte alone."""
    try:
        json.loads(data)
    except json.JSONDecodeError as found:
        return f"line {found.lineno}, column {found.colno}: {found.msg}"
    except (ValueError, RecursionError):
        pass
    return str(error)


def moment(text: str | None, option: str) -> str | None:
    """A time as ISO text with an offset: an ISO time (local without an offset), or an age such as 90m, 2d.

    Raises InvalidInput.
    """
    if text is None:
        return None
    age = fullmatch(r"(\d{1,6})([smhd])", text)
    if age is not None:
        return (datetime.now(UTC) - timedelta(seconds=int(age[1]) * _UNITS[age[2]])).isoformat()
    try:
        return datetime.fromisoformat(text).astimezone().isoformat()
    except (ValueError, OverflowError):
        raise InvalidInput(
            f"{option} is {text!r}; write a time such as 2026-01-31T04:00, or an age such as 90m, 12h or 2d"
        ) from None
