"""The subscriber export as a whole, fired by its schedules, over a real service and a fake Zuora."""

import csv
import hashlib
import io
import json
import uuid
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.demo.fake_zuora import PASSWORD, FakeZuora, result_of, start_fake_zuora
from etl_runner.demo.seed import DemoStores, seed_stores, told
from tests.workflows.conftest import Stored
from tests.workflows.service import Running, running_service, until
from workflows.subscriber_export.rows import HOME_DELIVERY_HEADER, REGIONS

ROWS = 30
SUSPENDED = 10
DELIVERED = ROWS - ROWS // SUSPENDED
NO_WAIT = {"waitSeconds": 0, "maxWaitSeconds": 0}


@pytest.fixture(scope="module")
def zuora() -> Iterator[FakeZuora]:
    with start_fake_zuora(looks=1, rows=ROWS) as running:
        yield running


@pytest.fixture(autouse=True)
def sound_zuora(zuora: FakeZuora) -> None:
    zuora.looks, zuora.rows, zuora.suspended = 1, ROWS, SUSPENDED
    zuora.segments, zuora.batch_status, zuora.job_status, zuora.faults = {}, {}, "completed", 0


@pytest.fixture(scope="module")
def seeded(moto_access: AwsAccess) -> DemoStores:
    return seed_stores(moto_access, prefix=f"export-{uuid.uuid4().hex[:8]}")


@pytest.fixture(scope="module")
def running(
    moto_access: AwsAccess, seeded: DemoStores, zuora: FakeZuora, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Running]:
    environment = seeded.environment() | zuora.environment()
    with running_service(tmp_path_factory.mktemp("export"), moto_access, environment) as service:
        yield service


@pytest.fixture
def exports(seeded: DemoStores, moto_access: AwsAccess) -> Stored:
    return Stored(moto_access.client("s3"), seeded.export_bucket)


@pytest.fixture(autouse=True)
def nothing_told(moto_access: AwsAccess, seeded: DemoStores) -> None:
    told(moto_access, seeded)


def home_delivery(day: str) -> dict[str, Any]:
    return {"type": "homedelivery", "deliveryDate": day, "today": "2026-11-23", **NO_WAIT}


def weekly(day: str) -> dict[str, Any]:
    return {"type": "weekly", "deliveryDate": day, "today": "2026-11-23", **NO_WAIT}


def list_key(day: str) -> str:
    return f"fulfilment_output/{day}_HOME_DELIVERY.csv"


def table(data: bytes) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(data.decode(), newline="")))


def names_in(data: bytes) -> list[str]:
    return [row["Customer Reference"] for row in table(data)]


# home delivery --------------------------------------------------------------------------------------------


def test_a_shipped_schedule_publishes_tomorrows_list_at_its_due_time(
    running: Running, zuora: FakeZuora, seeded: DemoStores, exports: Stored, moto_access: AwsAccess
) -> None:
    (ended,) = running.run_at_due_time("home-delivery-1")
    output = ended["output"]
    day = date.fromisoformat(output["deliveryDate"])
    (published,) = output["lists"]
    key, data = list_key(str(day)), exports.bytes(list_key(str(day)))
    head = exports.head(key)

    assert (ended["status"], ended["origin"]) == ("SUCCEEDED", "schedule:home-delivery-1")
    assert (day - date.fromisoformat(ended["input"]["today"])).days == 1
    assert published == {
        "name": "homedelivery", "bucket": seeded.export_bucket, "key": key, "rows": DELIVERED,
        "outcome": "published", "versionId": head["VersionId"],
    }  # fmt: skip
    assert exports.versions(key) == {key: [head["VersionId"]]}
    metadata = head["Metadata"]
    assert metadata["job-id"] == output["jobId"]
    assert metadata["rows"] == str(DELIVERED)
    assert metadata["sha256"] == hashlib.sha256(data).hexdigest()
    assert metadata["submitted-at"].endswith("Z")
    rows = table(data)
    assert tuple(rows[0]) == HOME_DELIVERY_HEADER
    assert {row["Delivery Date"] for row in rows} == {day.strftime("%d/%m/%Y")}
    _columns, suspended = result_of("HolidaySuspensions", str(day), ROWS, SUSPENDED)
    assert not {one["Subscription.Name"] for one in suspended} & set(names_in(data))
    for query in ("Subscriptions", "HolidaySuspensions"):
        (raw_key,) = exports.keys(f"zuoraExport/{query}_{day}")
        assert exports.bytes(raw_key) == zuora.file(raw_key.removesuffix(".csv").rpartition(f"{day}_")[2])
    (message,) = told(moto_access, seeded)  # one of the made-up people has no postcode
    assert message["Subject"] == f"homedelivery list of {day}: 1 incomplete addresses"
    assert json.loads(message["Message"]) == output["invalid"]
    assert output["invalid"] == {"MissingStreetAddress": 0, "MissingPostcode": 1, "MissingName": 0}


