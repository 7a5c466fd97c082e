"""The life of the service as an operator sees it: start, drain, kill, restart, reload, settings, logs."""

import json
import signal
import subprocess
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import psutil
import pytest

from tests.service.program import HTTP, PATIENCE_S, PROGRAM, Daemon, Installation, serving, until

PASS = {"StartAt": "A", "States": {"A": {"Type": "Pass", "End": True}}}


def begin_waiting(daemon: Daemon, gate: str = "gate") -> str:
    """Start an execution whose task waits for the gate; gives its ARN once the task runs."""
    arn = daemon.start("jobs-wait", {"gate": gate})
    until(lambda: daemon.at.began(gate), "the task began")
    return arn


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Daemon]:
    """One service for the tests that leave it as it was."""
    with serving(Installation(tmp_path_factory.mktemp("service") / "installation")) as daemon:
        yield daemon


# --- the end ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_signal_lets_a_running_task_finish_and_commits_it(
    installation: Installation, number: signal.Signals
) -> None:
    with serving(installation) as daemon:
        arn = begin_waiting(daemon)
        daemon.note_children()
        if number is signal.SIGINT:
            daemon.interrupt()
        else:
            daemon.signal(number)
        daemon.await_log("draining")
        installation.open_gate()

        assert daemon.code() == 0
    assert installation.status(arn) == "SUCCEEDED"
    assert [what for what, _ in installation.began()] == ["began", "done"]


def test_a_task_that_does_not_finish_in_time_is_parked_and_handed_out_again_with_its_key(
    installation: Installation,
) -> None:
    with serving(installation, env={"ETL_RUNNER_GRACE_SECONDS": "0.1"}) as daemon:
        arn = begin_waiting(daemon)
        assert daemon.stop() == 0
    installation.open_gate()
    with serving(installation) as daemon:
        assert daemon.outcome(arn)["output"] == {"done": True}
        assert daemon.find("handed out again what was open")[0]["tasks"] == 1
    noted = installation.began()
    assert [what for what, _ in noted] == ["began", "began", "done"]
    assert len({key for _, key in noted}) == 1


def test_a_second_ctrl_c_ends_at_once_and_loses_nothing_that_was_committed(
    installation: Installation,
) -> None:
    with serving(installation) as daemon:
        done = daemon.run("jobs-work")
        arn = begin_waiting(daemon)
        daemon.note_children()
        daemon.interrupt()
        daemon.await_log("draining")
        daemon.interrupt()

        assert daemon.code() == 128 + signal.SIGINT
        assert daemon.find("ended at once")
    assert [installation.status(each) for each in (done["executionArn"], arn)] == ["SUCCEEDED", "RUNNING"]


def test_kill_9_loses_nothing_and_the_port_and_the_store_are_free_at_once(installation: Installation) -> None:
    with serving(installation) as daemon:
        port = int(daemon.url.rpartition(":")[2])
        arn = begin_waiting(daemon)
        daemon.kill()
    installation.open_gate()
    with serving(installation, port=port) as daemon:
        assert daemon.outcome(arn)["status"] == "SUCCEEDED"
    assert len({key for _, key in installation.began()}) == 1


