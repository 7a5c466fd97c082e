"""A real process killed in the midst of answers, fetches and Express starts: what it acknowledged holds."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from etl_runner.clock import SystemClock
from etl_runner.machine.state import Status
from etl_runner.store.tokens import TokenReads
from tests.engine.harness import World, never
from tests.engine.token_crash_program import ACTIVITY, EACH

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.crash

NEVER = 10**6


@pytest.mark.parametrize("commits", [7, 20, NEVER])
def test_what_was_acknowledged_before_the_end_holds_after_it(tmp_path: Path, commits: int) -> None:
    command = [sys.executable, "-m", "tests.engine.token_crash_program", str(tmp_path), str(commits)]
    code = subprocess.run(command, cwd=ROOT, env=dict(os.environ), check=False, timeout=60).returncode
    acks = [json.loads(line) for line in (tmp_path / "acks").read_text().splitlines()]
    told = {
        kind: {name: more for what, name, more in acks if what == kind}
        for kind in ("started", "answered", "fetched")
    }
    world = World(tmp_path, clock=SystemClock())
    world.script.default = never
    world.drive()
    rows = {row.name: row for row in world.rows()}

    assert code == 9
    assert rows.keys() >= {name for name in told["started"] if not name.startswith("express")}
    assert {rows[name].status for name in told["answered"]} <= {Status.SUCCEEDED}
    express = {arn for name, arn in told["started"].items() if name.startswith("express")}
    assert {each.execution_arn for each in world.script.of("A")} >= express
    polls = [world.engine.poll_activity(ACTIVITY) for _ in range(EACH)]
    world.drive()
    again = [task.task_token for poll in polls if poll.done() and (task := poll.result()) is not None]
    assert not set(again) & set(told["fetched"].values()), "a task that a worker has goes to no other"
    waiting = [row for run in rows.values() for row in TokenReads(world.store).of(run.id)]
    assert {row.state for row in waiting if row.activity_arn} <= {"started"}
    if commits == NEVER:
        assert len(express) == EACH
        assert len(told["answered"]) == len(again) + len(told["fetched"]) == EACH
    world.end()
