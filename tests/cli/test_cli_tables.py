"""What people get to read of tables and causes: in one piece, without padding, without JSON in a sentence."""

import json

import pytest

from etl_runner.cli import output, shown
from etl_runner.cli.output import Column
from etl_runner.jsontypes import Json
from tests.api.stage import Stage
from tests.cli.test_cli_service import cli
from tests.engine.harness import fail

pytestmark = pytest.mark.usefixtures("url")

NAME = "nightly/2026-01-31T04:00:00Z-b355b60a7fc7"
COLUMNS = [Column("STATUS", wraps=False), Column("NAME"), Column("ERROR"), Column("WHY", prose=True)]


def table(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int, *rows: list[object]
) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    output.table(COLUMNS, rows, empty="none")
    return capsys.readouterr().out.splitlines()


@pytest.mark.parametrize("width", [73, 80, 120, 400])
def test_a_name_is_never_broken_where_it_fits_the_terminal(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], width: int
) -> None:
    lines = table(
        monkeypatch, capsys, width, ["FAILED", NAME, "Busy", "a reason of " + "many words " * 9], [1, 2, 3, 4]
    )

    assert any(NAME in line for line in lines)
    assert max(map(len, lines)) <= width


def test_a_table_whose_names_do_not_fit_side_by_side_becomes_blocks(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    long_error = "AnErrorWithANameThatIsAsLong.AsThatOfSomeLibrary"
    lines = table(monkeypatch, capsys, 80, ["FAILED", NAME, long_error, ""])

    assert lines == ["STATUS: FAILED", f"NAME:   {NAME}", f"ERROR:  {long_error}"]


def test_long_words_of_prose_are_broken_before_a_table_is_given_up(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = table(monkeypatch, capsys, 90, ["FAILED", NAME, "", "x" * 200])

    assert lines[0].split() == ["STATUS", "NAME", "WHY"]
    assert sum(line.count("x") for line in lines) == 200


def test_a_column_without_a_value_is_left_out(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    lines = table(monkeypatch, capsys, 80, ["OK", "a", None, ""], ["OK", "b", "", 0])

    assert lines == ["STATUS  NAME  WHY", "OK      a", "OK      b     0"]


def test_lines_have_no_blanks_at_their_ends(stage: Stage) -> None:
    stage.script.behaviours["Greet"] = fail("Broken", "a cause " * 30)
    stage.ended("greet", {"name": "Ada"}, "one")
    stage.ended("boom", {}, "two")

    for line in (["executions", "list"], ["executions", "show", "one"], ["workflows", "list"]):
        assert not [text for text in cli(*line).stdout.splitlines() if text != text.rstrip()], line


def of_function(message: str, frames: list[Json]) -> str:
    """A cause as AWS Lambda tells it."""
    return json.dumps({"errorMessage": message, "errorType": "ValueError", "stackTrace": frames})


def test_the_cause_of_a_function_is_told_as_its_sentence_and_its_innermost_frames(stage: Stage) -> None:
    frames: list[Json] = [f'  File "a.py", line {number}, in f\n    f()\n' for number in range(1, 9)]
    stage.script.behaviours["Greet"] = fail("ValueError", of_function("no such day", frames))
    told = cli("run", "greet", "--name", "one", "--wait").stderr
    lines = cli("executions", "show", "one").stdout.splitlines()

    assert "failed in Greet" in told
    assert "s: ValueError: no such day\n" in told
    assert "cause:     no such day" in lines
    assert "raised at: ... 3 more; --json has all" in lines
    assert '             File "a.py", line 8, in f' in lines
    assert not [line for line in lines if "line 3," in line]
    assert any(line.endswith("ValueError: no such day") for line in lines)


@pytest.mark.parametrize("cause", ["{not JSON", '{"Error": "x"}', "a sentence", ""])
def test_any_other_cause_is_told_as_it_is(cause: str) -> None:
    assert shown.message(cause) == cause


def test_an_execution_is_named_as_show_takes_it() -> None:
    arn = "arn:aws:states:us-east-1:123456789012:execution:daily/Each:42"

    assert shown.named(arn) == "daily/Each/42"
    assert shown.named(None) is None


def test_ticks_and_events_name_executions_as_show_takes_them(stage: Stage) -> None:
    cli("schedules", "fire", "nightly", "--fire-id", "x")
    cli(
        "events",
        "put",
        '{"id": "e", "source": "shop", "detail-type": "CustomerCreated", "detail": {"name": "A"}}',
    )

    ticks, events = cli("schedules", "ticks", "--json").stdout, cli("events", "list", "--json").stdout
    arns = [json.loads(ticks)["ticks"][0]["executionArn"], json.loads(events)["matches"][0]["executionArn"]]
    for arn, listed in zip(arns, (["schedules", "ticks"], ["events", "list"]), strict=True):
        name = shown.named(arn)
        assert name is not None
        assert name in cli(*listed).stdout
        assert cli("executions", "show", name).exit_code == 0


def test_the_name_of_a_workflow_in_place_of_an_execution_is_answered_with_where_its_runs_are() -> None:
    told = cli("executions", "show", "greet").stderr

    assert "it is a workflow; `etl-runner executions list --workflow greet` shows its runs" in told


def test_an_event_whose_detail_is_no_object_is_told_what_it_is() -> None:
    told = cli("events", "put", '{"source": "shop", "detail-type": "x", "detail": "text"}').stderr

    assert """the 'detail' of the event is "text"; it must be a JSON object""" in told
