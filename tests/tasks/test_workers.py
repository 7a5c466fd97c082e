import contextlib
import json
import os
import select
import signal
import subprocess
import sys
import textwrap
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES
from etl_runner.tasks import workers
from etl_runner.tasks.contract import Failed, Invocation, Succeeded
from etl_runner.tasks.handlers import CAUSE_LIMIT
from etl_runner.tasks.workers import WorkerPool
from tests.tasks.collector import HERE, Collector, invoke, spec

ROOT = HERE.parents[1]


@contextlib.contextmanager
def told_by(fifo: Path) -> Iterator[int]:
    """A FIFO whose other end a task keeps open: it ends when the task and its children are gone."""
    os.mkfifo(fifo)
    fd = os.open(fifo, os.O_RDONLY | os.O_NONBLOCK)
    try:
        yield fd
    finally:
        os.close(fd)


def read_line(fd: int) -> str:
    select.select([fd], [], [], 60)
    os.set_blocking(fd, True)
    return os.read(fd, 4096).decode().strip()


def ended(fd: int) -> bool:
    """Wait until nobody holds the other end; True unless it takes half a minute."""
    readable, _, _ = select.select([fd], [], [], 30)
    return bool(readable) and os.read(fd, 1) == b""


def test_a_task_gets_its_event_and_its_result_comes_back(pool: WorkerPool, sink: Collector) -> None:
    event = {"a": [1, 2.5, None, True, "ü"], "big": 2**80}
    pool.submit(spec("echo"), job := invoke(event), sink)

    assert sink.wait(job.token) == Succeeded(token=job.token, output=event)


def test_the_context_has_lambdas_fields_and_ours(pool: WorkerPool, sink: Collector) -> None:
    job = invoke(idempotency_key="again-and-again", attempt=3, deadline_ms=None)
    pool.submit(spec("whole_context", timeout_s=100, memory_mb=256), job, sink)

    given = sink.succeeded(job.token).output
    assert 90_000 < given.pop("remaining") <= 100_000
    given.pop("uuid")
    assert "/[$LATEST]worker-" in given.pop("log_stream_name")
    assert given == {
        "function_name": "whole_context",
        "function_version": "$LATEST",
        "invoked_function_arn": "arn:aws:lambda:us-east-1:123456789012:function:whole_context",
        "memory_limit_in_mb": "256",
        "log_group_name": "/aws/lambda/whole_context",
        "identity": None,
        "client_context": None,
        "idempotency_key": "again-and-again",
        "execution_arn": "arn:aws:states:us-east-1:123456789012:execution:m:e",
        "state_name": "State",
        "attempt": 3,
    }


def test_the_remaining_time_is_the_states_where_that_is_shorter(pool: WorkerPool, sink: Collector) -> None:
    job = invoke(deadline_ms=0)
    pool.submit(spec("whole_context", timeout_s=100), job, sink)

    assert sink.succeeded(job.token).output["remaining"] == 0


def test_a_states_error_has_the_name_that_it_carries(pool: WorkerPool, sink: Collector) -> None:
    pool.submit(spec("raise_states_error"), job := invoke("slow down"), sink)

    assert sink.failed(job.token).error == "S3.SlowDown"


def test_an_exception_becomes_its_class_name_and_lambdas_cause(pool: WorkerPool, sink: Collector) -> None:
    pool.submit(spec("fail"), job := invoke("it is broken"), sink)

    outcome = sink.failed(job.token)
    cause = json.loads(outcome.cause)
    assert outcome.error == "CustomException"
    assert list(cause) == ["errorMessage", "errorType", "requestId", "stackTrace"]
    assert (cause["errorMessage"], cause["errorType"]) == ("it is broken", "CustomException")
    assert len(cause["stackTrace"]) == 1
    assert cause["stackTrace"][0].startswith(f'  File "{HERE / "task_examples.py"}", line ')
    assert cause["stackTrace"][0].endswith("in fail\n    raise CustomException(event)\n")


def test_results_go_through_json_as_lambda_sends_them(pool: WorkerPool, sink: Collector) -> None:
    pool.submit(spec("odd_results"), job := invoke(), sink)

    assert sink.succeeded(job.token).output == {
        "tuple": [1, 2],
        "keys": {"1": "one"},
        "decimal": 1.5,
        "big": 2**80,
        "text": "ü\u2028",
        "float": 1.0,
    }


