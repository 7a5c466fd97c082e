"""A disk that fills up while the service runs: work waits, health says so, nothing acknowledged is lost."""

import os
import resource
import subprocess
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import httpx
import psutil
import pytest

from tests.service.program import HTTP, Daemon, Installation, serving, until

Filling = Callable[[Daemon], Callable[[], None]]
"""Leave the daemon no room to write; gives what makes room again."""


@contextmanager
def small_disk(folder: Path) -> Iterator[None]:
    """A file system of 24 MiB, where we may mount one."""
    folder.mkdir(parents=True)
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=24m", "etl-runner-test", str(folder)],
        capture_output=True,
        check=False,
    )
    if mounted.returncode:
        pytest.skip("mounting a small file system needs root's rights; the file size limit is tested anyway")
    try:
        yield
    finally:
        subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(daemon: Daemon) -> Callable[[], None]:
    """Fill the disk of the store to the last byte."""
    ballast = daemon.at.store.with_name("ballast")
    with ballast.open("wb", buffering=0) as file, suppress(OSError):
        while file.write(b"x" * 4096):
            pass
    return ballast.unlink


def limit_files(daemon: Daemon) -> Callable[[], None]:
    """Let no file of the running process grow, as a quota would."""
    process = psutil.Process(daemon.pid)
    before = process.rlimit(resource.RLIMIT_FSIZE)
    process.rlimit(resource.RLIMIT_FSIZE, (4096, before[1]))
    return lambda: process.rlimit(resource.RLIMIT_FSIZE, before)


@pytest.mark.parametrize(("filling", "says"), [(fill, "full"), (limit_files, "disk I/O error")])
def test_work_waits_for_room_and_goes_on_by_itself(tmp_path: Path, filling: Filling, says: str) -> None:
    at = Installation(tmp_path / "installation")
    if filling is fill:
        with small_disk(at.store.parent):
            survive(at, filling, says)
    else:
        survive(at, filling, says)


def survive(at: Installation, filling: Filling, says: str) -> None:
    with serving(at) as daemon:
        before = daemon.run("jobs-work", {"n": 1})
        running = daemon.start("jobs-wait", {"gate": "gate"})
        until(at.began, "the task began")
        make_room = filling(daemon)
        answers: list[httpx.Response] = []
        asked = threading.Thread(target=lambda: answers.append(start(daemon)))
        asked.start()
        at.open_gate()  # its outcome has to wait too
        trouble = daemon.await_log("nothing can be committed")
        health = HTTP.get(f"{daemon.url}/healthz")
        still = daemon.show(before["executionArn"])
        answered_too_early = list(answers)
        make_room()
        asked.join()
        after = daemon.outcome(running)
        until(lambda: daemon.get("/healthz")["status"] == "ok", "health is well again")

        assert (health.status_code, health.json()["status"]) == (503, "unavailable")
        assert says in health.json()["engine"]["trouble"]
        assert says in trouble["error"]
        assert still == before  # what is committed can be read all the time
        assert answered_too_early == []  # nothing is acknowledged that is not on the disk
        assert answers[0].status_code == 201
        assert daemon.outcome(answers[0].json()["executionArn"])["status"] == "SUCCEEDED"
        assert after["output"] == {"done": True}
        assert [what for what, _ in at.began()] == ["began", "done"]
        assert len(daemon.find("nothing can be committed")) == 1
        daemon.kill()
    arns = (before["executionArn"], running, answers[0].json()["executionArn"])
    assert {at.status(arn) for arn in arns} == {"SUCCEEDED"}


def start(daemon: Daemon) -> httpx.Response:
    return HTTP.post(
        f"{daemon.url}/v1/executions", json={"workflow": "jobs-work", "name": "late"}, timeout=40
    )


def test_an_edit_made_while_the_disk_is_full_takes_effect_later(installation: Installation) -> None:
    if not hasattr(os, "pidfd_open"):
        pytest.skip("prlimit, which psutil asks, is Linux's")
    with serving(installation) as daemon:
        make_room = limit_files(daemon)
        installation.write(
            "workflows/jobs/extra.asl.json", '{"StartAt": "A", "States": {"A": {"Type": "Succeed"}}}'
        )
        daemon.await_log("the configuration is taken over once the store works")
        make_room()
        until(lambda: len(daemon.get("/v1/workflows")["workflows"]) == 3, "the workflow is there")

        assert daemon.run("jobs-extra")["status"] == "SUCCEEDED"
        assert len(daemon.find("the configuration is taken over once the store works")) == 1
