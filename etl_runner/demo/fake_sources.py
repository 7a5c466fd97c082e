"""The remote side of the daily import: an HTTP server with the 24 sources and the flights.

It knows HEAD, ETag, Range with If-Range, and the faults that real sources have: 503 for a while, a source
that is always broken, a connection that ends in the middle of a file.
"""

import hashlib
import re
import threading
from collections import Counter
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime
from email.utils import format_datetime
from functools import cache
from typing import Final

from etl_runner.demo.catalogue import ALL_SOURCES, FLAKY
from etl_runner.demo.serving import QuietHandler, serving

DEFAULT_ROWS: Final = 200
_PATH: Final = re.compile(r"/sources/([a-z-]+)/(\d{4}-\d\d-\d\d)\.(csv|ndjson|json)")
_RANGE: Final = re.compile(r"bytes=(\d+)-(\d*)")
_BY_NAME: Final = {one.name: one for one in ALL_SOURCES}


@dataclass(slots=True, kw_only=True)
class FakeSources:
    """The running server. `served` counts answers by (source, status); faults may be changed while it runs.

    `flaky`: how many more requests of a source get 503. `broken`: sources that refuse every request with 403.
    `cut`: sources whose next GET ends after so many bytes of the body. `bad_rows`: how many rows of a source
    are bad. Another `edition` serves longer files under the same names; `edition_after_cut` is the one that
    is served once a connection has been cut.
    """

    url: str = ""
    rows: int = DEFAULT_ROWS
    flaky: dict[str, int] = field(default_factory=dict)
    broken: set[str] = field(default_factory=set)
    cut: dict[str, int] = field(default_factory=dict)
    bad_rows: dict[str, int] = field(default_factory=dict)
    edition: str = ""
    edition_after_cut: str = ""
    served: Counter[tuple[str, int]] = field(default_factory=Counter)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def environment(self) -> dict[str, str]:
        """What the workflow's functions need to find this server."""
        return {"ETL_SOURCES_URL": self.url}

    def body(self, name: str, day: str) -> bytes:
        """What a source serves for a day. Raises KeyError and ValueError for what it does not have."""
        rows = len(self.edition) + self.rows  # another edition of the same day is a longer file
        return _body(name, date.fromisoformat(day), rows, self.bad_rows.get(name, 0))

    def take_fault(self, name: str) -> int | None:
        """The status of the fault that the next request of a source gets, None for none."""
        with self.lock:
            if name in self.broken:
                return 403
            if self.flaky.get(name, 0) > 0:
                self.flaky[name] -= 1
                return 503
            return None

    def count(self, name: str, status: int) -> None:
        """Note one answer."""
        with self.lock:
            self.served[name, status] += 1


@cache
def _body(name: str, day: date, rows: int, bad_rows: int) -> bytes:
    return _BY_NAME[name].body(day, rows, bad_rows)


@contextmanager
def start_fake_sources(
    port: int = 0,
    *,
    rows: int = DEFAULT_ROWS,
    flaky: Mapping[str, int] | None = None,
    broken: Collection[str] = (),
    bad_rows: Mapping[str, int] | None = None,
) -> Iterator[FakeSources]:
    """Serve the sources on 127.0.0.1 until the block ends.

    One source answers 503 twice first unless `flaky` says otherwise. Raises OSError when the port is taken.
    """
    sources = FakeSources(
        rows=rows,
        flaky=dict({FLAKY: 2} if flaky is None else flaky),
        broken=set(broken),
        bad_rows=dict(bad_rows or {}),
    )

    class Handler(_SourceHandler):
        world = sources

    with serving(Handler, port) as url:
        sources.url = url
        yield sources


class _SourceHandler(QuietHandler):
    world: FakeSources

    def do_HEAD(self) -> None:  # noqa: N802 -- the base class's name
        self.do_GET()

    def do_GET(self) -> None:  # noqa: N802 -- the base class's name
        found = _PATH.fullmatch(self.path)
        name = found[1] if found else ""
        fault = self.world.take_fault(name)
        if fault is not None:
            self._send(name, fault, b"the source is out of order\n", {"Retry-After": "1"})
            return
        try:
            body = self.world.body(name, found[2] if found else "")
        except (KeyError, ValueError):
            self._send(name, 404, b"no such file\n", {})
            return
        self._send_file(name, found[2] if found else "", body)

    def _send_file(self, name: str, day: str, body: bytes) -> None:
        etag = f'"{hashlib.sha256(body).hexdigest()[:32]}"'
        modified = datetime.combine(date.fromisoformat(day), datetime.min.time(), UTC)
        headers = {
            "ETag": etag,
            "Last-Modified": format_datetime(modified, usegmt=True),
            "Accept-Ranges": "bytes",
            "Content-Type": "application/octet-stream",
        }
        asked = _RANGE.fullmatch(self.headers.get("Range", ""))
        if asked is None or self.headers.get("If-Range", etag) != etag:
            self._send(name, 200, body, headers)
            return
        start, end = int(asked[1]), min(int(asked[2] or len(body) - 1), len(body) - 1)
        if start > end:
            self._send(name, 416, b"", {"Content-Range": f"bytes */{len(body)}"})
            return
        headers["Content-Range"] = f"bytes {start}-{end}/{len(body)}"
        self._send(name, 206, body[start : end + 1], headers)

    def _send(self, name: str, status: int, body: bytes, headers: dict[str, str]) -> None:
        self.world.count(name, status)
        cut = self.world.cut.pop(name, None) if self.command == "GET" else None
        if cut is None:
            self.answer(status, body, headers)
            return
        self.send_response(status)
        for key, value in headers.items():
            self.send_header(key, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body[:cut])
        self.world.edition = self.world.edition_after_cut or self.world.edition
        self.close_connection = True
