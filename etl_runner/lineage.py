"""Which objects a piece of work has written, gathered without passing a list through every call.

A versioned S3 write notes its receipt; whoever runs the work collects the receipts and records them with
the outcome, in the same transaction. Outside of `collecting()` a note goes nowhere.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from etl_runner.jsontypes import Json

_receipts: ContextVar[list[Json] | None] = ContextVar("receipts", default=None)


@contextmanager
def collecting() -> Iterator[list[Json]]:
    """Gather the receipts noted inside, in order. Nested collections do not see each other's."""
    receipts: list[Json] = []
    token = _receipts.set(receipts)
    try:
        yield receipts
    finally:
        _receipts.reset(token)


def note_written(receipt: Json) -> None:
    """Note one versioned write: `{"Bucket", "Key", "VersionId", "ETag", "Bytes", "Sha256", ...}`."""
    receipts = _receipts.get()
    if receipts is not None:
        receipts.append(receipt)
