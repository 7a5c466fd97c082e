"""Items out of the text of a data set, as an ItemReader would have read it (TestState, mapItemReaderData)."""

import csv
import io
from collections.abc import Mapping
from typing import Final

from etl_runner.jsontypes import Json, loads

_DELIMITERS: Final = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}


def read_items(text: str, config: Mapping[str, Json]) -> list[Json]:
    """The items of a data set after ReaderConfig. Raises ValueError."""
    kind = config.get("InputType", "JSON")
    if kind == "CSV":
        items = _rows(text, config)
    elif kind == "JSONL":
        items = [loads(line) for line in text.splitlines() if line.strip()]
    else:
        items = _array(loads(text), str(config.get("ItemsPointer", "")))
    most = config.get("MaxItems")
    return items[:most] if isinstance(most, int) and most > 0 else items


def _array(document: Json, pointer: str) -> list[Json]:
    found = document
    for part in pointer.split("/")[1:]:
        key = part.replace("~1", "/").replace("~0", "~")
        found = found.get(key) if isinstance(found, dict) else None
    if isinstance(found, dict):
        return [{"Key": key, "Value": value} for key, value in found.items()]
    if not isinstance(found, list):
        raise ValueError(f"there is no array at '{pointer or '/'}'")  # noqa: TRY004 -- of the user's text
    return found


def _rows(text: str, config: Mapping[str, Json]) -> list[Json]:
    delimiter = _DELIMITERS[str(config.get("CSVDelimiter", "COMMA"))]
    rows = [row for row in csv.reader(io.StringIO(text), delimiter=delimiter) if row]
    if config.get("CSVHeaderLocation") == "GIVEN":
        names = [str(name) for name in config.get("CSVHeaders", [])]
    else:
        names, rows = (rows[0], rows[1:]) if rows else ([], [])
    return [dict(zip(names, [*row, *[""] * (len(names) - len(row))], strict=False)) for row in rows]
