"""A stage behind HTTP, and a boto3 client of Step Functions to it."""

import itertools
import json
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

from etl_runner.machine.limits import AWS, Limits
from tests.api.stage import Stage, served

ROLE = "arn:aws:iam::123456789012:role/any"
REGION = "us-east-1"
ACCOUNT = "123456789012"
PATIENCE_S = 30


class Served:
    """One service with its client; every state machine that it makes has a name of its own."""

    def __init__(self, stage: Stage, url: str) -> None:
        self.stage = stage
        self.url = url
        self.sfn = self.client()
        self._numbers = itertools.count()

    def client(self, account: str = ACCOUNT) -> Any:
        """A client that calls for an account."""
        config = Config(inject_host_prefix=False, retries={"total_max_attempts": 2}, read_timeout=70)
        return boto3.session.Session().client(
            "stepfunctions",
            region_name=REGION,
            endpoint_url=self.url,
            aws_access_key_id=account,
            aws_secret_access_key="secret",
            config=config,
        )

    def machine(self, definition: Any, **fields: Any) -> str:
        """Make a state machine; gives its ARN."""
        name = f"machine-{next(self._numbers)}"
        made = self.sfn.create_state_machine(
            name=name, definition=json.dumps(definition), roleArn=ROLE, **fields
        )
        return str(made["stateMachineArn"])

    def start(self, machine: str, **fields: Any) -> str:
        """Start an execution; gives its ARN."""
        return str(self.sfn.start_execution(stateMachineArn=machine, **fields)["executionArn"])

    def ended(self, execution: str) -> dict[str, Any]:
        """Wait for the end of an execution; gives its description."""
        self.stage.operations.wait(execution, PATIENCE_S)
        return self.described(execution)

    def run(self, machine: str, **fields: Any) -> dict[str, Any]:
        """Start an execution and wait for its end."""
        return self.ended(self.start(machine, **fields))

    def described(self, execution: str, **fields: Any) -> dict[str, Any]:
        """What DescribeExecution says."""
        return told(self.sfn.describe_execution(executionArn=execution, **fields))


@contextmanager
def serving(folder: Path, limits: Limits = AWS) -> Iterator[Served]:
    """A service for the tests of one module."""
    stage = Stage(folder, limits)
    try:
        with served(stage) as url:
            yield Served(stage, url)
    finally:
        stage.close()


def told(answer: dict[str, Any]) -> dict[str, Any]:
    """An answer without what every answer has."""
    return {name: value for name, value in answer.items() if name != "ResponseMetadata"}


def refusal(call: Any, **parameters: Any) -> tuple[str, str]:
    """Code and message of the error that a call must meet with."""
    try:
        answer = call(**parameters)
    except ClientError as error:
        return error.response["Error"]["Code"], error.response["Error"]["Message"]
    raise AssertionError(f"it was not refused, but answered: {answer}")
