"""The commands that the demo proposes at its end."""

import shlex
from pathlib import Path

import pytest

from etl_runner.demo.program import DEFAULT_PORT, hints
from etl_runner.demo.progress import Watched

ARN = "arn:aws:states:us-east-1:123456789012:execution:daily_import:daily-import-20260131T040000Z"


def watched(arn: str) -> list[Watched]:
    return [Watched("daily_import", "schedule daily-import", arn=arn), Watched("other", "rule other")]


def test_the_execution_that_ran_is_named_as_show_takes_it() -> None:
    shown = [shlex.split(line) for line in hints(watched(ARN), DEFAULT_PORT, Path("log")) if " show " in line]

    name = "daily_import/daily-import-20260131T040000Z"
    assert shown == [[".venv/bin/etl-runner", "executions", "show", name]]


def test_an_execution_that_never_began_is_not_proposed() -> None:
    assert not [line for line in hints(watched(""), DEFAULT_PORT, Path("log")) if " show " in line]


@pytest.mark.parametrize("port", [DEFAULT_PORT, 9123])
def test_each_line_is_a_command_or_a_comment_of_a_shell(port: int) -> None:
    for line in hints(watched(ARN), port, Path("log")):
        words = shlex.split(line, comments=True)

        assert not words or words[0] in {".venv/bin/etl-runner", "tail"}
        if words[:1] == [".venv/bin/etl-runner"]:
            assert ("--url" in words) == (port != DEFAULT_PORT)
