"""The demo: everything on this machine, started, seeded, fired, watched, and ended again.

Embedded AWS and the fake services outside; inside, a real `etl-runner serve` that is spoken to over HTTP.
"""

import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, suppress
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Final, Literal

import httpx

from etl_runner.demo.demo_config import FIRED, write_rules, write_schedules
from etl_runner.demo.embedded_aws import embedded_aws
from etl_runner.demo.fake_sources import start_fake_sources
from etl_runner.demo.fake_zuora import start_fake_zuora
from etl_runner.demo.progress import Display, Watched, write_line
from etl_runner.demo.seed import DemoStart, demo_inputs, seed
from etl_runner.demo.service_process import free_port, serving
from etl_runner.errors import EtlRunnerError
from etl_runner.jsontypes import Json, dumps_text

DEFAULT_PORT: Final = 8083
LEAD_S: Final = 4.0
"""The schedules are due so many seconds after their file is written: time for the service to see it."""

POLL_S: Final = 0.25


@dataclass(frozen=True, slots=True, kw_only=True)
class Options:
    """What the command line said."""

    once: bool = False
    as_json: bool = False
    s3: Literal["seaweedfs", "moto", "auto"] = "auto"
    port: int | None = None
    timeout_s: float = 300.0


def run(options: Options) -> int:
    """Run the demo; 0 when every workflow succeeded, 1 otherwise.

    Raises EtlRunnerError when it cannot begin.
    """
    root = Path(__file__).resolve().parents[2]
    if not (root / "workflows").is_dir():
        raise EtlRunnerError(
            "the demo runs the workflows of a checkout: clone the repository, then `make demo`"
        )
    display = Display()
    port = free_port(options.port, DEFAULT_PORT)
    with ExitStack() as stack:
        folder = Path(stack.enter_context(_folder()))
        config_dir = folder / "config"
        display.say("starting an AWS on this machine (moto; S3: " + options.s3 + ")")
        aws = stack.enter_context(embedded_aws(options.s3))
        sources = stack.enter_context(start_fake_sources())
        zuora = stack.enter_context(start_fake_zuora())
        display.say("seeding buckets, volumes, snapshots, a topic")
        world = seed(aws)
        write_rules(root / "config", config_dir)
        display.say(f"starting etl-runner on http://127.0.0.1:{port}")
        client = stack.enter_context(
            serving(
                config_dir=config_dir,
                workflows=root / "workflows",
                store=folder / "etl-runner.db",
                log=folder / "service.log",
                port=port,
                environment={
                    **aws.environment(),
                    **world.environment(),
                    **sources.environment(),
                    **zuora.environment(),
                },
            )
        )
        watched = _fire(client, display, root / "config", config_dir, demo_inputs(world, _today()))
        _watch(client, display, watched, options.timeout_s)
        display.result(watched)
        if options.as_json:
            write_line(dumps_text({"executions": [_as_json(one) for one in watched]}))
        if not options.once:
            _stay(display, port, folder / "service.log", watched)
    return exit_code(watched)


def exit_code(watched: Sequence[Watched]) -> int:
    """0 when every workflow succeeded; 1 when one failed or has not ended in time."""
    return 0 if all(one.status == "SUCCEEDED" for one in watched) else 1


def _folder() -> tempfile.TemporaryDirectory[str]:
    # The service's guard removes what is in it, too.
    return tempfile.TemporaryDirectory(prefix="etl-runner-demo-", ignore_cleanup_errors=True)


def _today() -> date:
    return datetime.now(tz=UTC).date()


def _fire(
    client: httpx.Client, display: Display, shipped: Path, config_dir: Path, starts: Sequence[DemoStart]
) -> list[Watched]:
    """Let the triggers go: schedules by a file that the running service takes over, the event over HTTP."""
    due = write_schedules(shipped, config_dir, FIRED, LEAD_S)
    display.say(f"{' and '.join(FIRED)} are due at {due:%H:%M:%S} UTC")
    watched = []
    for start in starts:
        if start.event is None:
            watched.append(Watched(workflow=start.workflow, trigger=f"schedule {start.trigger}"))
            continue
        client.post("/v1/events", json={"events": [start.event]}).raise_for_status()
        display.say(f"put the event {start.event['detail-type']!r}")
        watched.append(Watched(workflow=start.workflow, trigger=f"rule {start.trigger}"))
    return watched