@pytest.mark.parametrize("what", ["datetime", "nan", "set", "loop", "surrogate", "bytes", "awkward"])
def test_what_json_cannot_say_is_a_marshal_error(pool: WorkerPool, sink: Collector, what: str) -> None:
    pool.submit(spec("unfit"), job := invoke(what), sink)

    outcome = sink.failed(job.token)
    assert outcome.error == "Runtime.MarshalError"
    assert json.loads(outcome.cause)["errorMessage"].startswith("Unable to marshal response: ")


def test_a_result_of_the_limit_passes_and_one_byte_more_does_not(pool: WorkerPool, sink: Collector) -> None:
    pool.submit(spec("sized"), fits := invoke(PAYLOAD_LIMIT_BYTES), sink)
    pool.submit(spec("sized"), too_big := invoke(PAYLOAD_LIMIT_BYTES + 1), sink)

    assert len(sink.succeeded(fits.token).output) == PAYLOAD_LIMIT_BYTES - 2
    assert sink.wait(too_big.token) == Failed(
        token=too_big.token,
        error="States.DataLimitExceeded",
        cause="The state/task 'arn:aws:lambda:us-east-1:123456789012:function:sized' returned a result "
        "with a size exceeding the maximum number of bytes service limit.",
    )


def test_a_large_event_reaches_the_worker_whole(pool: WorkerPool, sink: Collector) -> None:
    event = "x" * (PAYLOAD_LIMIT_BYTES - 2)
    pool.submit(spec("echo"), job := invoke(event), sink)

    assert sink.succeeded(job.token).output == event


@pytest.mark.parametrize(
    ("module", "name", "error", "message"),
    [
        ("no_such", "f", "Runtime.ImportModuleError", "Unable to import module 'no_such': No module named"),
        ("task_examples", "nobody", "Runtime.HandlerNotFound", "Handler 'nobody' missing on module"),
        ("task_examples", "log", "Runtime.HandlerNotFound", "Handler 'log' not callable in module"),
    ],
)
def test_a_handler_that_is_not_there_fails_as_on_lambda(
    pool: WorkerPool, sink: Collector, module: str, name: str, error: str, message: str
) -> None:
    pool.submit(spec("f", module=module, function=name), job := invoke(), sink)

    outcome = sink.failed(job.token)
    assert outcome.error == error
    assert json.loads(outcome.cause)["errorMessage"].startswith(message)


def test_printed_lines_logs_and_the_output_of_children_stream(pool: WorkerPool, sink: Collector) -> None:
    pool.submit(spec("say"), job := invoke("now"), sink)

    sink.succeeded(job.token)
    lines = sorted((line.stream, line.text) for line in sink.logs)
    # "and ü on" has no end of line, so the child's line is added to it, or comes before.
    assert [line for line in lines if "ü" not in line[1] and "child" not in line[1]] == [
        ("log", "INFO task_examples: to the log now"),
        ("stderr", "to stderr"),
        ("stdout", "to stdout"),
    ]
    assert "from a child" in "".join(text for _, text in lines)
    assert "and ü on" in "".join(text for _, text in lines)
    assert {line.token for line in sink.logs} == {job.token}


def test_progress_is_a_heartbeat_and_the_last_report_always_arrives(
    pool: WorkerPool, sink: Collector
) -> None:
    pool.submit(spec("report"), job := invoke(5_000), sink)

    sink.succeeded(job.token)
    assert (sink.reports[0].done, sink.reports[0].total, sink.reports[0].note) == (0, 5_000, "row 0")
    assert sink.reports[-1].done == 4_999
    assert len(sink.reports) < 1_000
    assert set(sink.heartbeats) == {job.token}


def test_progress_takes_any_number_and_nothing_else(pool: WorkerPool, sink: Collector) -> None:
    pool.submit(spec("report_oddly"), job := invoke(), sink)

    assert sink.failed(job.token).error == "ValueError"
    assert [(each.done, each.total, each.note) for each in sink.reports] == [(1.5, 2.0, "7")]


def test_a_cause_is_never_longer_than_aws_has_room_for(pool: WorkerPool, sink: Collector) -> None:
    pool.submit(spec("fail"), job := invoke("é" * 100_000), sink)

    cause = sink.failed(job.token).cause
    assert len(cause) <= CAUSE_LIMIT
    assert json.loads(cause)["errorMessage"].startswith("ééé")


