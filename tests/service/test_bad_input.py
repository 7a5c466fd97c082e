"""What bad input gets: an error that names the thing and the remedy, nothing half done, the rest goes on."""

import json
import sqlite3
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etl_runner.demo.embedded_aws import ACCESS_KEY_ID, SECRET_ACCESS_KEY
from tests.service.program import ARN, HTTP, Daemon, Installation, serving, task, until

FAILED, MISTAKE, UNAVAILABLE = 1, 2, 3

S3_GET = "arn:aws:states:::aws-sdk:s3:getObject"

BAD_FILES = {
    # Name of the case: file, its content, what is said from the place in the file on.
    "json": (
        "workflows/bad/workflow.asl.json",
        '{\n  "StartAt": "A",\n}',
        "3:1: expected a value after ',', found '}'",
    ),
    "asl": (
        "workflows/bad/workflow.asl.json",
        '{"StartAt": "A",\n "States": {"A": {"Type": "Tusk", "End": true}}}',
        "2:27: the Type of the state 'A' is the string 'Tusk', and it has to be one of",
    ),
    "function": (
        "workflows/bad/workflow.asl.json",
        json.dumps(task(f"{ARN}wrk")),
        "1:32: the state 'Only' cannot be run: no function 'wrk' is bound; did you mean work?",
    ),
    "resource": (
        "workflows/bad/workflow.asl.json",
        json.dumps(task("arn:aws:states:::lambada:invoke")),
        "1:32: the state 'Only' cannot be run: arn:aws:states:::lambada:invoke: nothing here does",
    ),
    "handler": (
        "workflows/bad/functions.yaml",
        "functions:\n  gone: {handler: tasks.gone}\n",
        "2:19: there is no tasks.py in",
    ),
    "yaml": (
        "config/schedules/bad.yaml",
        "schedules:\n  - name: x\n   expression: [\n",
        "3:4: while parsing a block collection",
    ),
    "cron": (
        "config/schedules/bad.yaml",
        "schedules:\n  - name: x\n    expression: 61 * * * *\n    workflow: jobs-work\n",
        "3:17: the schedule expression '61 * * * *' has '61' as its minute",
    ),
    "zone": (
        "config/schedules/bad.yaml",
        "schedules: [{name: x, expression: rate(1 day), timezone: Europe/Berlni, workflow: jobs-work}]",
        "1:58: there is no time zone 'Europe/Berlni'; did you mean Europe/Berlin",
    ),
    "pattern": (
        "config/rules/bad.yaml",
        "rules:\n  - {name: r, workflow: jobs-work, pattern: {source: [{prefx: a}]}}\n",
        "2:63: the event pattern cannot be used at /source/0/prefx: there is no operator 'prefx'",
    ),
}


# --- files ------------------------------------------------------------------------------------------------


def test_a_start_with_bad_files_tells_all_faults_and_starts_nothing(installation: Installation) -> None:
    for file, content, _ in BAD_FILES.values():
        installation.write(file, content)  # of two for one file the last stays
    refusal = installation.refused("--json")

    said = {name: f"{installation.folder / file}:{what}" for name, (file, _, what) in BAD_FILES.items()}
    told = [name for name, what in said.items() if what in refusal.stderr]
    assert told == ["resource", "handler", "zone", "pattern"], refusal.stderr
    assert refusal.code == MISTAKE
    assert len(refusal.lines) == 4
    assert len(json.loads(refusal.stdout)["error"]["faults"]) == 4
    assert executions_in(installation.store) == 0


