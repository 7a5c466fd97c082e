"""The remote side of the subscriber export: an HTTP server that answers like Zuora's batch query API.

A job goes from pending over executing to completed, one step further with every look, or ends with aborted
batches when told so. Large results come in segments. A second POST with the same Idempotency-Key finds the
first one's job. The rows follow from the query and the first date in it, so that the same export gives the
same files.
"""

import base64
import csv
import hashlib
import io
import json
import random
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

from etl_runner.demo.serving import QuietHandler, serving

USER: Final = "exporter@example.com"
PASSWORD: Final = "not-a-real-password"  # noqa: S105 -- the fake's own
_BASE: Final = "/apps/api/batch-query/"
_DATE: Final = re.compile(r"\d{4}-\d\d-\d\d")
_SUBSCRIBER_COLUMNS: Final = (
    "Subscription.Name", "RatePlanCharge.Quantity", "SoldToContact.Title__c", "SoldToContact.FirstName",
    "SoldToContact.LastName", "SoldToContact.Company_Name__c", "SoldToContact.Address1",
    "SoldToContact.Address2", "SoldToContact.City", "SoldToContact.State",
    "SoldToContact.PostalCode", "SoldToContact.Country",
    "SoldToContact.SpecialDeliveryInstructions__c", "Subscription.CanadaHandDelivery__c",
)  # fmt: skip
_PLACES: Final = (
    ("United Kingdom", "", "sw1a2aa"), ("Canada", "Ontario", "K1A 0B1"),
    ("United States", "California", "94103"), ("Australia", "Victoria", "3000"), ("New Zealand", "", "6011"),
    ("Vanuatu", "", ""), ("Germany", "", "10115"), ("Brazil", "", "20040-020"),
    ("Canada", "Quebec", "H2Y 1C6"), ("Japan", "", "100-0001"),
)  # fmt: skip


@dataclass(slots=True)
class _Job:
    id: str
    queries: list[dict[str, Any]]
    looks: int = 0


@dataclass(slots=True, kw_only=True)
class FakeZuora:
    """The running server. What it does may be changed while it runs.

    `looks`: how often a job is looked at before it is done. `rows` per query. `segments`: queries whose
    result comes in so many files. `batch_status`: queries whose batch ends in another status than completed.
    `job_status`: that of a job when it is done. `faults`: how many more requests get 503. `suspended`: every
    so manieth subscription is suspended. `posted` counts accepted jobs, `bodies` keeps what was asked.
    """

    url: str = ""
    looks: int = 2
    rows: int = 50
    segments: dict[str, int] = field(default_factory=dict)
    batch_status: dict[str, str] = field(default_factory=dict)
    job_status: str = "completed"
    faults: int = 0
    suspended: int = 10
    posted: int = 0
    downloads: int = 0
    bodies: list[Any] = field(default_factory=list)
    jobs: dict[str, _Job] = field(default_factory=dict)
    keys: dict[str, str] = field(default_factory=dict)
    lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def environment(self) -> dict[str, str]:
        """What the workflow's functions need to find this server."""
        return {"ETL_ZUORA_URL": self.url}

    def submit(self, body: Mapping[str, Any], key: str) -> dict[str, Any]:
        """Take a job, or find the one that this idempotency key was given for."""
        with self.lock:
            if key not in self.keys:
                self.posted += 1
                self.bodies.append(body)
                name = hashlib.sha256((key or str(self.posted)).encode()).hexdigest()[:32]
                self.jobs[name] = _Job(id=name, queries=list(body["queries"]))
                if not key:
                    return self._described(self.jobs[name])
                self.keys[key] = name
            return self._described(self.jobs[self.keys[key]])

    def look(self, job_id: str) -> dict[str, Any] | None:
        """One look at a job, which brings it one step further."""
        with self.lock:
            job = self.jobs.get(job_id)
            if job is None:
                return None
            told = self._described(job)
            job.looks += 1
            return told

    def file(self, file_id: str) -> bytes | None:
        """One result file, or one segment of it."""
        job_id, _, rest = file_id.partition(".")
        name, _, segment = rest.rpartition(".")
        with self.lock:
            job = self.jobs.get(job_id)
            query = next((one for one in job.queries if one["name"] == name), None) if job else None
            if query is None:
                return None
            self.downloads += 1
        count = self.segments.get(name, 1)
        columns, rows = result_of(name, query["query"], self.rows, self.suspended)
        return _csv(columns, rows[int(segment) :: count])

    def _described(self, job: _Job) -> dict[str, Any]:
        if job.looks < self.looks:
            status = "pending" if job.looks * 2 < self.looks else "executing"
            batches = [{"name": one["name"], "status": status} for one in job.queries]
            return {"id": job.id, "status": status, "batches": batches}
        return {
            "id": job.id,
            "status": self.job_status,
            "batches": [self._ended(job, one) for one in job.queries],
        }

    def _ended(self, job: _Job, query: Mapping[str, Any]) -> dict[str, Any]:
        name = query["name"]
        status = self.batch_status.get(name, "completed")
        if status != "completed":
            return {"name": name, "status": status, "message": f"batch {name} ended as {status}"}
        files = [f"{job.id}.{name}.{number}" for number in range(self.segments.get(name, 1))]
        found: dict[str, Any] = {"name": name, "status": status, "recordCount": self.rows}
        return found | ({"segments": files} if name in self.segments else {"fileId": files[0]})


