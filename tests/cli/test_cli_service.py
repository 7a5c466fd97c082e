"""The commands that ask a service, in this process, against a real one on a port."""

import json
import re
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from etl_runner.cli import app
from etl_runner.cli.exits import FAILED, FINE, INTERRUPTED, MISTAKE, TIMED_OUT, UNAVAILABLE
from etl_runner.demo.serving import QuietHandler, serving
from tests.api.stage import Stage, served
from tests.api.test_operations import writes
from tests.engine.harness import fail

pytestmark = pytest.mark.usefixtures("url")

EVENT = {"id": "e1", "source": "shop", "detail-type": "CustomerCreated", "detail": {"name": "Ada"}}


def cli(*arguments: str, given: str | bytes | None = None, **env: str) -> Result:
    return CliRunner().invoke(app, list(arguments), input=given, env=env)


def document(result: Result) -> Any:
    """Standard output, which must be one JSON document."""
    return json.loads(result.stdout)


def test_run_and_wait_shows_the_output_and_ends_with_0() -> None:
    result = cli("run", "greet", "--input", '{"name": "Ada"}', "--name", "one", "--wait")

    assert result.exit_code == FINE, result.output
    assert json.loads(result.stdout) == {"name": "Ada"}
    assert "greet/one succeeded in" in result.stderr


def test_run_takes_its_input_from_a_file_and_from_standard_input(tmp_path: Path, stage: Stage) -> None:
    file = tmp_path / "input.json"
    file.write_text('{"from": "file"}')
    cli("run", "greet", "--input", f"@{file}", "--name", "f")
    cli("run", "greet", "--input", "-", "--name", "s", given='{"from": "stdin"}')

    inputs = [stage.operations.get_execution(name)["input"]["from"] for name in ("f", "s")]
    assert inputs == ["file", "stdin"]


def test_run_with_json_gives_one_document_at_once_and_at_the_end() -> None:
    at_once = document(cli("run", "greet", "--json"))
    at_the_end = document(cli("run", "greet", "--json", "--wait"))

    assert set(at_once) == {"executionArn", "workflow", "name", "startedAt", "existed"}
    assert at_the_end["status"] == "SUCCEEDED"


def test_an_execution_that_fails_ends_with_1_and_says_where() -> None:
    plain, as_json = cli("run", "boom", "--wait", "--name", "b"), cli("run", "boom", "--wait", "--json")

    assert (plain.exit_code, as_json.exit_code) == (FAILED, FAILED)
    assert re.search(r"boom/b failed in Break after .* s: Broken: on purpose", plain.stderr)
    assert "etl-runner executions show boom/b" in plain.stderr
    assert document(as_json)["error"] == "Broken"


def test_waiting_too_long_ends_with_124_and_says_how_to_go_on() -> None:
    result = cli("run", "stuck", "--name", "one", "--wait", "--timeout", "0.1", "--json")

    assert result.exit_code == TIMED_OUT
    assert document(result)["status"] == "RUNNING"
    assert "etl-runner executions wait stuck/one" in result.stderr
    assert cli("executions", "wait", "one", "--timeout", "0").exit_code == TIMED_OUT


def test_ctrl_c_while_waiting_ends_with_130_and_says_how_to_go_on(monkeypatch: pytest.MonkeyPatch) -> None:
    def interrupted(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("etl_runner.cli.shown.watch", interrupted)
    result = cli("run", "stuck", "--name", "one", "--wait", "--json")

    assert result.exit_code == INTERRUPTED
    assert "the execution goes on" in result.stderr
    assert "etl-runner executions wait stuck/one" in result.stderr
    assert document(result)["error"]["type"] == "Interrupted"


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["run", "gret"], "there is no workflow 'gret'; did you mean greet?"),
        (["run", "greet", "--input", "{nope}"], "the input is no JSON: line 1, column 2"),
        (["run", "greet", "--input", "@/nowhere.json"], "/nowhere.json cannot be read: No such file"),
        (["run", "greet", "--input", f'"{"x" * 262_143}"'], "262,145 bytes as JSON, 262,144 are allowed"),
        (["run", "greet", "--name", "a b"], "the execution name 'a b'"),
        (["run", "greet", "--url", "ftp://x"], "'ftp://x' is no address of a service"),
        (["executions", "show", "nobody"], "there is no execution 'nobody'"),
        (["executions", "list", "--status", "DONE"], "there is no status 'DONE'"),
        (["executions", "list", "--after", "soon"], "--after is 'soon'"),
        (["executions", "stop", "nobody"], "there is no execution 'nobody'"),
        (["schedules", "fire", "nightli"], "did you mean nightly?"),
        (["events", "put", "[1"], "the event is no JSON"),
        (["events", "put", "5"], "event 1 was not taken"),
    ],
)
def test_a_users_mistake_ends_with_2_and_one_paragraph(arguments: list[str], says: str) -> None:
    result = cli(*arguments)

    assert (result.exit_code, result.stdout) == (MISTAKE, "")
    assert says in result.stderr
    assert "Traceback" not in result.output


