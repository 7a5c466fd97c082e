"""The demo as its users start it: what it prints, how it ends, and that nothing outlives it."""

import io
import json
import os
import signal
import socket
import subprocess
import sys
import time
import uuid
from pathlib import Path
from typing import Any

import psutil
import pytest
from rich.console import Console

from etl_runner.demo.program import exit_code
from etl_runner.demo.progress import Display, Watched

ROOT = Path(__file__).resolve().parents[2]
PATIENCE_S = 100.0
MARK = "ETL_DEMO_TEST"


class Demo:
    """The demo as a process; whatever it starts inherits a variable by which it can be found again."""

    def __init__(self, folder: Path, *arguments: str) -> None:
        self.mark = uuid.uuid4().hex
        self.said = folder / "stderr"
        self.folder = folder
        with self.said.open("w") as stderr:
            self.process = subprocess.Popen(
                [sys.executable, "-m", "etl_runner.demo", *arguments],
                cwd=ROOT,
                env={**os.environ, MARK: self.mark, "TMPDIR": str(folder)},
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=stderr,
                text=True,
                start_new_session=True,  # a process group of its own, as a terminal gives it
            )

    def await_words(self, words: str) -> None:
        limit = time.monotonic() + PATIENCE_S
        while words not in self.said.read_text():
            assert self.process.poll() is None, self.said.read_text()
            assert time.monotonic() < limit, self.said.read_text()
            time.sleep(0.02)

    def end(self) -> tuple[int, str, str]:
        """Its exit code, standard output and standard error."""
        stdout, _ = self.process.communicate(timeout=PATIENCE_S)
        return self.process.returncode, stdout, self.said.read_text()

    def descendants(self) -> list[psutil.Process]:
        """Whatever lives of all that it has started, in whichever session and group."""
        return [each for each in psutil.process_iter() if marked(each, self.mark)]

    def nothing_left(self) -> bool:
        """Whether all of that is gone a few seconds later, and their folders too."""
        _, left = psutil.wait_procs(self.descendants(), timeout=20)
        return left == [] and [each.name for each in self.folder.iterdir()] == ["stderr"]


def marked(process: psutil.Process, mark: str) -> bool:
    try:
        return bool(process.environ().get(MARK) == mark)
    except psutil.Error:
        return False


@pytest.mark.slow
def test_once_with_json_gives_one_document_and_ends_with_0(tmp_path: Path) -> None:
    demo = Demo(tmp_path, "--once", "--json")
    code, stdout, stderr = demo.end()

    assert code == 0, stderr
    document = json.loads(stdout)
    assert stdout.count("\n") == 1
    assert list(document) == ["executions"]
    found = {each["workflow"]: each for each in document["executions"]}
    assert list(found) == ["daily_import", "subscriber_export", "ebs_snapshot_rotation"]
    for workflow, each in found.items():
        assert list(each) == ["workflow", "executionArn", "status", "durationSeconds", "outputs"]
        assert f":execution:{workflow}:" in each["executionArn"]
        assert each["status"] == "SUCCEEDED"
        assert each["durationSeconds"] > 0
    outputs = found["daily_import"]["outputs"] + found["subscriber_export"]["outputs"]
    assert len(found["daily_import"]["outputs"]) > 48
    assert found["subscriber_export"]["outputs"] != []
    assert all(list(each) == ["bucket", "key", "versionId", "bytes"] for each in outputs)
    assert all(each["versionId"] for each in outputs)
    assert "What ran" in stderr
    assert "Traceback" not in stderr
    assert demo.nothing_left()


@pytest.mark.slow
@pytest.mark.parametrize(
    ("number", "moment", "expected"),
    [
        (signal.SIGINT, "seeding", 130),
        (signal.SIGINT, "are due at", 130),
        (signal.SIGTERM, "are due at", 130),
        (signal.SIGKILL, "are due at", -signal.SIGKILL),
    ],
)
def test_however_it_is_ended_nothing_that_it_started_is_left(
    tmp_path: Path, number: signal.Signals, moment: str, expected: int
) -> None:
    demo = Demo(tmp_path, "--s3", "moto", "--json")
    demo.await_words(moment)
    assert len(demo.descendants()) > 2
    os.killpg(demo.process.pid, number)
    code, stdout, stderr = demo.end()

    assert (code, stdout) == (expected, "")
    assert "Traceback" not in stderr
    assert number is signal.SIGKILL or stderr.endswith("everything that was started has been ended\n")
    assert demo.nothing_left()


