"""The objects of a bucket as items, as Step Functions gives them for s3:listObjectsV2.

A listing cannot be pinned. Keys come in the order of S3 (that of their UTF-8 bytes), and a cursor names the
last key that was given: what is listed from there on holds none twice and, of the objects that stay, all.
"""

from collections.abc import Iterator, Mapping
from typing import Any, Final

from etl_runner.errors import READER_FAILED, StatesError
from etl_runner.jsontypes import Json
from etl_runner.s3.failures import insistently
from etl_runner.s3.taken import Segment, Taken

_PASSED_ON: Final = ("Prefix", "Delimiter", "StartAfter", "ExpectedBucketOwner", "RequestPayer")
_VERSION: Final = 1


def check_listing(parameters: Mapping[str, Json]) -> dict[str, Json]:
    """Parameters of ListObjectsV2, checked. Raises StatesError States.ItemReaderFailed."""
    for name, value in parameters.items():
        if name not in {"Bucket", *_PASSED_ON}:
            raise StatesError(
                READER_FAILED,
                f"the ItemReader's Parameters have {name}, which is not supported; "
                f"it takes Bucket, {', '.join(_PASSED_ON)}",
            )
        if not isinstance(value, str):
            raise StatesError(
                READER_FAILED, f"the ItemReader's Parameters need {name} as a text, and it is {value!r}"
            )
    if not parameters.get("Bucket"):
        raise StatesError(READER_FAILED, "the ItemReader's Parameters need Bucket as a text")
    return dict(parameters)


def objects(s3: Any, parameters: Mapping[str, Json], after: str | None) -> Iterator[dict[str, Json]]:
    """Each object behind the key `after` (None: from the first), as ListObjectsV2 gives it.

    Raises StatesError States.ItemReaderFailed.
    """
    asked: dict[str, Any] = dict(parameters)
    if after is not None:
        asked["StartAfter"] = after
    while True:
        page = insistently(
            lambda: s3.list_objects_v2(**asked),
            READER_FAILED,
            f"list s3://{parameters['Bucket']}/{parameters.get('Prefix', '')}",
        )
        yield from page.get("Contents", ())
        if not page.get("IsTruncated"):
            return
        asked["ContinuationToken"] = page["NextContinuationToken"]


def as_item(found: Mapping[str, Any]) -> dict[str, Json]:
    """One object as an item: `{"Etag", "Key", "LastModified" (epoch seconds), "Size", "StorageClass"}`."""
    return {
        "Etag": found["ETag"],
        "Key": found["Key"],
        "LastModified": int(found["LastModified"].timestamp()),
        "Size": found["Size"],
        "StorageClass": found.get("StorageClass", "STANDARD"),
    }


class ListedObjects:
    """The metadata of objects as items."""

    def __init__(self, s3: Any, parameters: Mapping[str, Json], most: int | None, cursor: Json) -> None:
        self._s3 = s3
        self._parameters = parameters
        self._most = most
        self._after: str | None = None
        self._given = 0
        if cursor is not None:
            check_version(cursor)
            self._after, self._given = cursor["After"], cursor["Index"]
        self._objects: Iterator[dict[str, Json]] | None = None
        self._exhausted = False

    @property
    def cursor(self) -> Json:
        """`{"Version", "After": the last key given, "Index": how many were given}`."""
        return {"Version": _VERSION, "After": self._after, "Index": self._given}

    @property
    def done(self) -> bool:
        """Whether the listing has ended."""
        return self._exhausted or self._given == self._most

    def read(self, count: int) -> Taken:
        """The next objects. Raises StatesError States.ItemReaderFailed."""
        wanted = count if self._most is None else min(count, self._most - self._given)
        if self._objects is None:
            self._objects = objects(self._s3, self._parameters, self._after)
        before, first = self.cursor, self._given
        values: list[Json] = []
        keys: list[str] = []
        while len(values) < wanted and (found := next(self._objects, None)) is not None:
            values.append(as_item(found))
            keys.append(found["Key"])
        self._exhausted = len(values) < wanted
        if keys:
            self._after, self._given = keys[-1], self._given + len(keys)

        def cursor_after(number: int) -> Json:
            if number == 0:
                return before
            return {"Version": _VERSION, "After": keys[number - 1], "Index": first + number}

        source = f"s3://{self._parameters['Bucket']}"
        segment = Segment(count=len(values), source=source, cursor_after=cursor_after)
        return Taken(values=values, segments=(segment,))

    def close(self) -> None:
        """Forget what was listed ahead."""
        self._objects = None


def check_version(cursor: Json) -> None:
    """Raise StatesError for a cursor of another release."""
    if cursor.get("Version") != _VERSION:
        raise StatesError(
            READER_FAILED,
            f"the cursor is of version {cursor.get('Version')!r}; this release reads {_VERSION}",
        )