def test_a_mistake_with_json_is_a_document_too() -> None:
    result = cli("run", "gret", "--json")

    assert result.exit_code == MISTAKE
    assert document(result)["error"]["type"] == "NotFound"


def test_a_service_that_is_not_there_ends_with_3_and_says_what_to_do() -> None:
    result = cli("workflows", "list", "--url", "http://127.0.0.1:1")

    assert result.exit_code == UNAVAILABLE
    assert "no etl-runner answers at http://127.0.0.1:1 (Connection refused)" in result.stderr
    assert "etl-runner serve" in result.stderr


class Stranger(QuietHandler):
    """An HTTP server that is no etl-runner."""

    def do_GET(self) -> None:  # noqa: N802 -- the base class's name
        self.answer(200, b"<html>welcome</html>")


def test_something_else_that_answers_ends_with_3() -> None:
    with serving(Stranger) as url:
        result = cli("workflows", "list", "--url", url)

    assert result.exit_code == UNAVAILABLE
    assert "is no etl-runner (HTTP 200)" in result.stderr


def test_debug_shows_the_traceback() -> None:
    assert "Traceback" in cli("run", "gret", "--debug").stderr


def test_executions_are_listed_shown_and_stopped(stage: Stage) -> None:
    stage.script.behaviours["Item"] = writes
    stage.ended("boom", {}, "b")
    stage.ended("spread", {"items": [1, 2]}, "m")
    stage.operations.start_execution("stuck", {}, "s")

    listed = cli("executions", "list", "--status", "FAILED").stdout
    failed = cli("executions", "show", "b").stdout
    mapped = cli("executions", "show", "spread/m").stdout
    as_json = document(cli("executions", "show", "spread/m", "--json", "--all"))
    history = cli("executions", "history", "b").stdout
    stopped = cli("executions", "stop", "s", "--cause", "enough")

    assert "boom/b" in listed
    assert "spread" not in listed
    assert re.search(r"Rest +Pass +not reached +the execution failed in Break", failed)
    assert re.search(r"Break +Fail +failed +Broken: on purpose", failed)
    assert "s3://b/k.csv" in mapped
    assert [each["versionId"] for each in as_json["written"]] == ["v1", "v1"]
    assert "ExecutionFailed Broken" in history
    assert "stuck/s is stopped after" in stopped.stdout


def test_a_retry_is_shown_with_its_time_and_its_error(stage: Stage) -> None:
    stage.script.behaviours["Flaky"] = fail("Busy", "try later")
    stage.operations.start_execution("flaky", {}, "one")
    while stage.operations.get_execution("one")["lastError"] is None:
        stage.operations.wait("one", 0.01)
    shown = cli("executions", "show", "one", TZ="UTC").stdout

    assert re.search(
        r"Flaky: +attempt 1 failed after Busy, next at 2\d{3}-\d\d-\d\d \d\d:\d\d:\d\d[+-]\d\d", shown
    )
    assert "last error: Busy in Flaky" in shown


@pytest.mark.parametrize("columns", [40, 80])
def test_tables_fit_the_terminal_and_lose_nothing(stage: Stage, columns: int) -> None:
    name = "a-name-that-is-as-long-as-names-may-be-" + "x" * 41
    stage.ended("greet", {}, name)
    for arguments in (["executions", "list"], ["executions", "show", name], ["schedules", "list"]):
        shown = cli(*arguments, COLUMNS=str(columns)).stdout

        assert max(len(line.rstrip()) for line in shown.splitlines()) <= columns, arguments
        if arguments[0] == "executions":
            assert shown.count("x") >= 41  # broken over lines, but all there


