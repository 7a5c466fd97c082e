"""How tasks reach the service that runs them: `states:startExecution` by a door, `aws-sdk:sfn` by its API."""

import uuid
from collections.abc import Iterator
from concurrent.futures import Future
from contextlib import contextmanager
from dataclasses import replace
from typing import Final

from etl_runner.api.rooms import Rooms
from etl_runner.api.sfn.describe import described, find_execution
from etl_runner.api.sfn.errors import AwsError
from etl_runner.api.sfn.starting import find_target, start_request
from etl_runner.arn import express_execution_arn
from etl_runner.aws import AwsAccess
from etl_runner.engine.knocks import ExecutionExists, Started
from etl_runner.jsontypes import Json
from etl_runner.store.reads import ExecutionSummary, Reads
from etl_runner.tasks.nested import NestedRefused, NestedStarted

_AWAITED: Final = uuid.UUID("6f6c3a3e-0f5c-5b36-9a39-0d5d8a2f8c11")
"""A namespace of its own for the last part of the ARNs of Express executions that are waited for."""


class Nested:
    """The door of tasks/nested.py, over the rooms of one service. For any thread."""

    def __init__(self, rooms: Rooms) -> None:
        self._rooms = rooms
        self._reads = Reads(rooms.store)

    def knows(self, state_machine_arn: str) -> bool:
        """Whether a state machine, version or alias of this ARN is one of this service's."""
        return self._rooms.state_machines.resolve(state_machine_arn) is not None

    def start(
        self, *, state_machine_arn: str, name: str, input_text: str, origin: str, awaited: bool
    ) -> Future[NestedStarted]:
        """Start an execution, or find the one that this `origin` started. Raises NestedRefused."""
        with _told():
            request = start_request(
                find_target(self._rooms, state_machine_arn),
                limits=self._rooms.limits,
                name=name,
                input_text=input_text,
                origin=origin,
                reuse="origin",
            )
        if awaited and request.express:
            # Kept like a standard one: whoever waits for it has to find it, also after a restart.
            arn = express_execution_arn(request.state_machine_arn, name, str(uuid.uuid5(_AWAITED, origin)))
            request = replace(request, express=False, arn=arn)
        answer: Future[NestedStarted] = Future()
        self._rooms.engine.start(request).add_done_callback(lambda done: _pass_on(done, answer))
        return answer

    def _find(self, execution_arn: str) -> ExecutionSummary:
        """An execution of either type; those of Express machines that are waited for have rows too."""
        found = self._reads.by_arn(execution_arn)
        return find_execution(self._reads, execution_arn) if found is None else found

    def describe(self, execution_arn: str) -> dict[str, Json]:
        """What DescribeExecution answers. Raises NestedRefused."""
        with _told():
            row = self._find(execution_arn)
            map_run_arn = None if row.map_run_id is None else self._reads.map_run_arn(row.map_run_id)
            now_ms = self._rooms.clock.now_ms()
            return described(row, self._rooms.histories, now_ms, map_run_arn=map_run_arn)

    def when_ended(self, execution_arn: str) -> Future[object]:
        """A future that is resolved when an execution ends. Raises NestedRefused."""
        answer: Future[object] = Future()
        with _told():
            row = self._find(execution_arn)
        self._rooms.engine.when_ended(row.id).add_done_callback(lambda _: answer.set_result(None))
        return answer

    def stop(self, execution_arn: str, *, error: str | None = None, cause: str | None = None) -> None:
        """Ask for the end of an execution. Raises NestedRefused."""
        with _told():
            row = self._find(execution_arn)
        self._rooms.engine.stop(row.id, error=error, cause=cause)


class OwnApi:
    """Access to the API of this very process, for each account the key that stands for it."""

    def __init__(self, url: str, region: str, token: str | None) -> None:
        self._url = url
        self._region = region
        self._token = token
        self._of: dict[str, AwsAccess] = {}

    def of(self, account: str) -> AwsAccess:
        """The access for an account."""
        found = self._of.get(account)
        if found is None:
            found = self._of[account] = AwsAccess(
                endpoint_urls={"stepfunctions": self._url},
                region=self._region,
                access_key_id=account,
                secret_access_key=account,
                session_token=self._token,
            )
        return found


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except AwsError as refused:
        raise NestedRefused(refused.code, refused.message) from refused


def _pass_on(done: "Future[Started]", answer: "Future[NestedStarted]") -> None:
    """Tell of a start what the door promises."""
    error = done.exception() if not done.cancelled() else None
    if done.cancelled():
        answer.cancel()
    elif isinstance(error, ExecutionExists):
        answer.set_exception(NestedRefused(error.code, str(error)))
    elif error is not None:
        answer.set_exception(error)
    else:
        started = done.result()
        answer.set_result(NestedStarted(arn=started.arn, started_ms=started.started_ms))