def test_a_second_export_of_a_date_makes_no_new_version_of_its_list(
    running: Running, exports: Stored
) -> None:
    first = running.run("subscriber_export", home_delivery("2027-01-04"))
    stored = exports.versions("fulfilment_output/")
    second = running.run("subscriber_export", home_delivery("2027-01-04"))
    (one,), (two,) = first["output"]["lists"], second["output"]["lists"]

    assert (one["outcome"], two["outcome"]) == ("published", "unchanged")
    assert two == one | {"outcome": "unchanged"}
    assert exports.versions("fulfilment_output/") == stored
    assert stored[list_key("2027-01-04")] == [one["versionId"]]


def test_the_same_fire_twice_is_one_execution_and_one_job(running: Running, zuora: FakeZuora) -> None:
    name = running.schedule("subscriber_export", home_delivery("2027-01-05"))
    posted = zuora.posted
    first, second = (running.operations.fire(name, "once") for _ in range(2))
    running.ended(first["executionArn"])

    assert (first["existed"], second["existed"]) == (False, True)
    assert second["executionArn"] == first["executionArn"]
    assert zuora.posted == posted + 1


def test_a_change_replaces_the_list_and_what_it_replaced_is_on_record(
    running: Running, zuora: FakeZuora, exports: Stored
) -> None:
    first = running.run("subscriber_export", home_delivery("2027-01-06"))
    zuora.rows = ROWS + 5
    second = running.run("subscriber_export", home_delivery("2027-01-06"))
    (one,), (two,) = first["output"]["lists"], second["output"]["lists"]
    recorded = running.operations.written(second["executionArn"])["objects"]
    (replacing,) = (each for each in recorded if each["key"] == two["key"])

    assert two["outcome"] == "published"
    assert exports.versions(two["key"])[two["key"]] == [two["versionId"], one["versionId"]]
    assert (replacing["versionId"], replacing["replacedVersionId"]) == (two["versionId"], one["versionId"])
    assert len(names_in(exports.bytes(two["key"]))) == two["rows"] == DELIVERED + 4  # number 30 is suspended


def test_an_older_slower_export_does_not_replace_the_list_of_a_newer_one(
    running: Running, zuora: FakeZuora, exports: Stored
) -> None:
    zuora.looks = 10_000  # the older export's job is not done
    name = running.schedule("subscriber_export", home_delivery("2027-01-07"))
    posted = zuora.posted
    older = running.operations.fire(name)["executionArn"]
    until(lambda: zuora.posted > posted, "the older export was submitted")
    older_job = list(zuora.jobs.values())[-1]
    zuora.looks, older_job.looks = 1, -1_000_000
    zuora.rows = ROWS + 5
    newer = running.run("subscriber_export", home_delivery("2027-01-07"))
    stored = exports.versions("fulfilment_output/")
    zuora.rows = ROWS
    older_job.looks = 1
    ended = running.ended(older)

    assert [one["outcome"] for one in newer["output"]["lists"]] == ["published"]
    assert [one["outcome"] for one in ended["output"]["lists"]] == ["superseded"]
    assert exports.versions("fulfilment_output/") == stored
    assert exports.head(list_key("2027-01-07"))["Metadata"]["job-id"] == newer["output"]["jobId"]


