"""What the command line says and does without a service; some of it as a process of its own."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import typer
from typer.testing import CliRunner, Result

from etl_runner import errors
from etl_runner.cli import app, exits
from etl_runner.cli.app import COMMANDS
from etl_runner.cli.exits import FAILED, FINE, INTERNAL, INTERRUPTED, MEANINGS, MISTAKE, UNAVAILABLE
from etl_runner.errors import EtlRunnerError
from tests.api.stage import Stage, served, write_files

ROOT = Path(__file__).resolve().parents[2]
PROGRAM = [sys.executable, "-m", "etl_runner.cli"]


def cli(*arguments: str, **env: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=env)


def process(*arguments: str, given: str = "", **env: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [*PROGRAM, *arguments],
        input=given,
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
        env=os.environ | env,
        cwd=ROOT,
    )


# --- help ---------------------------------------------------------------------------------------------------


def command_lines() -> list[list[str]]:
    """Every command and group, found by walking the command line itself."""
    found: list[list[str]] = []
    for name in COMMANDS:
        group = typer.main.get_command(__import__(f"etl_runner.cli.{name}", fromlist=["app"]).app)
        found.append([name])
        found += [[name, inner] for inner in getattr(group, "commands", {})]
    return found


COMMAND_LINES = command_lines()
NEEDED = [
    "serve", "run", "lint", "executions list", "executions show", "executions history", "executions stop",
    "schedules list", "schedules next", "schedules pause", "schedules resume", "schedules fire", "events put",
    "workflows list",
]  # fmt: skip


def test_every_command_that_is_promised_is_there() -> None:
    assert set(NEEDED) - {" ".join(line) for line in COMMAND_LINES} == set()


@pytest.mark.parametrize("line", COMMAND_LINES, ids=" ".join)
def test_every_command_has_help(line: list[str]) -> None:
    result = cli(*line, "--help", COLUMNS="80")

    assert result.exit_code == FINE
    if "COMMAND" not in result.stdout:
        assert f"etl-runner {' '.join(line)}" in result.stdout.partition("Examples:")[2]
        assert "--json" in result.stdout
        assert "--debug" in result.stdout
        assert all(f"{code}  {meaning}" in result.stdout for code, meaning in MEANINGS.items())


def test_the_documents_name_no_option_that_does_not_exist() -> None:
    texts = [path.read_text() for path in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md")))]
    calls = {
        (command, option)
        for text in texts
        for command, rest in re.findall(r"(?:etl-runner |`)([a-z]+)\b([^`#\n]*)", text)
        if command in COMMANDS
        for option in re.findall(r"(?<!\S)--[a-z][a-z-]*", rest)
    }
    known = {
        (line[0], option)
        for line in COMMAND_LINES
        for option in re.findall(r"--[a-z][a-z-]*", cli(*line, "--help", COLUMNS="200").stdout)
    }

    assert calls
    assert calls - known == set()


@pytest.mark.parametrize("name", COMMANDS)
def test_the_root_says_of_a_command_what_it_says_itself(name: str) -> None:
    assert COMMANDS[name] in cli("--help", COLUMNS="100").stdout
    assert cli(name, "--help").exit_code == FINE


def test_the_root_shows_examples_and_exit_codes() -> None:
    shown = cli("--help").stdout

    assert "Examples:" in shown
    assert all(meaning in shown for meaning in MEANINGS.values())
    assert re.match(r"etl-runner \d", cli("--version").stdout)


def test_help_does_not_load_what_it_does_not_need() -> None:
    code = (
        "import sys; from typer.testing import CliRunner; from etl_runner.cli import app;"
        "assert CliRunner().invoke(app, ['--help']).exit_code == 0;"
        "print(sorted({'httpx', 'rich', 'boto3', 'sqlalchemy', 'pydantic', 'starlette'} & set(sys.modules)))"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)

    assert done.stdout.strip() == "[]"


def test_a_misspelt_command_is_answered_with_those_like_it() -> None:
    result = cli("exections")

    assert result.exit_code == MISTAKE
    assert "Did you mean 'executions'?" in result.stderr


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["executions", "list", "--limit", "0"], "--limit"),
        (["executions", "list", "--statuz", "FAILED"], "No such option: --statuz"),
        (["executions", "lst"], "Did you mean 'list'?"),
        (["run"], "WORKFLOW"),
        (["exections", "list"], "Did you mean 'executions'?"),
    ],
)
def test_an_option_that_does_not_exist_or_fit_is_a_document_with_json_too(
    arguments: list[str], says: str
) -> None:
    plain, as_json = cli(*arguments), cli(*arguments, "--json")

    assert (plain.exit_code, plain.stdout, as_json.exit_code) == (MISTAKE, "", MISTAKE)
    assert says in plain.stderr
    error = json.loads(as_json.stdout)["error"]
    assert error["type"] == "Usage"
    assert says in error["message"]


# --- exit codes ---------------------------------------------------------------------------------------------


def all_errors() -> list[type[EtlRunnerError]]:
    return [
        kind
        for module in (errors, exits)
        for kind in vars(module).values()
        if isinstance(kind, type) and issubclass(kind, EtlRunnerError) and not kind.__name__.startswith("_")
    ]


@pytest.mark.parametrize("kind", all_errors())
def test_every_error_has_an_exit_code_in_the_table(kind: type[EtlRunnerError]) -> None:
    assert exits.CODES[kind] in MEANINGS


def test_a_fault_of_our_own_ends_with_70_and_no_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken(*_: object, **__: object) -> None:
        raise ZeroDivisionError("oops")

    monkeypatch.setattr("etl_runner.cli.lint.lint_paths", broken)
    plain, debug = cli("lint", "x"), cli("lint", "x", "--debug")

    assert (plain.exit_code, debug.exit_code) == (INTERNAL, INTERNAL)
    assert "ZeroDivisionError: oops" in plain.stderr
    assert "Traceback" not in plain.output
    assert "Traceback" in debug.stderr


# --- lint ---------------------------------------------------------------------------------------------------


@pytest.fixture
def files(tmp_path: Path) -> tuple[Path, Path]:
    return write_files(tmp_path)


def test_files_without_fault_end_with_0(files: tuple[Path, Path]) -> None:
    config, workflows = files
    result = cli("lint", str(workflows), str(config))

    assert (result.exit_code, result.stdout) == (FINE, "")
    assert "0 errors, 0 warnings in" in result.stderr


def test_all_faults_are_told_with_their_places(files: tuple[Path, Path]) -> None:
    config, workflows = files
    definition = workflows / "greet" / "workflow.asl.json"
    definition.write_text('{"StartAt": "A",\n "States": {"A": {"Type": "Pas", "End": true}}}')
    (config / "schedules" / "all.yaml").write_text(
        "schedules:\n  - {name: x, expression: 61 * * * *, workflow: gret}\n"
    )
    result = cli("lint", str(workflows), str(config))

    assert result.exit_code == FAILED
    assert re.search(rf"^{definition}:2:\d+: .*Pas.*\[.+\]$", result.stdout, re.MULTILINE)
    assert re.search(r"all\.yaml:2:\d+: there is no workflow 'gret'", result.stdout)
    assert re.search(r"all\.yaml:2:\d+: .*61", result.stdout)


def test_lambda_invoke_is_known_and_its_other_forms_are_refused_by_name(files: tuple[Path, Path]) -> None:
    _, workflows = files
    task: dict[str, Any] = {
        "Type": "Task",
        "Resource": "arn:aws:states:::lambda:invoke",
        "Parameters": {"FunctionName": "work"},
        "End": True,
    }
    definition = workflows / "greet" / "workflow.asl.json"
    definition.write_text(json.dumps({"StartAt": "A", "States": {"A": task}}))
    known = cli("lint", str(workflows))
    task["Resource"] += ".sync"
    definition.write_text(json.dumps({"StartAt": "A", "States": {"A": task}}))
    other = cli("lint", str(workflows))

    assert (known.exit_code, known.stdout) == (FINE, "")
    assert "the form .sync of lambda:invoke does not exist" in other.stdout


def test_a_projects_folder_stands_for_its_workflows_and_its_configuration(
    files: tuple[Path, Path],
) -> None:
    config, workflows = files
    (config / "schedules" / "all.yaml").write_text(
        "schedules:\n  - {name: x, expression: nonsense, workflow: greet}\n"
    )
    result = cli("lint", str(config.parent))

    assert config.parent == workflows.parent
    assert result.exit_code == FAILED
    assert "nonsense" in result.stdout


def test_one_workflow_is_held_against_its_functions(files: tuple[Path, Path]) -> None:
    _, workflows = files
    (workflows / "greet" / "functions.yaml").write_text("functions:\n  other: {handler: tasks.work}\n")
    result = cli("lint", str(workflows / "greet"), "--json")
    found = json.loads(result.stdout)

    assert result.exit_code == FAILED
    assert {fault["code"] for fault in found["faults"]} >= {"unknown-resource"}
    assert all(fault["file"].startswith(str(workflows / "greet")) for fault in found["faults"])
    assert (found["errors"], found["warnings"]) == (len(found["faults"]), 0)


@pytest.mark.parametrize("suffix", ["json", "asl", "yaml", "yml"])
def test_a_single_definition_can_be_anywhere(tmp_path: Path, suffix: str) -> None:
    file = tmp_path / f"alone.{suffix}"
    file.write_text('{"StartAt": "B", "States": {"A": {"Type": "Pass", "End": true}}}')
    result = cli("lint", str(file))

    assert result.exit_code == FAILED
    assert f"{file}:1:" in result.stdout


def test_a_single_file_of_the_configuration_is_held_against_the_rest(files: tuple[Path, Path]) -> None:
    rules = files[0] / "rules" / "all.yaml"
    rules.write_text("rules:\n  - {name: r, pattern: {source: shop}, workflow: greet}\n")
    result = cli("lint", str(rules))

    assert result.exit_code == FAILED
    assert f"{rules}:2:" in result.stdout


@pytest.mark.parametrize("path", ["nowhere", "."])
def test_a_path_with_nothing_to_look_at_is_a_mistake(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    monkeypatch.chdir(tmp_path)

    assert cli("lint", path).exit_code == MISTAKE


@pytest.mark.parametrize("name", ["tasks.py", "README", "table.csv"])
def test_a_file_that_is_no_definition_is_a_mistake_and_told_what_lint_takes(
    tmp_path: Path, name: str
) -> None:
    file = tmp_path / name
    file.write_text("def work(event, context):\n    return event\n")
    result = cli("lint", str(file))

    assert result.exit_code == MISTAKE
    assert f"{file} is no definition: that is a file *.json," in " ".join(result.stderr.split())
    assert "functions.yaml" in result.stderr
    assert result.stdout == ""


def test_the_projects_own_files_are_without_fault() -> None:
    result = cli("lint", str(ROOT / "workflows"), str(ROOT / "config"))

    assert result.exit_code == FINE, result.output


# --- schedules next -----------------------------------------------------------------------------------------


def test_ticks_to_come_are_worked_out_without_a_service(files: tuple[Path, Path]) -> None:
    config, workflows = map(str, files)
    result = cli("schedules", "next", "--config", config, "--workflows", workflows, "--count", "3", "--json")
    ticks = json.loads(result.stdout)["ticks"]

    assert [each["schedule"] for each in ticks] == ["nightly"] * 3
    shown = cli(
        "schedules", "next", "nightly", "--config", config, "--workflows", workflows, "-n", "2"
    ).stdout
    assert len(re.findall(r"nightly +\d{4}-\d\d-\d\d \d\d:00:00[+-]\d\d:\d\d", shown)) == 2


def test_an_unknown_schedule_or_a_bad_configuration_is_a_mistake(files: tuple[Path, Path]) -> None:
    config, workflows = map(str, files)
    unknown = cli("schedules", "next", "x", "--config", config, "--workflows", workflows)
    missing = cli("schedules", "next", "--config", f"{config}/none", "--workflows", workflows)

    assert (unknown.exit_code, missing.exit_code) == (MISTAKE, MISTAKE)
    assert "there are: hourly, nightly" in unknown.stderr
    assert "there is no folder" in missing.stderr


# --- as a process -------------------------------------------------------------------------------------------


@pytest.fixture
def url(tmp_path: Path) -> Iterator[str]:
    stage = Stage(tmp_path)
    with served(stage) as url:
        yield url
    stage.close()


def test_a_process_ends_with_the_documented_codes_and_pure_json(url: str, tmp_path: Path) -> None:
    large = tmp_path / "large.json"
    large.write_text(json.dumps("x" * 300_000))
    good = process("run", "greet", "--wait", "--json", ETL_RUNNER_URL=url)
    failed = process("run", "boom", "--wait", "--json", ETL_RUNNER_URL=url)
    results = [
        process("run", "gret", ETL_RUNNER_URL=url),
        process("run", "greet", "--input", "{", ETL_RUNNER_URL=url),
        process("run", "greet", "--input", f"@{large}", ETL_RUNNER_URL=url),
        process("run", "greet", "--input", "-", given="nonsense", ETL_RUNNER_URL=url),
        process("run", "greet", "--url", "http://127.0.0.1:1"),
    ]

    assert (good.returncode, json.loads(good.stdout)["status"]) == (FINE, "SUCCEEDED")
    assert (failed.returncode, json.loads(failed.stdout)["status"]) == (FAILED, "FAILED")
    assert [each.returncode for each in results] == [MISTAKE, MISTAKE, MISTAKE, MISTAKE, UNAVAILABLE]
    assert all(each.stdout == "" and "Traceback" not in each.stderr for each in results)
    assert all(each.stderr.strip().startswith("error: ") for each in results)
    assert all(len(each.stderr.strip().splitlines()) == 1 for each in results)


def test_a_real_ctrl_c_ends_with_130_and_the_execution_goes_on(url: str) -> None:
    command = [*PROGRAM, "run", "stuck", "--name", "one", "--wait", "--url", url]
    running = subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.PIPE, text=True, cwd=ROOT)
    assert running.stderr is not None
    assert "stuck/one started" in running.stderr.readline()
    assert "Stuck: working" in running.stderr.readline()
    running.send_signal(signal.SIGINT)
    out, err = running.communicate(timeout=30)

    assert (running.returncode, out) == (INTERRUPTED, "")
    assert "etl-runner executions wait stuck/one" in err
    assert "Traceback" not in err
    shown: Any = json.loads(process("executions", "show", "one", "--json", "--url", url).stdout)
    assert shown["status"] == "RUNNING"


def test_help_as_a_process_is_quick() -> None:
    begun = time.perf_counter()
    done = process("--help")
    spent = time.perf_counter() - begun

    assert done.returncode == FINE
    assert spent < 3  # 0.12 s on an idle machine; others may be at work on this one


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_serve_answers_and_drains_on_a_signal(tmp_path: Path, number: signal.Signals) -> None:
    config, workflows = write_files(tmp_path)
    (workflows / "spread" / "workflow.asl.json").unlink()
    where = ["--config", str(config), "--workflows", str(workflows), "--store", str(tmp_path / "s.db")]
    running = subprocess.Popen(
        [*PROGRAM, "serve", "--port", "0", "--json", *where], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert running.stderr is not None
    try:
        lines = iter(running.stderr.readline, "")
        ready = next(line for line in map(json.loads, lines) if line.get("event") == "ready")
        done = process("run", "greet", "--input", '{"n": 1}', "--wait", "--json", "--url", ready["url"])
        second = process("serve", "--port", "0", *where)
    finally:
        running.send_signal(number)
        _, rest = running.communicate(timeout=60)

    assert json.loads(done.stdout)["output"] == {"n": 1}
    assert second.returncode == UNAVAILABLE
    assert "in use by another etl-runner" in second.stderr
    assert running.returncode == FINE
    assert "what was not finished goes on at the next start" in rest
    assert "Traceback" not in rest


def test_serve_refuses_what_it_cannot_use(tmp_path: Path) -> None:
    config, workflows = write_files(tmp_path)
    where = ["--config", str(config), "--workflows", str(workflows), "--store", str(tmp_path / "s.db")]
    open_door = process("serve", "--host", "0.0.0.0", *where)
    (config / "rules" / "all.yaml").write_text("rules: [{nam: x}]")
    bad_file = process("serve", *where, "--port", "0")

    assert (open_door.returncode, bad_file.returncode) == (MISTAKE, MISTAKE)
    assert "a token is needed" in open_door.stderr
    assert "all.yaml:1:" in bad_file.stderr
    assert "Traceback" not in open_door.stderr + bad_file.stderr
