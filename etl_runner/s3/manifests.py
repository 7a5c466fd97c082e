"""Files that name other files: the manifest of an S3 Inventory report, and that of an Athena UNLOAD.

Sources: Amazon S3 user guide, "Amazon S3 Inventory list" (manifest.json); Athena user guide, UNLOAD (a CSV
with one S3 URI a line).
"""

from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from etl_runner.arn import Arn
from etl_runner.errors import READER_FAILED, EtlRunnerError, StatesError
from etl_runner.jsontypes import Json, loads
from etl_runner.s3.pinned import Pinned, read_range

MANIFEST_BYTES: Final = 64 * 1024 * 1024
"""A manifest is read whole; one that is larger is taken for a mistake."""


class Place(NamedTuple):
    """Where an object is."""

    bucket: str
    key: str


class Inventory(NamedTuple):
    """The data files of an S3 Inventory report, and the names of their columns: they have no header."""

    files: Sequence[Place]
    columns: tuple[str, ...]


def read_inventory(s3: Any, pinned: Pinned) -> Inventory:
    """Read a manifest.json. Raises StatesError States.ItemReaderFailed for what is none, or is not CSV."""
    try:
        manifest = loads(_whole(s3, pinned))
    except ValueError as error:
        raise _bad(pinned, f"is no JSON: {error}") from error
    if not isinstance(manifest, dict):
        raise _bad(pinned, "is no JSON object")
    if manifest.get("fileFormat") != "CSV":
        raise _bad(
            pinned,
            f"has fileFormat {manifest.get('fileFormat')!r}; only inventory reports in CSV can be read",
        )
    schema, files = manifest.get("fileSchema"), manifest.get("files")
    if not isinstance(schema, str) or not isinstance(files, list):
        raise _bad(pinned, "needs fileSchema, a text, and files, a list")
    bucket = _bucket(manifest.get("destinationBucket"), pinned)
    keys = [file.get("key") if isinstance(file, dict) else None for file in files]
    if not all(isinstance(key, str) for key in keys):
        raise _bad(pinned, "needs a key for each of its files")
    columns = tuple(name.strip() for name in schema.split(","))
    return Inventory(files=[Place(bucket, str(key)) for key in keys], columns=columns)


def read_athena(s3: Any, pinned: Pinned) -> list[Place]:
    """Read the manifest of an UNLOAD. Raises StatesError for a line that is no URI."""
    places: list[Place] = []
    for number, line in enumerate(_whole(s3, pinned).decode("utf-8-sig", "replace").splitlines(), 1):
        uri = line.strip().strip('"')
        if not uri:
            continue
        bucket, _, key = uri.removeprefix("s3://").partition("/")
        if not uri.startswith("s3://") or not bucket or not key:
            raise _bad(pinned, f"names in line {number} {uri!r}, which is no s3://bucket/key")
        places.append(Place(bucket, key))
    return places


def _bucket(given: Json, pinned: Pinned) -> str:
    """The bucket of the files, given as an ARN; some writers name the bucket alone, or leave it out."""
    if given is None:
        return pinned.bucket
    if isinstance(given, str) and given:
        try:
            return Arn.parse(given).resource if given.startswith("arn:") else given
        except EtlRunnerError:
            pass
    raise _bad(pinned, f"has destinationBucket {given!r}, which is no ARN of a bucket")


def _whole(s3: Any, pinned: Pinned) -> bytes:
    if pinned.size > MANIFEST_BYTES:
        raise _bad(pinned, f"has {pinned.size:,} bytes; a manifest has at most {MANIFEST_BYTES:,}")
    return read_range(s3, pinned, 0, pinned.size, error_name=READER_FAILED)


def _bad(pinned: Pinned, what: str) -> StatesError:
    return StatesError(READER_FAILED, f"the manifest {pinned.uri} {what}")
