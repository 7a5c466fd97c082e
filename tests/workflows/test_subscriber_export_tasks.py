"""The functions of the subscriber export against moto and the fake Zuora.

Letters at the end of a name stand for the faults of the original.
"""

import csv
import io
import json
from collections.abc import Iterator
from datetime import date
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.demo.fake_zuora import PASSWORD, FakeZuora, start_fake_zuora
from etl_runner.demo.seed import ZUORA_KEY, DemoStores
from etl_runner.s3 import open_chunk
from tests.workflows.conftest import Stored, TaskContext
from workflows.subscriber_export import errors, publish, queries, rows, settings, tasks, zuora

NOON = "2026-11-23T12:00:00.000Z"
HOME = {"type": "homedelivery", "deliveryDateDaysFromNow": 1}
WEEKLY = {"type": "weekly", "deliveryDayOfWeek": "friday", "minDaysInAdvance": 8}
LIST = "fulfilment_output/2026-11-24_HOME_DELIVERY.csv"


@pytest.fixture
def fake(world: DemoStores, monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeZuora]:
    with start_fake_zuora(looks=1, rows=20) as running:
        for name, value in running.environment().items():
            monkeypatch.setenv(name, value)
        yield running


@pytest.fixture
def exports(world: DemoStores, worker: AwsAccess) -> Stored:
    return Stored(worker.client("s3"), world.export_bucket)


def planned(wanted: dict[str, Any], started: str = NOON) -> dict[str, Any]:
    return tasks.prepare({"input": wanted | {"waitSeconds": 0}, "startedAt": started}, None)


def submitted(plan: dict[str, Any], key: str = "run-1") -> dict[str, Any]:
    return tasks.submit_export({"plan": plan, "idempotencyKey": key}, None)


def looked(plan: dict[str, Any], job: dict[str, Any]) -> dict[str, Any]:
    return tasks.get_job({"plan": plan, "job": job}, None)


def transformed(wanted: dict[str, Any], *, key: str = "run-1", started: str = NOON) -> dict[str, Any]:
    """The event of the publishing Map: an export that is fetched and transformed."""
    plan = planned(wanted, started)
    job = submitted(plan, key)
    while job["status"] == "pending":
        job = looked(plan, job)
    files = [tasks.fetch_file({"plan": plan, "file": file}, TaskContext()) for file in job["files"]]
    result = tasks.transform({"plan": plan, "job": job, "files": files}, TaskContext())
    return {"plan": plan, "job": job, "result": result}


def published(event: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """What became of each list."""
    told = [tasks.publish_version({"plan": event["plan"], "job": event["job"], "list": one}, TaskContext())
            for one in event["result"]["lists"]]  # fmt: skip
    return {one["name"]: one for one in told}


def table(stored: Stored, key: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(stored.bytes(key).decode(), newline="")))


# prepare ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("wanted", "delivery"),
    [
        (HOME, "2026-11-24"),
        (HOME | {"deliveryDateDaysFromNow": 5}, "2026-11-28"),
        (HOME | {"today": "2026-12-30"}, "2026-12-31"),
        ({"type": "homedelivery", "deliveryDate": "2027-01-02"}, "2027-01-02"),
        (WEEKLY, "2026-12-04"),  # Monday + 8 is Tuesday the 1st; the first Friday from there
        (WEEKLY | {"minDaysInAdvance": 11}, "2026-12-04"),
        (WEEKLY | {"minDaysInAdvance": 12}, "2026-12-11"),
    ],
)
def test_the_delivery_date_follows_from_the_input(
    world: DemoStores, wanted: dict[str, Any], delivery: str
) -> None:
    assert planned(wanted)["deliveryDate"] == delivery


@pytest.mark.parametrize(
    ("started", "today"),
    [("2026-07-01T23:30:00.000Z", "2026-07-02"), ("2026-12-01T23:30:00.000Z", "2026-12-01")],
)
def test_today_is_the_day_in_london_d(world: DemoStores, started: str, today: str) -> None:
    assert planned(HOME, started)["today"] == today