def test_workflows_schedules_and_events_are_shown_and_driven() -> None:
    assert "Says hello." in cli("workflows", "list").stdout
    assert cli("schedules", "pause", "nightly").stdout == (
        "nightly is paused; its ticks start nothing until etl-runner schedules resume nightly\n"
    )
    assert "paused" in cli("schedules", "next", "nightly", "-n", "1").stdout
    assert "nightly is on; its next tick: 2" in cli("schedules", "resume", "nightly").stdout
    assert "nightly fired" in cli("schedules", "fire", "nightly", "--fire-id", "x").stdout
    assert "started" in cli("schedules", "ticks").stdout
    assert "At 04:00" in cli("schedules", "list").stdout
    assert "customers started arn:" in cli("events", "put", json.dumps(EVENT)).stdout
    assert "no rule matches" in cli("events", "put", json.dumps(EVENT | {"source": "x", "id": "e2"})).stdout
    assert "customers" in cli("events", "list").stdout


def test_an_event_whose_rule_could_not_start_its_workflow_ends_with_1_and_says_why(stage: Stage) -> None:
    too_large = json.dumps(EVENT | {"detail": {"text": "x" * 262_144}})
    for again in (False, True):  # a second time starts nothing either, and says so again
        told = cli("events", "put", "-", given=too_large)
        as_json = cli("events", "put", "-", "--json", given=too_large)

        assert (told.exit_code, as_json.exit_code) == (FAILED, FAILED), again
        for result in (told, as_json):
            assert "event e1 was taken, but the rule customers could not start its workflow" in result.stderr
        assert "e1: customers failed the input has" in told.stdout
        (event,) = document(as_json)["events"]
        assert [match["outcome"] for match in event["matches"]] == ["failed"]
        assert "262,144" in event["matches"][0]["reason"]
    assert stage.operations.list_executions()["executions"] == []


def test_an_event_that_comes_a_second_time_ends_with_0() -> None:
    assert [cli("events", "put", json.dumps(EVENT)).exit_code for _ in range(2)] == [FINE, FINE]


JSON_COMMANDS = [
    ["workflows", "list"],
    ["executions", "list"],
    ["executions", "show", "one"],
    ["executions", "history", "one"],
    ["executions", "wait", "one"],
    ["executions", "stop", "two"],
    ["schedules", "list"],
    ["schedules", "next"],
    ["schedules", "ticks"],
    ["schedules", "pause", "nightly"],
    ["schedules", "resume", "nightly"],
    ["schedules", "fire", "nightly"],
    ["events", "put", json.dumps(EVENT)],
    ["events", "list"],
    ["run", "greet"],
]


@pytest.mark.parametrize("arguments", JSON_COMMANDS, ids=" ".join)
def test_json_is_one_document_and_nothing_else(stage: Stage, arguments: list[str]) -> None:
    stage.ended("greet", {}, "one")
    stage.operations.start_execution("stuck", {}, "two")
    result = cli(*arguments, "--json")

    assert result.exit_code == FINE, result.output
    assert isinstance(document(result), dict)


def test_a_token_is_sent_and_asked_for(stage: Stage) -> None:

    with served(stage, "s3cret") as url:
        refused = cli("workflows", "list", "--url", url)
        wrong = cli("workflows", "list", "--url", url, "--token", "guess")
        let_in = cli("workflows", "list", "--url", url, ETL_RUNNER_API_TOKEN="s3cret")

    assert refused.exit_code == MISTAKE
    assert "ETL_RUNNER_API_TOKEN" in refused.stderr
    assert wrong.exit_code == MISTAKE
    assert "the token given is not this service's" in wrong.stderr
    assert let_in.exit_code == FINE


def test_what_would_steer_a_terminal_is_not_printed(stage: Stage) -> None:
    stage.script.behaviours["Greet"] = fail("Evil", "\x1b]0;owned\x07\x1b[2J[red]x")
    stage.ended("greet", {}, "one")
    shown = cli("executions", "show", "one").stdout

    assert "\x1b" not in shown
    assert "[red]x" in shown
