"""Whole objects as files, through smart-open: one GET, read as it comes, decompressed by the key's ending."""

from typing import IO, Any, Final

from etl_runner.errors import StatesError
from etl_runner.s3.connection import client

BUFFER_BYTES: Final = 4 * 1024 * 1024
"""smart-open's own 128 KiB make a large object more than twice as slow to read."""


def open_object(
    bucket: str, key: str, *, version_id: str | None = None, decompress: bool = True, s3: Any = None
) -> IO[bytes]:
    """Open an object for reading, as a binary file; close it, or use `with`.

    Keys that end in .gz, .bz2 or .xz are decompressed on the way unless `decompress` is False. Give the
    `version_id` wherever one is known: without it a later read may see another version. For a part of an
    object take `read_chunk`; for writing `VersionedWriter`, which knows the version that it wrote.
    Raises StatesError `S3.<code>` (`S3.NoSuchKey`, `S3.NoSuchVersion`, `S3.AccessDenied` ...).
    """
    import smart_open  # noqa: PLC0415 -- only few tasks need it

    parameters: dict[str, Any] = {
        "client": s3 if s3 is not None else client(),
        "buffer_size": BUFFER_BYTES,
    }
    if version_id is not None:
        parameters["version_id"] = version_id
    compression = "infer_from_extension" if decompress else "disable"
    try:
        opened = smart_open.open(
            f"s3://{bucket}/{key}", "rb", compression=compression, transport_params=parameters
        )
    except OSError as error:
        response = getattr(getattr(error, "backend_error", None), "response", {})
        code = response.get("Error", {}).get("Code", "Unavailable")
        raise StatesError(f"S3.{code}", f"s3://{bucket}/{key} cannot be read: {error}") from error
    stream: IO[bytes] = opened
    return stream