def test_tasks_that_are_not_cancelled_end_once_whatever_is_cancelled_beside_them(
    pool: WorkerPool, sink: Collector
) -> None:
    jobs = [invoke(number) for number in range(60)]
    for job in jobs:
        pool.submit(spec("echo"), job, sink)
    for job in jobs[::4]:
        pool.cancel(job.token)
    kept = [job for job in jobs if job not in jobs[::4]]
    for job in kept:
        sink.succeeded(job.token)

    assert all(len(outcomes) == 1 for outcomes in sink.outcomes.values())
    assert {job.token for job in kept} <= set(sink.outcomes)


def test_receipts_travel_with_success_and_failure(pool: WorkerPool, sink: Collector) -> None:
    pool.submit(spec("write"), good := invoke(), sink)
    pool.submit(spec("fail"), bad := invoke("x"), sink)

    assert [receipt["VersionId"] for receipt in sink.succeeded(good.token).written] == ["1", "2"]
    assert sink.failed(bad.token).written == ({"Bucket": "b", "Key": "before the failure"},)


def test_receipts_of_a_tasks_own_threads_are_gathered_with_it(sink: Collector) -> None:
    pool = WorkerPool(1)
    for name in ("first", "second"):
        pool.submit(spec("write_from_threads"), job := invoke(name), sink)
        keys = {receipt["Key"] for receipt in sink.succeeded(job.token).written}
        assert keys == {f"{name}/{n}" for n in (*range(20), "own")}
    pool.close(5)


@pytest.mark.parametrize(
    ("name", "event", "says"),
    [
        ("leave", 7, "exit status 7"),
        ("leave", 0, "exit status 0"),
        ("crash", "SIGKILL", "signal: killed; the system may have run out of memory"),
        ("crash", "SIGSEGV", "signal: segmentation fault; a native library crashed"),
        ("leave_politely", 3, "sys.exit(3)"),
    ],
)
def test_a_task_that_ends_its_process_fails_and_the_next_is_served(
    pool: WorkerPool, sink: Collector, name: str, event: Any, says: str
) -> None:
    pool.submit(spec(name), bad := invoke(event), sink)
    pool.submit(spec("echo"), good := invoke("still here"), sink)

    outcome = sink.failed(bad.token)
    assert outcome.error == "Runtime.ExitError"
    assert says in json.loads(outcome.cause)["errorMessage"]
    assert sink.succeeded(good.token).output == "still here"


def test_a_timeout_kills_the_worker_with_all_that_it_started(
    pool: WorkerPool, sink: Collector, tmp_path: Path
) -> None:
    with told_by(tmp_path / "fifo") as fd:
        pool.submit(spec("hang", timeout_s=1), job := invoke(str(tmp_path / "fifo")), sink)

        outcome = sink.failed(job.token)
        read_line(fd)
        assert ended(fd)
    assert outcome.error == "Sandbox.Timedout"
    assert json.loads(outcome.cause)["errorMessage"].endswith("Error: Task timed out after 1.00 seconds")


def test_cancel_kills_the_running_task_and_nothing_is_told(
    pool: WorkerPool, sink: Collector, tmp_path: Path
) -> None:
    with told_by(tmp_path / "fifo") as fd:
        pool.submit(spec("hang"), job := invoke(str(tmp_path / "fifo")), sink)
        read_line(fd)
        pool.cancel(job.token)

        assert ended(fd)
    pool.submit(spec("echo"), good := invoke(1), sink)
    sink.succeeded(good.token)
    assert job.token not in sink.outcomes


def test_cancel_takes_a_waiting_task_off_the_queue(sink: Collector, tmp_path: Path) -> None:
    pool = WorkerPool(1)
    with told_by(tmp_path / "fifo") as fd:
        pool.submit(spec("hang"), running := invoke(str(tmp_path / "fifo")), sink)
        pool.submit(spec("echo"), waiting := invoke(1), sink)
        pool.submit(spec("echo"), behind := invoke(2), sink)
        read_line(fd)
        pool.cancel(waiting.token)
        pool.cancel(running.token)

        assert sink.succeeded(behind.token).output == 2
    pool.close(0)
    assert list(sink.outcomes) == [behind.token]


def test_a_worker_is_used_again(sink: Collector) -> None:
    pool = WorkerPool(1)
    jobs = [invoke() for _ in range(5)]
    for job in jobs:
        pool.submit(spec("who"), job, sink)

    assert len({sink.succeeded(job.token).output for job in jobs}) == 1
    pool.close(0)


