"""ReaderConfig as a value: how the bytes of an object become items."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, Self

from etl_runner.errors import READER_FAILED, StatesError
from etl_runner.jsontypes import Json
from etl_runner.s3.json_items import parse_pointer

DELIMITERS: Final = {"COMMA": ",", "PIPE": "|", "SEMICOLON": ";", "SPACE": " ", "TAB": "\t"}
_KEYS: Final = frozenset(
    {
        "InputType",
        "CSVHeaderLocation",
        "CSVHeaders",
        "CSVDelimiter",
        "ItemsPointer",
        "ManifestType",
        "MaxItems",
        "Transformation",
        "ChunkBytes",
    }
)


@dataclass(frozen=True, slots=True, kw_only=True)
class ReaderConfig:
    """How one object is read, checked. `headers` is None unless CSVHeaderLocation is GIVEN.

    `max_items` is None for no bound (ASL writes 0), `chunk_bytes` None when items are the records themselves,
    `pointer` (ItemsPointer, taken apart) None when a JSON document itself is to be an array.
    """

    input_type: str
    headers: tuple[str, ...] | None = None
    delimiter: str = "COMMA"
    max_items: int | None = None
    chunk_bytes: int | None = None
    pointer: tuple[str, ...] | None = None

    @property
    def delimiter_char(self) -> str:
        """The character that CSVDelimiter names."""
        return DELIMITERS[self.delimiter]

    @classmethod
    def from_json(cls, config: Mapping[str, Json]) -> Self:
        """Check ReaderConfig. Raises StatesError States.ItemReaderFailed, naming the field."""
        check_keys(config)
        input_type = config.get("InputType")
        if input_type not in {"CSV", "JSONL", "JSON"}:
            raise _bad(f"needs InputType CSV, JSONL or JSON, and it is {input_type!r}")
        delimiter = config.get("CSVDelimiter", "COMMA")
        if delimiter not in DELIMITERS:
            raise _bad(f"has CSVDelimiter {delimiter!r}; it takes {', '.join(DELIMITERS)}")
        chunk_bytes = _whole_number(config, "ChunkBytes")
        if chunk_bytes == 0:
            raise _bad("has ChunkBytes 0; a chunk has at least one byte")
        if chunk_bytes is not None and input_type == "JSON":
            raise _bad("has ChunkBytes with InputType JSON; only CSV and JSONL can be cut into chunks")
        pointer = config.get("ItemsPointer")
        if pointer is not None and (input_type != "JSON" or not isinstance(pointer, str)):
            raise _bad(f"has ItemsPointer {pointer!r} with InputType {input_type}; it is a text and for JSON")
        return cls(
            input_type=input_type,
            headers=_headers(config) if input_type == "CSV" else None,
            delimiter=delimiter,
            max_items=most_items(config),
            chunk_bytes=chunk_bytes,
            pointer=None if pointer is None else parse_pointer(pointer),
        )


def check_keys(config: Mapping[str, Json]) -> None:
    """Refuse a field that no reader knows. Raises StatesError States.ItemReaderFailed."""
    for name in config:
        if name not in _KEYS:
            raise _bad(f"has {name}, which is not supported; it takes {', '.join(sorted(_KEYS))}")


def most_items(config: Mapping[str, Json]) -> int | None:
    """MaxItems, None for no bound. Raises StatesError States.ItemReaderFailed."""
    return _whole_number(config, "MaxItems") or None


def check_header(names: Sequence[str]) -> None:
    """A column name names one column. Raises StatesError in the words of Step Functions."""
    if len(set(names)) != len(names):
        raise StatesError(READER_FAILED, "CSV headers cannot contain duplicates.")


def _headers(config: Mapping[str, Json]) -> tuple[str, ...] | None:
    location = config.get("CSVHeaderLocation")
    headers = config.get("CSVHeaders")
    if location == "FIRST_ROW":
        if headers is not None:
            raise _bad("has CSVHeaders, which go with CSVHeaderLocation GIVEN, not FIRST_ROW")
        return None
    if location != "GIVEN":
        raise _bad(f"needs CSVHeaderLocation FIRST_ROW or GIVEN, and it is {location!r}")
    if not isinstance(headers, list) or not headers or not all(isinstance(name, str) for name in headers):
        raise _bad(f"needs CSVHeaders, a list of column names, and it is {headers!r}")
    check_header(headers)
    return tuple(headers)


def _whole_number(config: Mapping[str, Json], name: str) -> int | None:
    value = config.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise _bad(f"has {name} {value!r}; it takes a whole number")
    return value


def _bad(what: str) -> StatesError:
    return StatesError(READER_FAILED, f"the ItemReader's ReaderConfig {what}")
