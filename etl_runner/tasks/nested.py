"""The door through which a task starts an execution of this very service (`states:startExecution`).

The daemon gives the implementation, which knows the state machines and the engine; this room only asks.
"""

from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from etl_runner.errors import EtlRunnerError
from etl_runner.jsontypes import Json


class NestedRefused(EtlRunnerError):  # noqa: N818 -- reads as what it is where it is raised
    """StartExecution, DescribeExecution or StopExecution was refused, as the API would refuse it.

    `code` and `message` are the API's own: ExecutionAlreadyExists and "Execution Already Exists: 'ARN'".
    """

    def __init__(self, code: str, message: str) -> None:
        self.code = code
        self.message = message
        super().__init__(f"{code}: {message}")


@dataclass(frozen=True, slots=True, kw_only=True)
class NestedStarted:
    """An execution was started, or was there already; `started_ms` is epoch milliseconds."""

    arn: str
    started_ms: int


class Knows(Protocol):
    """What tells a service's own state machines."""

    def knows(self, state_machine_arn: str) -> bool:
        """Whether a state machine, version or alias of this ARN is one of this service's."""
        ...


def leads_here(service: Knows, execution_arn: str, state_machine_arn: str) -> bool:
    """Whether a state machine is this service's: one that it knows, or one where the execution stands."""
    here = execution_arn.split(":")[3:5] == state_machine_arn.split(":")[3:5]
    return here or service.knows(state_machine_arn)


class NestedExecutions(Knows, Protocol):
    """Executions that tasks start in this very service. Every method may be called from any thread."""

    def start(
        self, *, state_machine_arn: str, name: str, input_text: str, origin: str, awaited: bool
    ) -> Future[NestedStarted]:
        """Start an execution; the future is resolved after the commit, or fails with NestedRefused.

        `origin` is the same for every hand-out of the same task attempt. Where an execution of that name
        exists with that origin it is the answer, whatever its status or input: the task was handed out
        again after a crash. Any other execution of that name is treated as StartExecution treats it.
        `awaited`: its end will be asked for, so one of an Express machine is kept as well.
        """
        ...

    def describe(self, execution_arn: str) -> dict[str, Json]:
        """The answer of DescribeExecution with the API's member names; times are epoch seconds (float).

        Raises NestedRefused when there is no such execution.
        """
        ...

    def when_ended(self, execution_arn: str) -> Future[object]:
        """A future that is resolved when an execution ends, at once when it has. Raises NestedRefused."""
        ...

    def stop(self, execution_arn: str, *, error: str | None = None, cause: str | None = None) -> None:
        """Ask for the end of an execution; nothing happens when it has ended. Raises NestedRefused."""
        ...