def test_two_hundred_tasks_at_once_all_come_back(pool: WorkerPool, sink: Collector) -> None:
    def submit_all(part: list[Invocation]) -> None:
        for job in part:
            pool.submit(spec("echo"), job, sink)

    jobs = [invoke(number) for number in range(200)]
    threads = [threading.Thread(target=submit_all, args=[part]) for part in (jobs[:100], jobs[100:])]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert [sink.succeeded(job.token).output for job in jobs] == list(range(200))
    assert {len(outcomes) for outcomes in sink.outcomes.values()} == {1}


def test_the_environment_and_folder_are_put_back_after_each_task(sink: Collector) -> None:
    pool = WorkerPool(1, environment={**os.environ, "HOME": "/home-of-all"})
    pool.submit(spec("spoil", environment={"GIVEN": "to spoil"}), first := invoke(), sink)
    pool.submit(spec("here"), second := invoke(), sink)

    assert sink.succeeded(first.token).output == {
        "GIVEN": "to spoil", "LEFT": None, "HOME": "/home-of-all", "cwd": "/",
    }  # fmt: skip
    assert sink.succeeded(second.token).output == {
        "GIVEN": None, "LEFT": None, "HOME": "/home-of-all", "cwd": str(Path.cwd()),
    }  # fmt: skip
    pool.close(0)


def test_modules_of_one_name_in_two_folders_do_not_meet(sink: Collector, tmp_path: Path) -> None:
    pool = WorkerPool(1)
    jobs = []
    for folder in ("one", "two", "one"):
        (tmp_path / folder).mkdir(exist_ok=True)
        (tmp_path / folder / "same.py").write_text(f"def handler(event, context):\n    return {folder!r}\n")
        jobs.append(invoke())
        specification = spec("f", module="same", function="handler", search_path=str(tmp_path / folder))
        pool.submit(specification, jobs[-1], sink)

    assert [sink.succeeded(job.token).output for job in jobs] == ["one", "two", "one"]
    pool.close(0)


def test_renewed_workers_run_the_code_as_it_is_now(sink: Collector, tmp_path: Path) -> None:
    pool = WorkerPool(1)
    specification = spec("f", module="changing", function="handler", search_path=str(tmp_path))
    answers = []
    for answer in ("old", "a newer one"):
        (tmp_path / "changing.py").write_text(f"def handler(event, context):\n    return {answer!r}\n")
        pool.renew()
        pool.submit(specification, job := invoke(), sink)
        answers.append(sink.succeeded(job.token).output)

    assert answers == ["old", "a newer one"]
    pool.close(0)


@pytest.mark.parametrize("name", ["close_stdout", "silence"])
def test_a_task_that_closes_its_output_does_not_disturb_the_next(sink: Collector, name: str) -> None:
    pool = WorkerPool(1)
    pool.submit(spec(name), odd := invoke(), sink)
    pool.submit(spec("echo"), job := invoke(1), sink)

    sink.wait(odd.token)
    assert sink.succeeded(job.token).output == 1
    pool.close(0)


def test_rubbish_on_the_workers_line_costs_the_task_and_not_the_daemon(
    pool: WorkerPool, sink: Collector
) -> None:
    pool.submit(spec("garble"), bad := invoke(), sink)
    pool.submit(spec("echo"), good := invoke(1), sink)

    outcome = sink.failed(bad.token)
    assert outcome.error == "Runtime.ExitError"
    assert "wrote into the worker's own connection" in outcome.cause
    assert sink.succeeded(good.token).output == 1


def test_a_failing_sink_does_not_stop_the_pool(pool: WorkerPool, sink: Collector) -> None:
    class Broken:
        def outcome(self, outcome: Any) -> None:
            raise RuntimeError(outcome)

        heartbeat = log = progress = outcome

    pool.submit(spec("echo"), invoke(), Broken())
    pool.submit(spec("say"), invoke(), Broken())
    pool.submit(spec("echo"), job := invoke(1), sink)

    assert sink.succeeded(job.token).output == 1