@contextmanager
def start_fake_zuora(port: int = 0, *, looks: int = 2, rows: int = 50) -> Iterator[FakeZuora]:
    """Serve on 127.0.0.1 until the block ends. Raises OSError when the port is taken."""
    zuora = FakeZuora(looks=looks, rows=rows)

    class Handler(_ZuoraHandler):
        world = zuora

    with serving(Handler, port) as url:
        zuora.url = url
        yield zuora


def result_of(name: str, query: str, count: int, suspended: int) -> tuple[list[str], list[dict[str, str]]]:
    """The columns and rows that a query gives; they follow from its name and the first date in it."""
    found = _DATE.search(query)
    day = found[0] if found else ""
    if name.endswith("Suspensions"):
        prefix = "W" if name.startswith("Weekly") else "H"
        return ["Subscription.Name"], [
            {"Subscription.Name": f"{prefix}-S{number:06d}"} for number in range(0, count, suspended)
        ]
    columns = list(_SUBSCRIBER_COLUMNS)
    if name == "WeeklyIntroductoryPeriods":
        columns.reverse()  # two exports of one API need not agree on the order of their columns
        return columns, [_subscriber("I", number, day) for number in range(count // 5)]
    prefix = "W" if name.startswith("Weekly") else "H"
    return columns, [_subscriber(prefix, number, day) for number in range(count)]


def _subscriber(prefix: str, number: int, day: str) -> dict[str, str]:
    rng = random.Random(f"{prefix}|{number}|{day}")  # noqa: S311 -- made-up people, no secret
    country, state, postcode = _PLACES[0] if prefix == "H" else _PLACES[number % len(_PLACES)]
    instructions = ("", 'Ring the "lower" bell', "Leave\nby the gate")[number % 3]
    values = (
        f"{prefix}-S{number:06d}", str(rng.randrange(1, 4)), rng.choice(("Ms", "Mr", "Dr", "")),
        "." if number % 7 == 3 else rng.choice(("Ada", "Björk", "Chidi", "Dora")),
        rng.choice(("Ångström", "Baker", "O'Neill", "Smith, Jr")), "", f"{rng.randrange(1, 200)} High Street",
        rng.choice(("", "Flat 2", "Rear building")), rng.choice(("London", "Leeds", "York")), state,
        "" if number % 25 == 24 else postcode, country, instructions, "YES" if number % 20 == 8 else "",
    )  # fmt: skip
    return dict(zip(_SUBSCRIBER_COLUMNS, values, strict=True))


def _csv(columns: list[str], rows: list[dict[str, str]]) -> bytes:
    text = io.StringIO(newline="")
    writer = csv.DictWriter(text, fieldnames=columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return text.getvalue().encode()


_EXPECTED: Final = "Basic " + base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()


class _ZuoraHandler(QuietHandler):
    world: FakeZuora

    def do_POST(self) -> None:  # noqa: N802 -- the base class's name
        body = self.rfile.read(int(self.headers.get("Content-Length", 0)))
        if self._may_go_on():
            if self.path != _BASE:
                self._json(404, {"errorCode": "404", "message": "no such resource"})
                return
            self._json(200, self.world.submit(json.loads(body), self.headers.get("Idempotency-Key", "")))

    def do_GET(self) -> None:  # noqa: N802 -- the base class's name
        if not self._may_go_on():
            return
        kind, _, name = self.path.removeprefix(_BASE).partition("/")
        if kind == "jobs" and (told := self.world.look(name)) is not None:
            self._json(200, told)
        elif kind == "file" and (data := self.world.file(name)) is not None:
            self.answer(200, data, {"Content-Type": "text/csv"})
        else:
            self._json(404, {"errorCode": "404", "message": f"no such {kind}"})

    def _may_go_on(self) -> bool:
        if self.headers.get("Authorization") != _EXPECTED:
            self._json(401, {"errorCode": "401", "message": "authentication failed"})
            return False
        with self.world.lock:
            faulty = self.world.faults > 0
            self.world.faults -= faulty
        if faulty:
            self._json(503, {"message": "try again later"})
        return not faulty

    def _json(self, status: int, value: Any) -> None:
        self.answer(status, json.dumps(value).encode(), {"Content-Type": "application/json"})
