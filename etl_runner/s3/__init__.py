"""S3: chunk planning, pinned reads, all-or-nothing versioned writes. May import floor 0 to 2 only.

Task functions import from here: `from etl_runner.s3 import read_chunk, put_versioned`.
"""

from etl_runner.s3.connection import client
from etl_runner.s3.read import open_chunk, read_chunk
from etl_runner.s3.stream import open_object
from etl_runner.s3.versions import Receipt
from etl_runner.s3.write import note_found, put_versioned
from etl_runner.s3.writer import VersionedWriter

__all__ = [
    "Receipt",
    "VersionedWriter",
    "client",
    "note_found",
    "open_chunk",
    "open_object",
    "put_versioned",
    "read_chunk",
]
