"""Activities as a route: their tasks are fetched by workers, so that nobody is called for them."""

from typing import Final

from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json
from etl_runner.machine.states.task import is_activity
from etl_runner.tasks.contract import Invocation, Sink

OFFER: Final = "arn:aws:states:REGION:ACCOUNT:activity:NAME"


class ActivityTasks:
    """Claims the resources that are activities; whether one is registered shows when it is scheduled."""

    @property
    def offers(self) -> tuple[str, ...]:
        """What an activity's ARN looks like."""
        return (OFFER,)

    def claims(self, resource: str) -> bool:
        """Whether a resource is an activity's ARN."""
        return is_activity(resource)

    def accepts(self, resource: str) -> str | None:  # noqa: ARG002 -- the same
        """None: AWS does not ask whether an activity exists either."""
        return None

    def invokable(self, resource: str) -> str | None:
        """The same."""
        return self.accepts(resource)

    def check_arguments(self, resource: str, template: Json) -> list[str]:  # noqa: ARG002 -- the same
        """Nothing: a worker takes any input."""
        return []

    def start(self, invocation: Invocation, sink: Sink) -> None:  # noqa: ARG002 -- the same
        """Refuse. The engine hands such tasks to workers. Raises InvalidInput."""
        raise InvalidInput(f"{invocation.resource} is an activity, whose tasks are for workers to fetch")

    def cancel(self, token: str) -> None:
        """Nothing runs here."""

    def close(self, grace_s: float) -> None:
        """Nothing runs here."""