def test_close_lets_running_tasks_finish_and_drops_the_rest(sink: Collector, tmp_path: Path) -> None:
    (tmp_path / "slow.py").write_text(
        "import os\n"
        "def handler(event, context):\n"
        "    print('begun')\n"
        "    with open(event) as fifo:\n"
        "        return fifo.read()\n"
    )
    os.mkfifo(tmp_path / "fifo")
    pool = WorkerPool(1)
    slow = spec("slow", module="slow", function="handler", search_path=str(tmp_path))
    pool.submit(slow, running := invoke(str(tmp_path / "fifo")), sink)
    pool.submit(spec("echo"), waiting := invoke(), sink)
    sink.wait_for_log()
    closing = threading.Thread(target=pool.close, args=[60])
    closing.start()
    (tmp_path / "fifo").write_text("done")
    closing.join()

    assert sink.succeeded(running.token).output == "done"
    assert waiting.token not in sink.outcomes


def test_close_without_grace_ends_running_tasks_without_an_outcome(sink: Collector, tmp_path: Path) -> None:
    pool = WorkerPool(1)
    with told_by(tmp_path / "fifo") as fd:
        pool.submit(spec("hang"), job := invoke(str(tmp_path / "fifo")), sink)
        worker = int(read_line(fd).split()[0])
        pool.close(0)

        assert ended(fd)
    assert not psutil.pid_exists(worker)
    assert sink.outcomes == {}
    pool.submit(spec("echo"), job, sink)
    pool.close(0)


def test_a_task_that_ignores_sigterm_is_killed_after_it(
    sink: Collector, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(workers, "TERM_GRACE_S", 0.1)
    pool = WorkerPool(1)
    with told_by(tmp_path / "fifo") as fd:
        pool.submit(spec("ignore_sigterm"), invoke(str(tmp_path / "fifo")), sink)
        read_line(fd)
        pool.close(0)

        assert ended(fd)
    assert sink.outcomes == {}


def test_a_machine_that_can_start_no_process_fails_the_tasks_and_not_the_pool(
    sink: Collector, monkeypatch: pytest.MonkeyPatch
) -> None:
    def no_more(_: Any) -> None:
        raise BlockingIOError("Resource temporarily unavailable")

    pool = WorkerPool(1)
    monkeypatch.setattr(workers, "WorkerProcess", no_more)
    refused = [invoke(), invoke()]
    for job in refused:
        pool.submit(spec("echo"), job, sink)
    errors = [sink.failed(job.token).error for job in refused]
    monkeypatch.undo()
    pool.submit(spec("echo"), job := invoke(1), sink)

    assert errors == ["Lambda.ServiceException"] * 2
    assert sink.succeeded(job.token).output == 1
    pool.close(0)


@pytest.mark.parametrize("name", ["hang", "hold_the_gil"])
def test_workers_end_when_the_daemon_is_killed(tmp_path: Path, name: str) -> None:
    daemon = textwrap.dedent(f"""
        import sys, time
        sys.path.insert(0, {str(ROOT)!r})
        from tests.tasks.collector import Collector, invoke, spec
        from etl_runner.tasks.workers import WorkerPool
        pool = WorkerPool(1)
        pool.submit(spec({name!r}), invoke({str(tmp_path / "fifo")!r}), Collector())
        time.sleep(600)
    """)
    with told_by(tmp_path / "fifo") as fd:
        process = subprocess.Popen([sys.executable, "-c", daemon], start_new_session=True)
        read_line(fd)
        process.send_signal(signal.SIGKILL)
        process.wait()

        assert ended(fd)


def test_check_says_what_is_wrong_with_a_handler_without_importing_it_here(
    pool: WorkerPool, tmp_path: Path
) -> None:
    (tmp_path / "checked.py").write_text("def handler(event, context):\n    pass\n")

    assert pool.check(spec("handler", module="checked", search_path=str(tmp_path))) is None
    assert pool.check(spec("nobody", module="checked", search_path=str(tmp_path))) == (
        "the function nobody (checked.nobody) cannot be used: Handler 'nobody' missing on module 'checked'"
    )
    assert "checked" not in sys.modules


def test_check_survives_a_module_that_ends_its_process(pool: WorkerPool, tmp_path: Path) -> None:
    (tmp_path / "rude.py").write_text("import os\nos._exit(9)\n")
    (tmp_path / "loud.py").write_text("raise RuntimeError('not\\ntoday')\n")

    rude = pool.check(spec("f", module="rude", search_path=str(tmp_path)))
    loud = pool.check(spec("f", module="loud", search_path=str(tmp_path)))
    assert rude is not None
    assert "exit status 9" in rude
    assert loud == "the function f (loud.f) cannot be used: importing loud raised RuntimeError: not today"