def _watch(client: httpx.Client, display: Display, watched: Sequence[Watched], timeout_s: float) -> None:
    """Follow the workflows until all have ended, or the time is up."""
    until = time.monotonic() + timeout_s
    try:
        while not all(one.ended for one in watched) and time.monotonic() < until:
            for one in watched:
                if not one.ended:
                    _look(client, one)
            display.watch(watched)
            time.sleep(POLL_S)
    finally:
        display.stop_watching()
    for one in watched:
        if one.arn:
            one.outputs = list(_outputs(client, one.arn))


def _look(client: httpx.Client, one: Watched) -> None:
    if not one.arn:
        found = _get(client, "/v1/executions", {"workflow": one.workflow, "limit": 1})["executions"]
        if not found:
            return
        one.arn = found[0]["executionArn"]
    shown = _get(client, f"/v1/executions/{one.arn}")
    one.status = shown["status"]
    one.seconds = shown["durationSeconds"]
    one.error = ": ".join(part for part in (shown["error"], shown["cause"]) if part)
    one.now = "" if one.ended else _present(shown)


def _present(shown: Json) -> str:
    """In a few words, what an execution is doing."""
    parts = [str(current.get("state", "")) for current in shown["current"][:3]]
    for run in shown["mapRuns"]:
        if run["status"] == "RUNNING":
            counts = run["counts"]
            parts.append(f"{counts.get('SUCCEEDED', 0)} of {run['started']} children done")
    return ", ".join(part for part in parts if part)


def _outputs(client: httpx.Client, arn: str) -> Iterator[dict[str, object]]:
    """Every object that an execution and its children wrote."""
    token: str | None = None
    while True:
        query = {"limit": 1000} | ({} if token is None else {"next": token})
        page = _get(client, f"/v1/executions/{arn}/written", query)
        for item in page["objects"]:
            yield {name: item[name] for name in ("bucket", "key", "versionId", "bytes")}
        token = page["next"]
        if token is None:
            return


def _get(client: httpx.Client, path: str, query: Mapping[str, object] | None = None) -> Json:
    answer = client.get(path, params=query)  # type: ignore[arg-type]
    if answer.is_error:
        raise EtlRunnerError(f"the service answered {answer.status_code} to {path}: {answer.text[:500]}")
    return answer.json()


def _as_json(one: Watched) -> Json:
    return {
        "workflow": one.workflow,
        "executionArn": one.arn or None,
        "status": one.status,
        "durationSeconds": one.seconds,
        "outputs": one.outputs,
    }


def hints(watched: Sequence[Watched], port: int, log: Path) -> list[str]:
    """Commands to try, each as it can be typed; comments are a shell's."""
    url = "" if port == DEFAULT_PORT else f" --url http://127.0.0.1:{port}"
    return [
        f".venv/bin/etl-runner executions list{url}",
        *(f".venv/bin/etl-runner executions show {one.title}{url}" for one in watched[:1] if one.arn),
        f".venv/bin/etl-runner schedules list{url}",
        "# The same day again: no object gets a new version.",
        f'.venv/bin/etl-runner run daily_import{url} --wait --input \'{{"date": "{_today()}"}}\'',
        f"tail -f {log}",
    ]


def _stay(display: Display, port: int, log: Path, watched: Sequence[Watched]) -> None:
    """Stay up until Ctrl-C, and say what can be tried."""
    display.console.print("\nThe service stays up until Ctrl-C. Try, in another terminal:")
    for line in hints(watched, port, log):
        display.console.print(f"  {line}", soft_wrap=True, markup=False)
    with suppress(KeyboardInterrupt):
        threading.Event().wait()
    display.say("ending the service and the AWS beside it")
