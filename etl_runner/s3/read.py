"""Reading one chunk of a pinned object: what a task does with an item of a Map with ChunkBytes."""

import codecs
import csv
import io
from collections.abc import Iterator, Mapping
from itertools import chain
from typing import Any, Final

from etl_runner.errors import InvalidInput, StatesError
from etl_runner.jsontypes import Json, loads
from etl_runner.s3.connection import client
from etl_runner.s3.pinned import Pinned, PinnedStream
from etl_runner.s3.reader_config import DELIMITERS

BUFFER_BYTES: Final = 1024 * 1024
MALFORMED: Final = "MalformedRecord"
_MARK: Final = "\x00after the end of the chunk\x00"


def read_chunk(event: Mapping[str, Json], *, s3: Any = None) -> Iterator[Json]:
    r"""The records of a chunk reference, one after the other: a dict per CSV row, a JSON value per line.

    `event` is `{"Bucket", "Key", "VersionId", "ETag", "Start", "End", "Header", "InputType",
    "CSVDelimiter", ...}`; other keys are let be. CSV rows shorter than the header are filled with empty
    texts, longer ones cut, empty lines left out, as Step Functions does. Memory is bounded by a buffer of
    1 MiB and the longest record; what breaks on the way is fetched from where it broke.

    Raises InvalidInput for an event that is no chunk reference; while iterating StatesError `S3.<code>`
    when the object is gone or changed (`S3.PreconditionFailed`, `S3.NoSuchVersion`), and `MalformedRecord`
    naming the byte or the row.
    """
    raw = _raw(event, s3)
    if event.get("InputType", "CSV") == "JSONL":
        return _json_lines(raw, event)
    header = event.get("Header")
    delimiter = DELIMITERS.get(event.get("CSVDelimiter", "COMMA"))
    if not isinstance(header, list) or delimiter is None:
        raise InvalidInput(
            f"a CSV chunk reference needs Header, a list of column names, and CSVDelimiter; "
            f"they are {header!r} and {event.get('CSVDelimiter')!r}"
        )
    return _csv_rows(raw, event, header, delimiter)


def open_chunk(event: Mapping[str, Json], *, s3: Any = None) -> io.BufferedReader:
    """The bytes of a chunk reference as a file to read from, for other parsers. Raises like read_chunk."""
    return io.BufferedReader(_raw(event, s3), BUFFER_BYTES)


def _raw(event: Mapping[str, Json], s3: Any) -> PinnedStream:
    for name, kind in (("Bucket", str), ("Key", str), ("ETag", str), ("Start", int), ("End", int)):
        if not isinstance(event.get(name), kind):
            raise InvalidInput(
                f"a chunk reference needs {name}, and it is {event.get(name)!r}; "
                "give the item of a Map with ChunkBytes to it as it came"
            )
    pinned = Pinned(
        bucket=event["Bucket"],
        key=event["Key"],
        version_id=event.get("VersionId"),
        etag=event["ETag"],
        size=event["End"],
    )
    return PinnedStream(s3 if s3 is not None else client(), pinned, event["Start"], event["End"])


def _csv_rows(
    raw: PinnedStream, event: Mapping[str, Json], header: list[str], delimiter: str
) -> Iterator[dict[str, str]]:
    width = len(header)
    encoding = "utf-8-sig" if event["Start"] == 0 else "utf-8"
    text = io.TextIOWrapper(io.BufferedReader(raw, BUFFER_BYTES), encoding=encoding, newline="")
    with text:
        # One more line shows whether csv.reader thinks that the last record is complete.
        lines = chain(text, (_MARK + delimiter + _MARK,))
        rows = csv.reader(lines, delimiter=delimiter)
        try:
            row = next(rows)
            for following in rows:
                if len(row) == width:
                    yield dict(zip(header, row))  # noqa: B905 -- they are equal; asking again costs a fifth
                elif row:
                    yield dict(zip(header, row + [""] * (width - len(row)), strict=False))
                row = following
        except (csv.Error, UnicodeDecodeError) as error:
            raise _malformed(event, f"line {rows.line_num + 1} of the chunk: {error}") from error
        if row == [_MARK, _MARK]:
            return
        # The line after the end was swallowed by a quoted field that the chunk does not close.
        if raw.object_size != event["End"]:  # at the object's end csv.reader lets an open quote pass
            raise _malformed(
                event,
                "its last record goes on behind its end; a field of more than "
                f"{csv.field_size_limit()} characters lies on the cut, and no such field can be read",
            )
        row[-1] = row[-1].removesuffix(_MARK + delimiter + _MARK)
        yield dict(zip(header, row + [""] * (width - len(row)), strict=False))


def _json_lines(raw: PinnedStream, event: Mapping[str, Json]) -> Iterator[Json]:
    with io.BufferedReader(raw, BUFFER_BYTES) as stream:
        position = event["Start"]
        for number, line in enumerate(stream, 1):
            # A byte order mark is no part of the first line.
            text = line.removeprefix(codecs.BOM_UTF8) if position == 0 else line
            if text.strip():
                try:
                    yield loads(text)
                except ValueError as error:
                    place = f"line {number} of the chunk (at byte {position})"
                    raise _malformed(event, f"{place}: {error}") from error
            position += len(line)


def _malformed(event: Mapping[str, Json], what: str) -> StatesError:
    place = f"s3://{event['Bucket']}/{event['Key']}, bytes {event['Start']} to {event['End']}"
    return StatesError(MALFORMED, f"{place}: {what}")
