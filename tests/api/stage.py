"""One service in this process for the tests of the edges.

Store, engine, schedules and events are real; tasks do as the test says. `served` puts it on a port.
"""

import json
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import uvicorn

from etl_runner.api.http import create_app
from etl_runner.api.operations import Operations
from etl_runner.api.sfn.caller import Callers
from etl_runner.api.sfn.histories import Histories
from etl_runner.clock import SystemClock
from etl_runner.config.load import load_config
from etl_runner.engine.engine import Engine
from etl_runner.engine.launch import Launch
from etl_runner.engine.policy import Policy
from etl_runner.engine.state_machines import StateMachines
from etl_runner.engine.workflows import Workflows
from etl_runner.errors import Fault
from etl_runner.machine.limits import AWS, Limits
from etl_runner.schedule.due import tick_sample
from etl_runner.schedule.events import EventService, RuleSpec
from etl_runner.schedule.expressions import parse_expression
from etl_runner.schedule.patterns import compile_pattern
from etl_runner.schedule.service import ScheduleService, ScheduleSpec
from etl_runner.store.store import Store
from tests.engine.harness import FUNCTION, Script, chain, distributed, never

TASK = {"Type": "Task", "Resource": FUNCTION}
RETRY = [{"ErrorEquals": ["Busy"], "IntervalSeconds": 3600, "MaxAttempts": 5}]

WORKFLOWS: dict[str, Any] = {
    "greet": chain("Fetch", "Greet") | {"Comment": "Says hello."},
    "stuck": {"StartAt": "Stuck", "States": {"Stuck": {**TASK, "End": True}}},
    "flaky": {"StartAt": "Flaky", "States": {"Flaky": {**TASK, "Retry": RETRY, "End": True}}},
    "boom": {
        "StartAt": "First",
        "States": {
            "First": {
                "Type": "Choice",
                "Choices": [{"Variable": "$.well", "IsPresent": True, "Next": "Rest"}],
                "Default": "Break",
            },
            "Break": {"Type": "Fail", "Error": "Broken", "Cause": "on purpose"},
            "Rest": {"Type": "Pass", "End": True},
        },
    },
    "spread": distributed(),
}
SCHEDULES = """
schedules:
  - name: nightly
    expression: 0 4 * * *
    timezone: Europe/Berlin
    workflow: greet
    input: {day.$: $.tick.date}
  - {name: hourly, expression: rate(1 hour), workflow: stuck, enabled: false}
"""

RULES = """
rules:
  - {name: customers, pattern: {source: [shop]}, workflow: greet}
"""


def write_files(folder: Path) -> tuple[Path, Path]:
    """A folder of configuration and one of workflows."""
    config, workflows = folder / "config", folder / "workflows"
    for kind, text in (("schedules", SCHEDULES), ("rules", RULES)):
        (config / kind).mkdir(parents=True)
        (config / kind / "all.yaml").write_text(text)
    for name, definition in WORKFLOWS.items():
        (workflows / name).mkdir(parents=True)
        (workflows / name / "workflow.asl.json").write_text(json.dumps(definition))
    (workflows / "greet" / "functions.yaml").write_text("functions:\n  work: {handler: tasks.work}\n")
    (workflows / "greet" / "tasks.py").write_text("def work(event, context):\n    return event\n")
    return config, workflows


class Stage:
    """What Operations needs of a service."""

    def __init__(self, folder: Path, limits: Limits = AWS) -> None:
        self.limits = limits
        self.config_dir, self.workflows_dir = write_files(folder)
        self.clock = SystemClock()
        self.store = Store(folder / "store.db")
        self.script = Script()
        self.script.behaviours["Stuck"] = never
        self.router = self.script
        self.engine = Engine(
            store=self.store, invoker=self.script, clock=self.clock, policy=Policy(limits=limits)
        )
        self.config = load_config(
            self.config_dir,
            self.workflows_dir,
            check_expression=parse_expression,
            check_pattern=compile_pattern,
            check_resource=lambda _: None,
            tick_sample=tick_sample,
        )
        self.faults: tuple[Fault, ...] = ()
        workflows = Workflows(self.store, self.clock)
        workflows.apply((w.name, w.arn, w.text, w.yaml, w.file) for w in self.config.workflows.values())
        self.state_machines = StateMachines(
            self.store, workflows, self.clock, self.engine.definitions, limits=limits
        )
        self.histories = Histories(self.store, self.state_machines.parsed, limits=limits)
        self.launch = Launch(self.engine, workflows, self.state_machines, limits=limits)
        self.schedules = ScheduleService(self.store, self.launch, self.clock)
        self.events = EventService(self.store, self.launch, self.clock)
        self.engine.open()
        self._apply()
        self.operations = Operations(self)

    def _apply(self) -> None:
        self.schedules.apply(
            ScheduleSpec(
                name=each.name,
                expression=parse_expression(each.expression, each.timezone),
                workflow=each.workflow,
                template=each.template,
                enabled=each.enabled,
            )
            for each in self.config.schedules.values()
        )
        self.events.apply(
            RuleSpec(name=each.name, pattern=compile_pattern(each.pattern), workflow=each.workflow)
            for each in self.config.rules.values()
        )

    def ended(self, workflow: str, input_: Any = None, name: str | None = None) -> dict[str, Any]:
        """Start a workflow and wait for its end."""
        started = self.operations.start_execution(workflow, {} if input_ is None else input_, name)
        return self.operations.wait(started["executionArn"], 30)

    def close(self) -> None:
        """End everything."""
        self.engine.close(0)
        self.store.close()


@contextmanager
def served(stage: Stage, token: str | None = None, callers: Callers | None = None) -> Iterator[str]:
    """The stage behind a real HTTP server on a free port; gives its URL."""
    # With its protocol named, as the daemon does: asyncio turns Nagle's delay off by that alone.
    listener = socket.socket(socket.AF_INET, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.bind(("127.0.0.1", 0))
    listener.listen(128)
    app = create_app(stage.operations, api_token=token, callers=callers)
    server = uvicorn.Server(uvicorn.Config(app, log_config=None, access_log=False, ws="none", lifespan="off"))
    # The socket listens already: whoever connects before the server is up waits in its queue.
    thread = threading.Thread(target=server.run, kwargs={"sockets": [listener]}, name="served")
    thread.start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}"
    finally:
        server.should_exit = True
        server.force_exit = True
        thread.join(20)
        listener.close()