@pytest.mark.parametrize(
    "wanted",
    [{}, {"type": "monthly"}, {"type": "homedelivery"}, HOME | {"deliveryDateDaysFromNow": "1"},
     HOME | {"deliveryDateDaysFromNow": -1}, WEEKLY | {"deliveryDayOfWeek": "freitag"},
     {"type": "homedelivery", "deliveryDate": "tomorrow"}, HOME | {"maxWaitSeconds": -1}],
)  # fmt: skip
def test_an_input_that_makes_no_sense_is_refused(world: DemoStores, wanted: dict[str, Any]) -> None:
    with pytest.raises(errors.InvalidRequest):
        planned(wanted)


def test_without_a_word_about_waiting_it_is_half_a_minute_growing_to_three(
    world: DemoStores, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("ETL_EXPORT_WAIT_SECONDS")
    monkeypatch.delenv("ETL_EXPORT_MAX_WAIT_SECONDS")
    plan = tasks.prepare({"input": HOME, "startedAt": NOON}, None)

    assert (plan["waitSeconds"], plan["maxWaitSeconds"]) == (30, 180)


# the queries ------------------------------------------------------------------------------------------


def test_the_home_delivery_query_asks_for_the_paper_of_that_weekday() -> None:
    asked = queries.home_delivery(date(2026, 11, 24), date(2026, 11, 23))

    assert "ProductType__c = 'Print Tuesday'" in asked["Subscriptions"]
    assert "HolidayEnd__c >= '2026-11-24'" in asked["HolidaySuspensions"]


@pytest.mark.parametrize(
    ("today", "cutoff"), [(date(2026, 11, 23), "2026-11-28"), (date(2026, 12, 4), "2026-12-04")]
)
def test_the_weekly_cutoff_is_six_days_before_the_delivery_or_the_delivery_itself(
    today: date, cutoff: str
) -> None:
    asked = queries.weekly(date(2026, 12, 4), today)

    assert asked["WeeklySubscriptions"].count(f"TermEndDate >= '{cutoff}'") >= 2


# submit and look --------------------------------------------------------------------------------------


def test_a_retried_submit_finds_the_first_ones_job_c(fake: FakeZuora) -> None:
    plan = planned(HOME)

    assert submitted(plan) == submitted(plan)
    assert fake.posted == 1
    assert submitted(plan, "run-2")["jobId"] != submitted(plan)["jobId"]
    assert fake.bodies[0]["queries"][0]["type"] == "zoqlexport"


def test_waits_grow_by_half_up_to_the_longest(fake: FakeZuora) -> None:
    fake.looks = 9
    plan = planned(HOME) | {"waitSeconds": 30, "maxWaitSeconds": 180}
    job, waits = submitted(plan), []
    for _ in range(7):
        waits.append(job["waitSeconds"])
        job = looked(plan, job)

    assert waits == [30, 45, 67, 100, 150, 180, 180]
    assert job["waited"] == sum(waits)


def test_patience_ends(fake: FakeZuora) -> None:
    fake.looks = 9
    plan = planned(HOME) | {"waitSeconds": 30, "patienceSeconds": 30}

    assert looked(plan, submitted(plan))["status"] == "overdue"


def test_exactly_one_aborted_batch_fails_the_export_a(fake: FakeZuora) -> None:
    fake.batch_status = {"HolidaySuspensions": "aborted"}
    plan = planned(HOME)
    job = looked(plan, looked(plan, submitted(plan)))

    assert (job["status"], job["files"]) == ("failed", [])
    assert "HolidaySuspensions" in job["reason"]


@pytest.mark.parametrize("status", ["error", "aborted", "cancelled"])
def test_a_job_that_failed_is_no_job_that_is_pending_b(status: str) -> None:
    assert zuora.read_job({"status": status, "batches": []}).status == "failed"


@pytest.mark.parametrize(
    "told",
    [{}, {"status": "dreaming"}, {"status": "completed", "batches": [{"name": "Q", "status": "completed"}]},
     {"status": "completed", "batches": [{"name": "Q", "status": "completed", "segments": [None]}]}],
)  # fmt: skip
def test_an_answer_outside_the_interface_is_refused_by_name(told: dict[str, Any]) -> None:
    with pytest.raises(errors.UnexpectedAnswer):
        zuora.read_job(told)


def test_a_fault_that_passes_and_one_that_does_not_have_names_of_their_own_b(
    fake: FakeZuora, world: DemoStores, worker: AwsAccess
) -> None:
    plan = planned(HOME)
    fake.faults = 1
    with pytest.raises(errors.ZuoraUnavailable):
        submitted(plan)
    with pytest.raises(errors.ZuoraRefused):
        looked(plan, submitted(plan) | {"jobId": "unknown"})
    private = json.dumps({"zuora": {"url": "http://x", "user": "u", "password": "wrong"},
                          "folders": {"homeDelivery": "", "weekly": {}}})  # fmt: skip
    worker.client("s3").put_object(Bucket=world.config_bucket, Key=ZUORA_KEY, Body=private.encode())
    with pytest.raises(errors.ZuoraRefused, match="401"):
        submitted(plan)


# secrets ----------------------------------------------------------------------------------------------


def test_the_password_is_in_no_output_and_no_repr(fake: FakeZuora) -> None:
    event = transformed(HOME)

    assert PASSWORD not in json.dumps([event, published(event)])
    assert PASSWORD not in repr(settings.private())


@pytest.mark.parametrize(
    "text", ['{"zuora": {"password": "hunter2"', '{"zuora": {"password": "hunter2"}}', '"hunter2"']
)
def test_a_broken_configuration_is_refused_without_its_text(
    world: DemoStores, worker: AwsAccess, text: str
) -> None:
    worker.client("s3").put_object(Bucket=world.config_bucket, Key=ZUORA_KEY, Body=text.encode())
    with pytest.raises(errors.InvalidConfiguration) as refused:
        settings.private()

    assert "hunter2" not in str(refused.value)
    assert refused.value.__context__ is None


# fetch ------------------------------------------------------------------------------------------------


def test_every_segment_is_fetched_once(fake: FakeZuora, exports: Stored) -> None:
    fake.segments = {"Subscriptions": 3}
    event = transformed(HOME)
    fetched = exports.versions("zuoraExport/")
    transformed(HOME)

    assert len(fetched) == fake.downloads == 4
    assert exports.versions("zuoraExport/") == fetched
    assert event["result"]["lists"][0]["rows"] == 18


def test_a_file_that_zuora_does_not_serve_leaves_no_object(fake: FakeZuora, exports: Stored) -> None:
    with pytest.raises(errors.ZuoraRefused):
        tasks.fetch_file({"plan": planned(HOME), "file": {"query": "Q", "fileId": "none"}}, TaskContext())

    assert exports.keys("zuoraExport/") == []


# transform: home delivery -----------------------------------------------------------------------------


def test_the_home_delivery_list_has_its_28_columns_all_quoted(fake: FakeZuora, exports: Stored) -> None:
    published(transformed(HOME))
    first, second, *_ = exports.bytes(LIST).decode().splitlines()

    assert first == ",".join(f'"{name}"' for name in rows.HOME_DELIVERY_HEADER)
    assert len(rows.HOME_DELIVERY_HEADER) == 28
    assert second.startswith('"H-S000001","",')


def test_suspended_subscriptions_get_no_paper(fake: FakeZuora, exports: Stored) -> None:
    published(transformed(HOME))
    names = {row["Customer Reference"] for row in table(exports, LIST)}

    assert len(names) == 18
    assert not names & {"H-S000000", "H-S000010"}


def test_a_line_of_the_home_delivery_list_says_what_the_supplier_expects(
    fake: FakeZuora, exports: Stored
) -> None:
    published(transformed(HOME))
    row = next(row for row in table(exports, LIST) if row["Customer Reference"] == "H-S000003")

    assert (row["Sent Date"], row["Delivery Date"], row["Charge day"]) == (
        "23/11/2026",
        "24/11/2026",
        "Tuesday",
    )
    assert row["Customer PostCode"] == "SW1A 2AA"
    assert not row["Customer Full Name"].startswith(".")
    assert row["Customer Telephone"] == ""


@pytest.mark.parametrize(
    ("text", "postcode"),
    [("sw1a2aa", "SW1A 2AA"), (" n1  9gu ", "N1 9GU"), ("", ""), ("  ", ""), ("abc", "ABC")],
)
def test_a_postcode_is_upper_case_with_one_space_and_nothing_stays_nothing_j(
    text: str, postcode: str
) -> None:
    assert rows.uk_postcode(text) == postcode


def test_double_quotes_in_instructions_become_single_ones(fake: FakeZuora, exports: Stored) -> None:
    published(transformed(HOME))
    row = next(row for row in table(exports, LIST) if row["Customer Reference"] == "H-S000001")

    assert row["Additional Information"] == "Ring the 'lower' bell"


def test_incomplete_rows_are_delivered_and_counted_under_the_names_that_are_told_e(fake: FakeZuora) -> None:
    fake.rows = 30
    home, weekly = transformed(HOME)["result"], transformed(WEEKLY, key="run-w")["result"]

    assert home["invalid"] == {"MissingStreetAddress": 0, "MissingPostcode": 1, "MissingName": 0}
    assert (home["invalidRows"], sum(one["rows"] for one in home["lists"])) == (1, 27)
    assert weekly["invalid"]["MissingPostcode"] > 0
    assert tuple(home["invalid"]) == tuple(weekly["invalid"]) == rows.VALIDATIONS


def test_an_empty_home_delivery_list_is_an_error(fake: FakeZuora, exports: Stored) -> None:
    fake.rows = 0

    with pytest.raises(errors.NothingToDeliver):
        transformed(HOME)
    assert exports.keys("fulfilment_output/") == exports.keys("staging/") == []


def test_a_file_without_the_expected_columns_is_refused_by_name(fake: FakeZuora, exports: Stored) -> None:
    event = transformed(HOME)
    body = b"Name\nx\n"
    put = exports.client.put_object(Bucket=exports.bucket, Key="zuoraExport/odd", Body=body)
    odd = {"bucket": exports.bucket, "key": "zuoraExport/odd", "bytes": len(body)}
    odd |= {"versionId": put["VersionId"], "etag": put["ETag"]}
    files = [odd | {"query": name} for name in ("Subscriptions", "HolidaySuspensions")]

    with pytest.raises(errors.UnexpectedColumns, match=r"Subscription\.Name"):
        tasks.transform(event | {"files": files}, TaskContext())
    with pytest.raises(errors.UnexpectedAnswer, match="no file for the query HolidaySuspensions"):
        tasks.transform(event | {"files": []}, TaskContext())


# transform: weekly ------------------------------------------------------------------------------------


def test_each_region_gets_its_own_subscribers_from_both_queries_f(fake: FakeZuora, exports: Stored) -> None:
    fake.rows = 40
    told = published(transformed(WEEKLY))
    lists = {name: table(exports, one["key"]) for name, one in told.items() if one["outcome"] == "published"}
    names = [row["Subscriber ID"] for one in lists.values() for row in one]

    # 8 introductory ones, whose file has its columns in another order, and 40 less 4 suspended.
    assert len(names) == len(set(names)) == 8 + 36
    assert "Subscriber ID" not in names
    assert {row["Country"] for row in lists["AU"]} == {"AUSTRALIA", "JAPAN"}
    assert {row["Country"] for row in lists["CA"] + lists["CA_HAND"]} == {"Canada"}
    assert {row["Address  3"] for row in lists["US"]} == {"CA"}
    assert {(row["Unit price"], row["Currency"]) for row in lists["EU"]} == {("4.72", "EUR")}
    assert {row["Country"] for row in lists["ROW"]} == {"Brazil"}
    assert {row["Copies"] for row in lists["UK"]} == {"1.0"}


def test_a_region_without_subscribers_publishes_nothing_m(fake: FakeZuora, exports: Stored) -> None:
    fake.rows = 3
    told = published(transformed(WEEKLY))

    assert told["NZ"]["outcome"] == "empty"
    assert not [key for key in exports.keys("weekly_output/") if "/nz/" in key]


def test_a_region_that_lost_its_last_subscriber_does_not_keep_yesterdays_list(
    fake: FakeZuora, exports: Stored
) -> None:
    fake.rows = 20
    assert published(transformed(WEEKLY))["NZ"]["outcome"] == "published"
    fake.rows = 3
    told = published(
        transformed(WEEKLY | {"today": "2026-11-23"}, key="later", started="2026-11-23T13:00:00.000Z")
    )

    assert (told["NZ"]["outcome"], table(exports, told["NZ"]["key"])) == ("published", [])


# publish ----------------------------------------------------------------------------------------------


def test_a_second_export_with_the_same_content_makes_no_version(fake: FakeZuora, exports: Stored) -> None:
    first = published(transformed(HOME))["homedelivery"]
    stored = exports.versions("fulfilment_output/")
    second = published(transformed(HOME, key="run-2", started="2026-11-23T13:00:00.000Z"))["homedelivery"]

    assert (first["outcome"], second["outcome"]) == ("published", "unchanged")
    assert first["versionId"] == second["versionId"]
    assert exports.versions("fulfilment_output/") == stored == {LIST: [first["versionId"]]}


def test_a_published_list_says_where_it_comes_from(fake: FakeZuora, exports: Stored) -> None:
    event = transformed(HOME)
    published(event)
    metadata = exports.head(LIST)["Metadata"]

    assert metadata["job-id"] == event["job"]["jobId"]
    assert metadata["submitted-at"] == "2026-11-23T12:00:00.000000Z"
    assert metadata["rows"] == "18"
    assert metadata["sha256"] == event["result"]["lists"][0]["sha256"]


def test_an_older_slower_export_does_not_replace_a_newer_list_n(fake: FakeZuora, exports: Stored) -> None:
    fake.suspended = 5
    older = transformed(HOME)
    fake.suspended = 10
    newer = published(transformed(HOME, key="run-2", started="2026-11-23T12:00:01.000Z"))["homedelivery"]
    told = published(older)["homedelivery"]

    assert told["outcome"] == "superseded"
    assert told["versionId"] == newer["versionId"]
    assert exports.versions("fulfilment_output/") == {LIST: [newer["versionId"]]}


def test_an_export_between_two_equal_ones_does_not_replace_them_when_it_comes_last(
    fake: FakeZuora, exports: Stored
) -> None:
    first = published(transformed(HOME))["homedelivery"]
    fake.suspended = 5
    slow = transformed(HOME, key="slow", started="2026-11-23T12:30:00.000Z")
    fake.suspended = 10
    published(transformed(HOME, key="run-3", started="2026-11-23T13:00:00.000Z"))
    told = published(slow)["homedelivery"]

    assert (told["outcome"], told["versionId"]) == ("superseded", first["versionId"])


def test_a_newer_list_that_appears_between_look_and_write_is_not_replaced(
    fake: FakeZuora, exports: Stored, monkeypatch: pytest.MonkeyPatch
) -> None:
    fake.suspended = 5
    older = transformed(HOME)
    fake.suspended = 10
    newer = transformed(HOME, key="run-2", started="2026-11-23T12:00:01.000Z")
    came_between: list[Any] = []

    def read_late(place: Any) -> Any:
        if not came_between:
            came_between.append(None)
            came_between.append(published(newer))
        return open_chunk(place)

    monkeypatch.setattr(publish, "open_chunk", read_late)

    assert published(older)["homedelivery"]["outcome"] == "superseded"
    assert len(exports.versions("fulfilment_output/")[LIST]) == 1