def test_whoever_waits_for_an_execution_is_answered_when_the_service_stops(
    installation: Installation,
) -> None:
    with serving(installation) as daemon:
        arn = begin_waiting(daemon)
        waiting = subprocess.Popen(
            [*PROGRAM, "executions", "wait", arn, "--url", daemon.url],
            env=installation.environment({}),
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        until(lambda: connections_of(daemon) > 0, "the command line waits")
        installation.open_gate()
        assert daemon.stop() == 0
        said, _ = waiting.communicate(timeout=PATIENCE_S)

    assert waiting.returncode in {0, 3}, said
    assert "Traceback" not in said
    assert daemon.find("draining")


def connections_of(daemon: Daemon) -> int:
    established = [c for c in psutil.Process(daemon.pid).net_connections() if c.status == "ESTABLISHED"]
    return len(established)


def test_a_worker_that_was_killed_leaves_no_zombie(shared: Daemon) -> None:
    arn = begin_waiting(shared, "killed")
    for worker in shared.workers():
        worker.kill()
    shown = shared.outcome(arn)

    assert shown["error"] == "Runtime.ExitError"
    assert [each for each in shared.workers() if each.status() == psutil.STATUS_ZOMBIE] == []
    assert shared.run("jobs-work")["status"] == "SUCCEEDED"


# --- what is seen -----------------------------------------------------------------------------------------


def test_the_log_and_the_progress_of_a_running_task_are_there_while_it_runs(shared: Daemon) -> None:
    arn = begin_waiting(shared, "seen")
    line = until(lambda: [each for each in shared.lines() if each.get("execution") == arn], "its line")[0]
    until(lambda: shared.show(arn)["progress"], "its progress")
    shown = json.loads(shared.cli("executions", "show", arn, "--json").stdout)["progress"]
    shared.at.open_gate("seen")

    assert shown == [{"state": "Only", "done": 3, "total": 10, "note": "rows"}]
    assert list(line)[:4] == ["timestamp", "level", "logger", "event"]
    assert {name: line[name] for name in ("execution", "state", "event", "stream", "logger")} == {
        "execution": arn,
        "state": "Only",
        "event": "a line of the task",
        "stream": "stdout",
        "logger": "task",
    }
    assert line["token"].count(":") == 1


def test_nobody_who_has_not_the_token_gets_in_and_the_log_does_not_tell_it(
    installation: Installation,
) -> None:
    token = "open-sesame-8f2c"
    given = {"ETL_RUNNER_API_TOKEN": token}
    with serving(installation, "--host", "0.0.0.0", env=given) as daemon:
        daemon.url = daemon.url.replace("0.0.0.0", "127.0.0.1")
        path = f"{daemon.url}/v1/workflows"
        without = HTTP.get(path)
        wrong = HTTP.get(path, headers={"Authorization": "Bearer guess"})
        right = daemon.cli("run", "jobs-work", "--wait", env=given)
        health = HTTP.get(f"{daemon.url}/healthz")

    assert (without.status_code, wrong.status_code, right.code) == (401, 401, 0)
    assert json.loads(right.stdout)["theirs"] == []  # the task has no variable of the service's
    assert health.json() == {"status": "ok"}
    assert token not in daemon.text() + without.text + wrong.text


# --- files that are edited --------------------------------------------------------------------------------


def test_an_edited_schedule_takes_effect(shared: Daemon) -> None:
    due = datetime.now(tz=UTC) + timedelta(seconds=1.2)
    schedule: dict[str, Any] = {
        "name": "once",
        "expression": "at(2099-01-01T00:00:00)",
        "workflow": "jobs-work",
        "input": {"at.$": "$.tick.date"},
    }
    shared.at.write("config/schedules/all.yaml", {"schedules": [schedule]})
    until(lambda: shared.get("/v1/schedules")["schedules"], "the schedule is there")
    schedule["expression"] = f"at({due:%Y-%m-%dT%H:%M:%S})"
    shared.at.write("config/schedules/all.yaml", {"schedules": [schedule]})
    ticks = until(lambda: shared.get("/v1/ticks")["ticks"], "it fired")
    shown = shared.outcome(ticks[0]["executionArn"])

    assert shown["output"]["given"] == {"at": f"{due:%Y-%m-%d}"}
    assert [line["change"] for line in shared.find("configuration") if "schedule" in line["change"]] != []


def test_edited_code_runs_from_the_next_call_on_and_a_running_task_is_left_alone(shared: Daemon) -> None:
    arn = begin_waiting(shared, "edited")
    first, changes = shared.run("jobs-work"), len(shared.find("configuration"))
    code = (shared.at.workflows / "jobs" / "tasks.py").read_text()
    shared.at.write("workflows/jobs/tasks.py", code.replace('"version": 1', '"version": 2'))
    until(lambda: len(shared.find("configuration")) > changes, "the code is taken over")
    second = shared.run("jobs-work")
    shared.at.open_gate("edited")

    assert (first["output"]["version"], second["output"]["version"]) == (1, 2)
    assert shared.outcome(arn)["status"] == "SUCCEEDED"
    assert [what for what, _ in shared.at.began("edited")] == ["began", "done"]


# --- settings ---------------------------------------------------------------------------------------------


def test_an_option_wins_over_a_variable_and_that_over_the_file(installation: Installation) -> None:
    named = {name: str(installation.folder / name / "s.db") for name in ("file", "variable")}
    for name in ("work", "wait"):  # functions are bound in the account and region of the settings
        installation.write(f"workflows/jobs/{name}.asl.json", PASS)
    installation.settings(store=named["file"], region="eu-west-1", account="111111111111", reload_seconds=9)
    given = {"ETL_RUNNER_STORE": named["variable"], "ETL_RUNNER_ACCOUNT": "222222222222"}
    with serving(installation, env=given) as daemon:
        ready = daemon.find("ready")[0]
        (arn, *_) = [each["stateMachineArn"] for each in daemon.get("/v1/workflows")["workflows"]]

    assert ready["store"] == str(installation.store)  # --store
    assert arn == "arn:aws:states:eu-west-1:222222222222:stateMachine:jobs-wait"
    assert not Path(named["file"]).exists()
    assert not Path(named["variable"]).exists()


def test_port_0_takes_a_free_port_and_says_which(shared: Daemon) -> None:
    assert HTTP.get(f"{shared.url}/healthz").status_code == 200
    assert int(shared.url.rpartition(":")[2]) > 1024


def test_a_misspelt_variable_is_refused_by_name(installation: Installation) -> None:
    refusal = installation.refused(ETL_RUNNER_STROE="x.db")

    assert (refusal.code, len(refusal.lines)) == (2, 1)
    assert "the variable ETL_RUNNER_STROE is no setting; did you mean 'ETL_RUNNER_STORE'" in refusal.stderr
