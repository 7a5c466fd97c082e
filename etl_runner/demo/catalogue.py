"""The 24 advertising sources of the demo and the flights: what each is called, how it writes its rows.

`definition` gives what the workflow reads from its configuration; `body` gives the file that the source
serves for a day. The same (source, date, rows) always gives the same bytes.
"""

import csv
import io
import json
import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any, Final

from etl_runner.demo.flights import flights_of
from etl_runner.jsontypes import Json


@dataclass(frozen=True, slots=True, kw_only=True)
class Dialect:
    """How a source names its columns and writes its money."""

    columns: Mapping[str, str]
    cost_unit: str  # "units", "cents" or "micros"
    decimal: str = "."
    date_format: str = "%Y-%m-%d"


_FIELDS: Final = ("account", "campaign", "date", "impressions", "clicks", "cost", "currency")


def _named(*names: str) -> dict[str, str]:
    return dict(zip(_FIELDS, names, strict=True))


DIALECTS: Final = {
    "titles": Dialect(
        columns=_named("Account", "Campaign name", "Day", "Impressions", "Clicks", "Cost", "Currency"),
        cost_unit="units",
    ),
    "snake": Dialect(
        columns=_named("account_id", "campaign", "date", "impressions", "clicks", "cost_micros", "currency"),
        cost_unit="micros",
    ),
    "camel": Dialect(
        columns=_named(
            "accountId", "campaignName", "reportDate", "views", "clicks", "spendCents", "currency"
        ),
        cost_unit="cents",
        date_format="%Y%m%d",
    ),
    "german": Dialect(
        columns=_named("Konto", "Kampagne", "Tag", "Einblendungen", "Klicks", "Kosten", "Währung"),
        cost_unit="units",
        decimal=",",
        date_format="%d.%m.%Y",
    ),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Source:
    """One source. `multiline` puts line ends inside quoted CSV fields, as some exports do."""

    name: str
    format: str  # "csv", "ndjson" or "json"
    dialect: str
    multiline: bool = False

    @property
    def path(self) -> str:
        """Where the source serves a day; the workflow puts the date in."""
        return f"/sources/{self.name}/{{date}}.{self.format}"

    def definition(self) -> dict[str, Json]:
        """The source as the workflow's configuration has it."""
        dialect = DIALECTS[self.dialect]
        return {
            "name": self.name,
            "enabled": True,
            "kind": "ads",
            "format": self.format,
            "path": self.path,
            "columns": dict(dialect.columns),
            "costUnit": dialect.cost_unit,
            "decimal": dialect.decimal,
            "dateFormat": dialect.date_format,
        }

    def body(self, day: date, rows: int, bad_rows: int = 0) -> bytes:
        """The file of a day. `bad_rows` of the rows hold a number that is none."""
        found = list(self._rows(day, rows, bad_rows))
        match self.format:
            case "csv":
                return _csv(found)
            case "ndjson":
                return b"".join(json.dumps(row, ensure_ascii=False).encode() + b"\n" for row in found)
            case _:
                return json.dumps(found, ensure_ascii=False, indent=1).encode()

    def _rows(self, day: date, rows: int, bad_rows: int) -> Iterator[dict[str, Any]]:
        rng = random.Random(f"{self.name}|{day.isoformat()}")  # noqa: S311 -- made-up rows, no secret
        dialect = DIALECTS[self.dialect]
        for number in range(rows):
            impressions = rng.randrange(100, 100_000)
            row = {
                "account": f"{self.name}-{rng.randrange(1, 9)}",
                "campaign": self._campaign(rng),
                "date": day.strftime(dialect.date_format),
                "impressions": impressions,
                "clicks": rng.randrange(impressions // 10),
                "cost": _money(rng.randrange(100, 900_000), dialect),
                "currency": rng.choice(("EUR", "EUR", "CHF", "PLN")),
            }
            if number < bad_rows:
                row["impressions"] = "n/a"
            yield {dialect.columns[name]: value for name, value in row.items()}

    def _campaign(self, rng: random.Random) -> str:
        season = rng.choice(("Spring", "Summer", "Autumn", "Winter"))
        kind = rng.choice(("sofas", "lamps", "rugs", 'beds, "king size"', "garden"))
        join = "\n" if self.multiline else " "
        return f"{season}{join}{kind}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Flights:
    """The real data set: the flights of the day in 2013."""

    name: str = "nyc-flights"
    format: str = "csv"

    def definition(self) -> dict[str, Json]:
        """The source as the workflow's configuration has it."""
        path = f"/sources/{self.name}/{{date}}.csv"
        return {"name": self.name, "enabled": True, "kind": "flights", "format": "csv", "path": path}

    def body(self, day: date, _rows: int = 0, _bad_rows: int = 0) -> bytes:
        """The file of a day, as it is."""
        return flights_of(day)


def _money(cents: int, dialect: Dialect) -> str | int:
    match dialect.cost_unit:
        case "cents":
            return cents
        case "micros":
            return cents * 10_000
        case _:
            return f"{cents // 100}.{cents % 100:02d}".replace(".", dialect.decimal)


def _csv(rows: list[dict[str, Any]]) -> bytes:
    if not rows:
        return b""
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=list(rows[0]), lineterminator="\r\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


_NAMES: Final = (
    "adharbour", "bannerbay", "clickgrove", "displaydock", "emberads", "feedfox", "gridreach", "hometag",
    "inboxlane", "jumplink", "kiteshare", "leadmill", "mobilemint", "newsnook", "openoffer", "pinpath",
    "quickquote", "retargeo", "searchspan", "socialsail", "trendtide", "upvotely", "videovale", "webwhirl",
)  # fmt: skip
FLAKY: Final = "feedfox"
"""The source that answers 503 a number of times before it serves."""

BROKEN: Final = "quickquote"
"""The source that never serves when the demo or a test asks for a broken one."""

_SHAPES: Final = (("csv", False), ("ndjson", False), ("csv", True), ("json", False))
SOURCES: Final = tuple(
    Source(
        name=name,
        format=_SHAPES[number % 4][0],
        multiline=_SHAPES[number % 4][1],
        dialect=tuple(DIALECTS)[(number // 4 + number) % 4],
    )
    for number, name in enumerate(_NAMES)
)
FLIGHTS: Final = Flights()
ALL_SOURCES: Final[tuple[Source | Flights, ...]] = (*SOURCES, FLIGHTS)