def test_segments_of_a_large_result_give_the_same_rows_as_one_file(
    running: Running, zuora: FakeZuora, exports: Stored
) -> None:
    whole = running.run("subscriber_export", home_delivery("2027-01-08"))
    data = exports.bytes(list_key("2027-01-08"))
    zuora.segments = {"Subscriptions": 3}
    cut = running.run("subscriber_export", home_delivery("2027-01-08"))
    staged = exports.bytes(f"staging/{cut['output']['jobId']}/homedelivery.csv")

    assert whole["output"]["lists"][0]["rows"] == cut["output"]["lists"][0]["rows"]
    assert sorted(names_in(staged)) == sorted(names_in(data))
    assert len(exports.keys("zuoraExport/Subscriptions_2027-01-08")) == 1 + 3


@pytest.mark.parametrize("status", ["aborted", "cancelled"])
def test_one_batch_that_ended_badly_fails_the_export_which_publishes_nothing_and_tells(
    running: Running, zuora: FakeZuora, seeded: DemoStores, exports: Stored, moto_access: AwsAccess,
    status: str,
) -> None:  # fmt: skip
    stored = exports.versions()
    zuora.batch_status = {"HolidaySuspensions": status}
    ended = running.run("subscriber_export", home_delivery("2027-01-09"))
    (message,) = told(moto_access, seeded)

    assert (ended["status"], ended["error"]) == ("FAILED", "ExportJobFailed")
    assert f"batch HolidaySuspensions ended as {status}" in ended["cause"]
    assert exports.versions() == stored
    assert message["Subject"] == "homedelivery list of 2027-01-09 was not exported"
    assert json.loads(message["Message"]) == {"Error": "ExportJobFailed", "Cause": ended["cause"]}


def test_a_job_that_is_never_done_is_overdue_after_the_patience(
    running: Running, zuora: FakeZuora, exports: Stored
) -> None:
    zuora.looks = 10_000
    given = home_delivery("2027-01-11") | {"waitSeconds": 1, "maxWaitSeconds": 1, "patienceSeconds": 1}
    ended = running.run("subscriber_export", given)

    assert (ended["status"], ended["error"]) == ("FAILED", "ExportJobFailed")
    assert "not done after 1 seconds" in ended["cause"]
    assert exports.keys(list_key("2027-01-11")) == []


def test_a_fault_that_passes_is_waited_out_and_makes_no_second_job(
    running: Running, zuora: FakeZuora, exports: Stored
) -> None:
    posted, zuora.faults = zuora.posted, 1
    ended = running.run("subscriber_export", home_delivery("2027-01-12"))

    assert ended["status"] == "SUCCEEDED"
    assert zuora.posted == posted + 1
    assert exports.keys(list_key("2027-01-12")) == [list_key("2027-01-12")]


def test_an_export_without_a_row_fails_and_leaves_the_list_that_is_there(
    running: Running, zuora: FakeZuora, exports: Stored
) -> None:
    running.run("subscriber_export", home_delivery("2027-01-13"))
    stored = exports.versions("fulfilment_output/")
    zuora.rows = 0
    ended = running.run("subscriber_export", home_delivery("2027-01-13"))

    assert (ended["status"], ended["error"]) == ("FAILED", "NothingToDeliver")
    assert exports.versions("fulfilment_output/") == stored


# the weekly -----------------------------------------------------------------------------------------------


def test_the_weekly_has_a_list_per_region_and_a_second_run_changes_none(
    running: Running, exports: Stored
) -> None:
    first = running.run("subscriber_export", weekly("2027-01-15"))
    stored = exports.versions("weekly_output/")
    second = running.run("subscriber_export", weekly("2027-01-15"))
    published = [one for one in first["output"]["lists"] if one["outcome"] == "published"]

    assert [one["name"] for one in first["output"]["lists"]] == list(REGIONS)
    assert sum(one["rows"] for one in published) == ROWS - ROWS // SUSPENDED + ROWS // 5
    assert stored == {one["key"]: [one["versionId"]] for one in published}
    for one in published:
        assert one["key"] == f"weekly_output/{one['name'].lower()}/2027-01-15_WEEKLY.csv"
        assert len(table(exports.bytes(one["key"]))) == one["rows"]
    assert {one["outcome"] for one in second["output"]["lists"]} <= {"unchanged", "empty"}
    assert exports.versions("weekly_output/") == stored


def test_no_history_of_any_export_holds_the_password(running: Running) -> None:
    arns = running.executions("subscriber_export")
    histories = [running.operations.history(arn)["events"] for arn in arns]

    assert len(arns) > 5
    assert not any(PASSWORD in json.dumps(events) for events in histories)
