"""A real process, killed again and again: nothing acknowledged is lost, nothing that ended runs again."""

import json
import os
import random
import subprocess
import sys
from collections import Counter
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from etl_runner.engine.dispatch import idempotency_key
from etl_runner.machine import facts as f
from etl_runner.machine.history_lint import lint
from etl_runner.machine.state import fold
from etl_runner.store.store import Store
from tests.engine.crash_program import EACH, MACHINES, POINTS, Folder

ROOT = Path(__file__).resolve().parents[2]
pytestmark = pytest.mark.crash


@dataclass(frozen=True)
class Life:
    """What a folder holds when all is done."""

    outputs: dict[str, Any]
    hand_outs: Counter[tuple[str, int]]
    """How many different (state, attempt) there were, counted by their keys."""


def launch(folder: Path, crash: str = "") -> "subprocess.Popen[bytes]":
    with (folder / "log").open("ab") as log:
        return subprocess.Popen(
            [sys.executable, "-m", "tests.engine.crash_program", str(folder)],
            cwd=ROOT,
            env={**os.environ, "ETL_CRASH_POINT": crash},
            stdout=log,
            stderr=log,
        )


def finish(folder: Path) -> None:
    """Run it to its end, undisturbed."""
    code = launch(folder).wait(60)
    assert code == 0, (folder / "log").read_text()[-3_000:]


def look(path: Path) -> Life:
    """Read what is left, and check the laws that hold whatever happened."""
    folder, store = Folder(path), Store(path / "store.db")
    with store.engine.connect() as connection:
        rows = connection.exec_driver_sql("SELECT id, arn, name, status, map_run_id FROM execution").all()
        ticks = connection.exec_driver_sql("SELECT schedule, due_ms, outcome FROM tick").all()
    outputs: dict[str, Any] = {}
    scheduled: dict[str, tuple[str, str, int]] = {}
    for execution_id, arn, name, status, map_run_id in rows:
        pages = store.pages(execution_id)
        assert lint(pages) == []
        machine = fold(pages)
        assert machine.status == status == "SUCCEEDED"
        if map_run_id is None:
            outputs[name] = machine.output
        for _, page in pages:
            for fact in page:
                if isinstance(fact, f.TaskScheduled):
                    scheduled[f"{execution_id}:{fact.token}"] = (
                        idempotency_key(arn, fact.token),
                        arn,
                        fact.token,
                    )
    store.close()

    assert folder.lines("faults") == []
    assert (
        sorted(outputs)
        == sorted(set(folder.lines("acks")))
        == sorted(f"{machine}-{number}" for machine in MACHINES for number in range(EACH))
    )
    assert sorted((schedule, due) for schedule, due, _ in ticks) == sorted(
        (machine, number) for machine in MACHINES for number in range(1, EACH, 2)
    )
    effects = [json.loads(line) for line in folder.lines("effects")]
    done = {token: (key, arn) for key, arn, _, _, token in effects}
    assert done.keys() == scheduled.keys(), "every task that was ever handed out has run, and no other"
    assert {token: (key, arn) for token, (key, arn, _) in scheduled.items()} == done
    assert len({key for key, *_ in effects}) == len(done), "one key for one token, in every life"
    hand_outs = Counter({key: (state, attempt) for key, _, state, attempt, _ in effects}.values())
    return Life(outputs=outputs, hand_outs=hand_outs)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Life:
    folder = tmp_path_factory.mktemp("undisturbed")
    finish(folder)
    return look(folder)


def test_an_undisturbed_run_does_each_task_once(undisturbed: Life) -> None:
    assert undisturbed.hand_outs["A", 1] == EACH
    assert undisturbed.hand_outs["Flaky", 3] == EACH
    assert undisturbed.hand_outs["H", 1] == EACH * 25
    assert undisturbed.outputs["distributed-1"] == list(range(25))


@pytest.mark.parametrize("point", POINTS)
def test_ending_at_a_point_again_and_again_changes_nothing(
    point: str, undisturbed: Life, tmp_path: Path
) -> None:
    for count in (1, 2, 5, 11):
        code = launch(tmp_path, f"{point}:{count}").wait(60)
        assert code == 9, (tmp_path / "log").read_text()[-3_000:]
    finish(tmp_path)

    assert look(tmp_path) == undisturbed


@pytest.mark.parametrize("seed", [1, 2])
def test_kills_at_any_moment_change_nothing(seed: int, undisturbed: Life, tmp_path: Path) -> None:
    rng = random.Random(seed)
    killed = 0
    for _ in range(5):
        process = launch(tmp_path)
        lives = len(Folder(tmp_path).lines("lives"))
        while len(Folder(tmp_path).lines("lives")) == lives and process.poll() is None:
            wait_for(process, 0.02)  # until the engine is open
        if wait_for(process, rng.uniform(0.0, 0.5)) is not None:
            break
        process.kill()
        killed += process.wait() != 0
    finish(tmp_path)

    assert killed
    assert look(tmp_path) == undisturbed


def wait_for(process: "subprocess.Popen[bytes]", seconds: float) -> int | None:
    try:
        return process.wait(seconds)
    except subprocess.TimeoutExpired:
        return None