@pytest.mark.slow
def test_workflows_that_do_not_end_in_time_end_it_with_1(tmp_path: Path) -> None:
    code, stdout, stderr = Demo(tmp_path, "--s3", "moto", "--once", "--json", "--timeout", "0").end()

    assert code == 1, stderr
    statuses = {each["status"] for each in json.loads(stdout)["executions"]}
    assert "waiting" in statuses
    assert "not started" in stderr


def test_a_workflow_that_failed_ends_it_with_1() -> None:
    good = Watched(workflow="a", trigger="t", status="SUCCEEDED")

    assert exit_code([good]) == 0
    for status in ("FAILED", "TIMED_OUT", "ABORTED", "RUNNING", "waiting"):
        assert exit_code([good, Watched(workflow="b", trigger="t", status=status)]) == 1


def test_a_port_that_is_taken_is_refused_before_anything_is_started(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        code, stdout, stderr = Demo(tmp_path, "--port", str(port)).end()

    assert (code, stdout) == (2, "")
    assert stderr == (
        f"demo: port {port} of 127.0.0.1 cannot be had: something uses it, or this user may not; "
        "name another with --port, or none for a free one\n"
    )


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--port", "99999"), "'99999' is no port; it must be a number from 0 to 65535"),
        (("--timeout", "soon"), "'soon' is no number of seconds"),
        (("--s3", "minio"), "invalid choice: 'minio'"),
    ],
)
def test_a_mistake_on_the_command_line_ends_with_2(
    tmp_path: Path, arguments: tuple[str, ...], says: str
) -> None:
    code, stdout, stderr = Demo(tmp_path, *arguments).end()

    assert (code, stdout) == (2, "")
    assert says in stderr


# --- what it shows ----------------------------------------------------------------------------------------

ARN = "arn:aws:states:us-east-1:123456789012:execution"
LONG = "a-rule-name-ba1c6912-3c10-5957-84ce-6db897137068"
KEY = "refined/nyc-flights/dt=2026-11-23/part-00000-db9af7880433af29.ndjson.gz"


def watched() -> list[Watched]:
    outputs: list[dict[str, Any]] = [
        {
            "bucket": "etl-resources",
            "key": KEY,
            "versionId": "6715473efbc26715473efbc26715473e",
            "bytes": 10117,
        }
    ]
    return [
        Watched(
            "daily_import", "schedule x", "SUCCEEDED", f"{ARN}:daily_import:{LONG}", "", 3.64, "", outputs
        ),
        Watched(
            "ebs_snapshot_rotation", "rule y", "FAILED", f"{ARN}:ebs:{LONG}", "", 0.5, "Broken: [red]why"
        ),
        Watched("subscriber_export", "schedule z"),
    ]


def shown(width: int) -> str:
    display, text = Display(), io.StringIO()
    display.console = Console(file=text, width=width, highlight=False, color_system=None)
    display.result(watched())
    return text.getvalue()


@pytest.mark.parametrize("width", [80, 120])
def test_the_result_is_readable_at_any_width_and_loses_nothing(width: int) -> None:
    lines = shown(width).splitlines()
    table = lines[lines.index("What ran") + 1 : lines.index("", 2)]

    assert [line.split()[:2] for line in table[1:]] == [
        ["daily_import", "SUCCEEDED"],
        ["ebs_snapshot_rotation", "FAILED"],
        ["subscriber_export", "waiting"],
    ]
    assert max(len(line.rstrip()) for line in table) <= width
    assert f"daily_import/{LONG}" in lines
    assert f"  s3://etl-resources/{KEY}" in lines  # in one piece, to be copied
    assert "    VersionId 6715473efbc26715473efbc26715473e, 10,117 bytes" in lines
    assert "  Broken: [red]why" in lines
    assert "subscriber_export: not started" in lines


def test_a_wide_terminal_shows_the_executions_in_the_table_too() -> None:
    assert f"10,117  {LONG}" in shown(120)
    assert f"10,117  {LONG}" not in shown(80)
