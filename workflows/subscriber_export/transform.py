"""From Zuora's files to the lists that the suppliers read, as streams, staged under the job's id."""

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack
from dataclasses import dataclass, field
from datetime import date
from typing import Any, Final

from etl_runner.s3 import VersionedWriter, open_chunk
from workflows.subscriber_export.errors import NothingToDeliver, UnexpectedAnswer, UnexpectedColumns
from workflows.subscriber_export.queries import (
    HOME_DELIVERY,
    HOME_DELIVERY_COLUMNS,
    SUBSCRIPTION,
    WEEKLY_COLUMNS,
)
from workflows.subscriber_export.rows import (
    HOME_DELIVERY_HEADER,
    REGIONS,
    VALIDATIONS,
    faults_of,
    home_delivery_row,
    region_of,
    weekly_header,
    weekly_row,
)
from workflows.subscriber_export.settings import private

_CSV: Final = "text/csv; charset=utf-8"


@dataclass
class _List:
    """One list while it is written. Each field is quoted, as the suppliers' programs expect."""

    name: str
    final_key: str
    writer: VersionedWriter
    header: Sequence[str]
    rows: int = 0
    _text: io.StringIO = field(default_factory=lambda: io.StringIO(newline=""))

    def __post_init__(self) -> None:
        self._csv = csv.writer(self._text, quoting=csv.QUOTE_ALL, lineterminator="\n")
        self._line(self.header)

    def add(self, line: Mapping[str, str]) -> None:
        self._line([line[name] for name in self.header])
        self.rows += 1

    def _line(self, values: Sequence[str]) -> None:
        self._csv.writerow(values)
        self.writer.write(self._text.getvalue().encode())
        self._text.seek(0)
        self._text.truncate()

    def told(self) -> dict[str, Any]:
        receipt = self.writer.receipt
        return {
            "name": self.name,
            "key": self.final_key,
            "rows": self.rows,
            "sha256": receipt.sha256,
            "staged": {
                "Bucket": receipt.bucket,
                "Key": receipt.key,
                "VersionId": receipt.version_id,
                "ETag": receipt.etag,
                "Start": 0,
                "End": receipt.size,
            },
        }


def transform(event: Mapping[str, Any], context: Any) -> dict[str, Any]:
    """Write the lists of an export to `staging/<job>/`.

    Takes `{plan, job, files}` with `files` as fetch_file gave them. Gives `{lists: [{name, key, rows, sha256,
    staged}], invalid: {MissingName, ...}, invalidRows}`. Subscribers without a street, postcode or name stay
    on their list and are counted. Raises UnexpectedColumns, UnexpectedAnswer, NothingToDeliver.
    """
    kind = event["plan"]["type"]
    invalid = dict.fromkeys(VALIDATIONS, 0)
    with ExitStack() as stack:
        names = (HOME_DELIVERY,) if kind == HOME_DELIVERY else REGIONS
        lists = {name: _staged(event, name, context, stack) for name in names}
        fill = _home_delivery if kind == HOME_DELIVERY else _weekly
        invalid_rows = fill(event, lists, invalid)
        if not any(one.rows for one in lists.values()):
            raise NothingToDeliver(f"no list of {event['plan']['deliveryDate']} would have a row")
    return {"lists": [one.told() for one in lists.values()], "invalid": invalid, "invalidRows": invalid_rows}


def _home_delivery(event: Mapping[str, Any], lists: Mapping[str, _List], invalid: dict[str, int]) -> int:
    plan = event["plan"]
    days = {"delivery": date.fromisoformat(plan["deliveryDate"]), "today": date.fromisoformat(plan["today"])}
    suspended = _names(event, "HolidaySuspensions")
    invalid_rows = 0
    for row in _rows(event, "Subscriptions", HOME_DELIVERY_COLUMNS):
        if row[SUBSCRIPTION] not in suspended:
            invalid_rows += _count(row, invalid)
            lists[HOME_DELIVERY].add(home_delivery_row(row, **days))
    return invalid_rows


def _weekly(event: Mapping[str, Any], lists: Mapping[str, _List], invalid: dict[str, int]) -> int:
    suspended = _names(event, "WeeklyHolidaySuspensions")
    invalid_rows = 0
    for query in ("WeeklyIntroductoryPeriods", "WeeklySubscriptions"):
        for row in _rows(event, query, WEEKLY_COLUMNS):
            if row[SUBSCRIPTION] not in suspended:
                invalid_rows += _count(row, invalid)
                region = region_of(row)
                lists[region].add(weekly_row(row, region))
    return invalid_rows


def _count(row: Mapping[str, str], invalid: dict[str, int]) -> bool:
    faults = faults_of(row)
    for fault in faults:
        invalid[fault] += 1
    return bool(faults)


def _staged(event: Mapping[str, Any], name: str, context: Any, stack: ExitStack) -> _List:
    plan, configured = event["plan"], private()
    header: Sequence[str]
    if name == HOME_DELIVERY:
        folder, suffix, header = configured.home_delivery_folder, "HOME_DELIVERY", HOME_DELIVERY_HEADER
    else:
        folder, suffix, header = configured.weekly_folders[name], "WEEKLY", weekly_header(name)
    key = f"staging/{event['job']['jobId']}/{name}.csv"
    writer = VersionedWriter(
        plan["bucket"], key, idempotency_key=f"{context.idempotency_key}:{key}", content_type=_CSV
    )
    stack.enter_context(writer)
    return _List(name, f"{folder}{plan['deliveryDate']}_{suffix}.csv", writer, header)


def _names(event: Mapping[str, Any], query: str) -> set[str]:
    """The suspended subscriptions: names only, few enough to hold."""
    return {row[SUBSCRIPTION] for row in _rows(event, query, (SUBSCRIPTION,))}


def _rows(event: Mapping[str, Any], query: str, columns: Sequence[str]) -> Iterator[Mapping[str, str]]:
    """The rows of a query over all its files, each read under its own header."""
    files = [one for one in event["files"] if one["query"] == query]
    if not files:
        raise UnexpectedAnswer(f"the job gave no file for the query {query}")
    for file in files:
        place = {"Bucket": file["bucket"], "Key": file["key"], "VersionId": file["versionId"],
                 "ETag": file["etag"], "Start": 0, "End": file["bytes"]}  # fmt: skip
        with io.TextIOWrapper(open_chunk(place), encoding="utf-8-sig", newline="") as text:
            rows = csv.DictReader(text, restval="")
            missing = [name for name in columns if name not in (rows.fieldnames or ())]
            if missing:
                raise UnexpectedColumns(f"{file['key']} lacks the columns {', '.join(missing)}")
            yield from rows
