"""An S3 that holds one object in memory and answers ranged gets, for tests of pure logic."""

import io
from typing import Any

from etl_runner.s3.pinned import Pinned


class FakeSource:
    """The part of an S3 client that pinned reads use."""

    def __init__(self, data: bytes) -> None:
        self.data = data
        self.bytes_read = 0
        self.pinned = Pinned(bucket="b", key="k", version_id="v", etag='"e"', size=len(data))

    def read(self, start: int, end: int) -> bytes:
        assert 0 <= start <= end <= len(self.data)
        self.bytes_read += end - start
        return self.data[start:end]

    def get_object(self, *, Range: str, **_: Any) -> dict[str, Any]:  # noqa: N803 -- boto3's name
        first, last = Range.removeprefix("bytes=").split("-")
        body = self.read(int(first), int(last) + 1)
        return {"Body": io.BytesIO(body), "ContentRange": f"bytes {first}-{last}/{len(self.data)}"}
