"""The bytes of a pinned object as readers of items see them: decompressed where its key says so."""

import io
import zlib
from dataclasses import dataclass
from typing import Any, Final, Self

from etl_runner.errors import READER_FAILED, StatesError
from etl_runner.s3.pinned import Pinned, PinnedStream, read_range
from etl_runner.s3.records import malformed

BUFFER_BYTES: Final = 1024 * 1024
"""Fetched by one request; no connection is kept between two calls."""

ENDLESS: Final = 1 << 62
"""The size of a decompressed object, which nobody knows before its end."""

_GZIP_WINDOW: Final = 31
_INFLATED_BYTES: Final = 256 * 1024
_ZSTD: Final = (".zst", ".zstd")


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectBytes:
    """One pinned object. `size` counts decompressed bytes: ENDLESS for an object that is compressed.

    Raises StatesError States.ItemReaderFailed wherever S3 or the compression refuses.
    """

    s3: Any
    pinned: Pinned
    gzip: bool
    size: int

    @classmethod
    def of(cls, s3: Any, pinned: Pinned) -> Self:
        """Tell by the key's ending, as Step Functions does. Raises StatesError for zstd."""
        if pinned.key.endswith(_ZSTD):
            raise StatesError(
                READER_FAILED,
                f"{pinned.uri} is compressed with zstd, which is not supported; it takes gzip (.gz) and "
                "objects without compression",
            )
        gzip = pinned.key.endswith(".gz")
        return cls(s3=s3, pinned=pinned, gzip=gzip, size=ENDLESS if gzip else pinned.size)

    def read(self, start: int, end: int) -> bytes:
        """The bytes from `start` (inclusive) to `end` (exclusive); fewer where a compressed object ends."""
        if not self.gzip:
            return read_range(self.s3, self.pinned, start, end, error_name=READER_FAILED)
        with self.open(start) as stream:
            return stream.read(end - start)

    def open(self, offset: int) -> io.BufferedReader:
        """A stream from `offset` on. In a compressed object all before it is decompressed again."""
        raw = PinnedStream(
            self.s3,
            self.pinned,
            0 if self.gzip else offset,
            self.pinned.size,
            error_name=READER_FAILED,
            span_bytes=BUFFER_BYTES,
        )
        if not self.gzip:
            return io.BufferedReader(raw, BUFFER_BYTES)
        stream: io.BufferedReader = io.BufferedReader(_Inflated(raw, self.pinned.uri), BUFFER_BYTES)
        while offset > 0:
            passed = len(stream.read(min(offset, BUFFER_BYTES)))
            if not passed:
                break
            offset -= passed
        return stream


class _Inflated(io.RawIOBase):
    """The contents of a gzip stream, which may be several one after the other."""

    def __init__(self, raw: PinnedStream, name: str) -> None:
        super().__init__()
        self._raw = raw
        self._name = name
        self._inflate = zlib.decompressobj(_GZIP_WINDOW)
        self._ready = b""

    def readable(self) -> bool:
        """Yes."""
        return True

    def readinto(self, buffer: Any) -> int:
        """Read what fits; 0 at the end."""
        while not self._ready:
            if not self._more():
                return 0
        count = min(len(buffer), len(self._ready))
        buffer[:count] = self._ready[:count]
        self._ready = self._ready[count:]
        return count

    def close(self) -> None:
        """Let go of the connection."""
        self._raw.close()
        super().close()

    def _more(self) -> bool:
        data = self._inflate.unused_data if self._inflate.eof else self._inflate.unconsumed_tail
        data = data or self._raw.read(io.DEFAULT_BUFFER_SIZE) or b""
        if self._inflate.eof:
            if not data.strip(b"\0"):  # nothing, or what some writers fill up with
                return False
            self._inflate = zlib.decompressobj(_GZIP_WINDOW)
        try:
            self._ready = self._inflate.decompress(data, _INFLATED_BYTES)
        except zlib.error as error:
            raise malformed(self._name, self._raw.position, f"it is no gzip: {error}") from error
        if not data and not self._inflate.eof:
            raise malformed(self._name, self._raw.position, "the compressed data end before their end")
        return True