@pytest.fixture(scope="module")
def long_lived(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One service for everything that it has to survive."""
    at = Installation(tmp_path_factory.mktemp("service") / "installation")
    at.write(
        "config/rules/shop.yaml", "rules: [{name: shop, pattern: {source: [shop]}, workflow: jobs-work}]"
    )
    with serving(at) as daemon:
        yield daemon


@pytest.mark.parametrize("case", BAD_FILES)
def test_a_bad_edit_is_told_once_and_changes_nothing_until_it_is_healed(
    long_lived: Daemon, case: str
) -> None:
    file, content, what = BAD_FILES[case]
    at, fault = long_lived.at, f"{long_lived.at.folder / file}:{what}"
    before = len(long_lived.find("edited files were not taken over"))
    path = at.write(file, content)
    at.write("workflows/jobs/fresh.asl.json", task(f"{ARN}work"))  # sound, and held back by the other
    until(lambda: long_lived.get("/healthz")["status"] == "degraded", "the service tells of the fault")
    (told,) = long_lived.get("/healthz")["config"]["faults"]
    names = [each["name"] for each in long_lived.get("/v1/workflows")["workflows"]]

    assert f"{told['file']}:{told['line']}:{told['column']}: {told['what']}; {told['remedy']}".startswith(
        fault
    )
    assert names == ["jobs-wait", "jobs-work"]
    assert long_lived.run("jobs-work", {"x": 1})["output"]["given"] == {"x": 1}

    path.unlink()
    until(lambda: long_lived.get("/healthz")["status"] == "ok", "the healed files are taken over")
    assert long_lived.run("jobs-fresh")["status"] == "SUCCEEDED"
    (line,) = long_lived.find("edited files were not taken over")[before:]
    assert line["fault"].startswith(fault)

    (at.workflows / "jobs" / "fresh.asl.json").unlink()
    until(lambda: len(long_lived.get("/v1/workflows")["workflows"]) == 2, "the file is gone")


# --- requests ---------------------------------------------------------------------------------------------


def test_an_input_over_the_limit_is_refused_and_starts_nothing(long_lived: Daemon, tmp_path: Path) -> None:
    big = "x" * 262_143  # with its quotes one byte more than allowed
    file = tmp_path / "big.json"
    file.write_text(json.dumps(big))
    before = count(long_lived)
    by_cli = long_lived.cli("run", "jobs-work", "--input", f"@{file}")
    by_http = HTTP.post(f"{long_lived.url}/v1/executions", json={"workflow": "jobs-work", "input": big})
    event = {"source": "shop", "detail-type": "d", "detail": {"big": big}}
    file.write_text(json.dumps(event))
    by_event = long_lived.cli("events", "put", f"@{file}")

    assert by_cli.code == MISTAKE
    assert "262,145 bytes as JSON, 262,144 are allowed" in by_cli.stderr
    assert by_http.status_code == 400
    assert "262,145 bytes" in by_http.json()["error"]["message"]
    assert by_event.code == FAILED
    assert "shop failed the input has 262,347 bytes as JSON" in by_event.stdout
    assert count(long_lived) == before
    fits = long_lived.outcome(long_lived.start("jobs-work", big[:-1]))
    assert fits["error"] == "States.DataLimitExceeded"  # taken; what the task makes of it is too big


def test_a_schedule_whose_input_grows_over_the_limit_leaves_a_row_that_says_so(long_lived: Daemon) -> None:
    given = {"big": "x" * 262_130, "date.$": "$.tick.date"}
    schedule = {"name": "big", "expression": "rate(1 day)", "workflow": "jobs-work", "input": given}
    path = long_lived.at.write("config/schedules/big.yaml", {"schedules": [schedule]})
    until(lambda: long_lived.get("/v1/schedules")["schedules"], "the schedule is there")
    refusal = long_lived.cli("schedules", "fire", "big")
    path.unlink()

    assert refusal.code == MISTAKE
    assert "262,144" in refusal.stderr
    assert "Traceback" not in refusal.stderr


def count(daemon: Daemon) -> int:
    return len(daemon.get("/v1/executions", limit=1000)["executions"])


def executions_in(store: Path) -> int:
    if not store.exists():
        return 0
    connection = sqlite3.connect(store)
    try:
        return int(connection.execute("SELECT count(*) FROM execution").fetchone()[0])
    finally:
        connection.close()


# --- AWS --------------------------------------------------------------------------------------------------

SECRET = "hush/" + "7Fq2" * 9

READER = {
    "StartAt": "Each",
    "States": {
        "Each": {
            "Type": "Map",
            "ItemReader": {
                "Resource": "arn:aws:states:::s3:getObject",
                "ReaderConfig": {"InputType": "JSONL"},
                "Parameters": {"Bucket": "not-there", "Key": "k"},
            },
            "ItemProcessor": {
                "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"},
                "StartAt": "Same",
                "States": {"Same": {"Type": "Pass", "End": True}},
            },
            "End": True,
        }
    },
}
WRITER = """
from etl_runner.s3 import put_versioned


def write(event, context):
    put_versioned("not-there", "k", "text", idempotency_key=context.idempotency_key)
"""


def aws_workflows(at: Installation) -> None:
    """Three ways to S3: a call by the service, a Map's reader, a task's own client."""
    at.write("workflows/s3/call.asl.json", task(S3_GET, Parameters={"Bucket": "not-there", "Key": "k"}))
    at.write("workflows/s3/read.asl.json", READER)
    at.write("workflows/s3/write.asl.json", task(f"{ARN}write"))
    at.write("workflows/s3/functions.yaml", "functions:\n  write: {handler: tasks.write}\n")
    at.write("workflows/s3/tasks.py", WRITER)


def keys(access_key_id: str, secret: str, url: str) -> dict[str, str]:
    prefix = "ETL_RUNNER_AWS__"
    return {
        f"{prefix}ENDPOINT_URL": url,
        f"{prefix}ACCESS_KEY_ID": access_key_id,
        f"{prefix}SECRET_ACCESS_KEY": secret,
    }


def test_a_missing_bucket_fails_the_task_by_its_name(installation: Installation, seaweedfs_url: str) -> None:
    aws_workflows(installation)
    with serving(installation, env=keys(ACCESS_KEY_ID, SECRET_ACCESS_KEY, seaweedfs_url)) as daemon:
        shown = {name: daemon.run(f"s3-{name}") for name in ("call", "read", "write")}
        after = daemon.run("jobs-work")

    errors = {name: each["error"] for name, each in shown.items()}
    assert errors == {
        "call": "S3.NoSuchBucketException",
        "read": "States.ItemReaderFailed",
        "write": "S3.NoSuchBucket",
    }
    assert all("The specified bucket does not exist" in each["cause"] for each in shown.values()), shown
    assert after["status"] == "SUCCEEDED"


@pytest.mark.parametrize("known", [True, False], ids=["wrong secret", "unknown key"])
def test_wrong_credentials_fail_the_task_and_the_secret_is_nowhere(
    installation: Installation, seaweedfs_url: str, known: bool
) -> None:
    aws_workflows(installation)
    given = keys(ACCESS_KEY_ID if known else "AKIDNOBODY", SECRET, seaweedfs_url)
    with serving(installation, env=given) as daemon:
        shown = {name: daemon.run(f"s3-{name}") for name in ("call", "read", "write")}
        paths = [f"/v1/executions/{each['executionArn']}/history" for each in shown.values()]
        seen = [json.dumps(shown), *(json.dumps(daemon.get(path)) for path in paths)]
        after = daemon.run("jobs-work")
        stored = [path.read_bytes() for path in installation.store.parent.iterdir()]
        logged = daemon.log_file.read_bytes()

    says = "signature we calculated does not match" if known else "access key ID you provided does not exist"
    errors = {name: each["error"] for name, each in shown.items()}
    # The task's first request is a HEAD, and to that S3 gives no reasons.
    assert errors == {
        "call": "S3.S3Exception",
        "read": "States.ItemReaderFailed",
        "write": "S3.AccessDenied",
    }
    assert says in shown["call"]["cause"]
    assert says in shown["read"]["cause"]
    assert "check the access key, its secret" in shown["write"]["cause"]
    assert after["status"] == "SUCCEEDED"
    assert not any(SECRET in text for text in seen)
    assert not any(SECRET.encode() in data for data in [*stored, logged])


# --- the store --------------------------------------------------------------------------------------------


def make_folder(path: Path) -> None:
    path.mkdir(parents=True)


def make_text(path: Path) -> None:
    path.parent.mkdir()
    path.write_text("this is a text and no database " * 100)


def make_other_database(path: Path) -> None:
    path.parent.mkdir()
    sql(path, "CREATE TABLE customers (name TEXT)")


def make_file_in_the_way(path: Path) -> None:
    path.parent.write_text("")


def sql(path: Path, statement: str) -> None:
    connection = sqlite3.connect(path)
    with connection:
        connection.execute(statement)
    connection.close()


@pytest.mark.parametrize(
    ("make", "says"),
    [
        (make_folder, "it is a folder: name a file in it"),
        (make_text, "it is no SQLite file or is damaged: restore a backup, or name another file"),
        (make_other_database, "it is a database of something else (it has the tables customers)"),
        (make_file_in_the_way, "cannot be made (File exists); name another place"),
    ],
)
def test_a_store_that_cannot_be_opened_is_left_alone(
    installation: Installation, make: Any, says: str
) -> None:
    make(installation.store)
    before = installation.store.read_bytes() if installation.store.is_file() else b""
    refusal = installation.refused()

    assert refusal.code == UNAVAILABLE
    assert len(refusal.lines) == 1
    assert f"the store {installation.store}" in refusal.stderr.replace("folder of the store", "the store")
    assert says in refusal.stderr
    assert (installation.store.read_bytes() if installation.store.is_file() else b"") == before


def test_a_store_of_a_newer_release_a_second_daemon_and_a_taken_port_are_refused(
    installation: Installation,
) -> None:
    with serving(installation) as daemon:
        taken = int(daemon.url.rpartition(":")[2])
        second = installation.refused()
        same_port = installation.refused(port=taken)
        assert daemon.run("jobs-work")["status"] == "SUCCEEDED"
    sql(installation.store, "UPDATE alembic_version SET version_num = '9999'")
    newer = installation.refused()

    assert second.code == newer.code == UNAVAILABLE
    assert f"is in use by another etl-runner (process {daemon.pid}); stop that one" in second.stderr
    assert "has schema 9999, which this release does not know" in newer.stderr
    assert "run the release that wrote it or a newer one" in newer.stderr
    assert same_port.code == MISTAKE
    assert f"cannot listen on 127.0.0.1 port {taken}: Address already in use; stop what" in same_port.stderr
    assert [len(each.lines) for each in (second, newer, same_port)] == [1, 1, 1]


# --- the address ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("host", "token", "says"),
    [
        ("0.0.0.0", "", "a token is needed: set ETL_RUNNER_API_TOKEN, or `api.access_keys` for"),
        ("192.0.2.1", "t", "cannot listen on 192.0.2.1 port 0: Cannot assign requested address; give --host"),
    ],
)
def test_an_address_that_cannot_be_served_is_refused(
    installation: Installation, host: str, token: str, says: str
) -> None:
    refusal = installation.refused("--host", host, ETL_RUNNER_API_TOKEN=token)

    assert (refusal.code, len(refusal.lines)) == (MISTAKE, 1)
    assert says in refusal.stderr
    assert not installation.store.exists()
