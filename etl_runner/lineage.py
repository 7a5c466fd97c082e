"""Which objects a piece of work has written, gathered without passing a list through every call.

A versioned S3 write notes its receipt; whoever runs the work collects the receipts and records them with
the outcome, in the same transaction. Outside of `collecting()` a note goes nowhere.

A thread that the work starts itself has a context of its own, in which nothing is collected. A process
that does one piece of work at a time (a worker) therefore collects for all of its threads. Where several
run side by side in one process, the work has to hand its context on:
`pool.submit(contextvars.copy_context().run, write, part)`.
"""

from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from etl_runner.jsontypes import Json

_receipts: ContextVar[list[Json] | None] = ContextVar("receipts", default=None)
_of_the_process: list[list[Json]] = []
"""The collections for all threads, innermost last. A note from a thread without its own goes to the last."""


@contextmanager
def collecting(*, all_threads: bool = False) -> Iterator[list[Json]]:
    """Gather the receipts noted inside, in order. Nested collections do not see each other's.

    `all_threads` also gathers what threads without a collection of their own note meanwhile; only where
    nothing else is at work in this process. A thread that lives on after its work notes for whatever is
    collected then.
    """
    receipts: list[Json] = []
    token = _receipts.set(receipts)
    if all_threads:
        _of_the_process.append(receipts)
    try:
        yield receipts
    finally:
        if all_threads:
            _of_the_process.pop()
        _receipts.reset(token)


def note_written(receipt: Json) -> None:
    """Note one versioned write: `{"Bucket", "Key", "VersionId", "ETag", "Bytes", "Sha256", ...}`."""
    receipts = _receipts.get()
    if receipts is None:
        try:
            receipts = _of_the_process[-1]
        except IndexError:  # asked first, it could be taken off in between
            return
    receipts.append(receipt)
