"""A small, sound configuration on disk, for the tests to spoil."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from etl_runner.config.configuration import Config
from etl_runner.config.load import load_config
from etl_runner.errors import ConfigError
from etl_runner.schedule.due import tick_sample
from etl_runner.schedule.expressions import parse_expression
from etl_runner.schedule.patterns import compile_pattern

Write: TypeAlias = Callable[[str, str], Path]

ASL = """{
  "StartAt": "Fetch",
  "States": {
    "Fetch": {
      "Type": "Task",
      "Resource": "arn:aws:lambda:us-east-1:123456789012:function:daily-fetch",
      "End": true
    }
  }
}
"""
FUNCTIONS = """functions:
  daily-fetch:
    handler: tasks.fetch
    timeout_seconds: 60
    environment:
      MODE: fast
"""
TASKS = """def fetch(event, context):
    return event
"""
SCHEDULES = """schedules:
  - name: nightly
    expression: 0 4 * * *
    timezone: Europe/Berlin
    workflow: daily
    input:
      date.$: $.tick.date
    start: "2030-01-01T00:00:00"
"""
RULES = """rules:
  - name: on-upload
    pattern:
      source: [aws.s3]
      detail:
        bucket:
          name: [raw]
    workflow: daily
queues:
  - name: uploads
    queue_url: https://sqs.us-east-1.amazonaws.com/123456789012/uploads
"""


@pytest.fixture
def root(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with config/ and workflows/, which is the working directory too: places stay short."""
    monkeypatch.chdir(tmp_path)
    files = {
        "config/schedules/nightly.yaml": SCHEDULES,
        "config/rules/uploads.yaml": RULES,
        "workflows/daily/workflow.asl.json": ASL,
        "workflows/daily/functions.yaml": FUNCTIONS,
        "workflows/daily/tasks.py": TASKS,
    }
    for name, text in files.items():
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
    return tmp_path


@pytest.fixture
def write(root: Path) -> Write:
    """Writes one file of the configuration, by its path below the root."""

    def put(name: str, text: str) -> Path:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    return put


@pytest.fixture
def load(root: Path) -> Callable[[], Config]:
    """Loads the configuration with the real checks of expressions and patterns."""

    def check_resource(resource: str) -> str | None:
        return (
            None
            if resource.startswith(("arn:aws:states:::sns:", "arn:aws:states:::lambda:"))
            else f"nobody can do {resource}"
        )

    def run() -> Config:
        return load_config(
            Path("config"),
            Path("workflows"),
            check_expression=parse_expression,
            check_pattern=compile_pattern,
            check_resource=check_resource,
            tick_sample=tick_sample,
        )

    return run


@pytest.fixture
def faults(load: Callable[[], Config]) -> Callable[[], list[str]]:
    """Loads what must not be loadable and gives its faults as text."""

    def run() -> list[str]:
        with pytest.raises(ConfigError) as caught:
            load()
        return [str(fault) for fault in caught.value.faults]

    return run
