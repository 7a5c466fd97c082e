"""The contract of a service integration: one object per file in integrations/, found by scanning."""

import pkgutil
import re
from collections.abc import Iterable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Any, Final, Protocol

from etl_runner.aws import AwsAccess, ClientProfile
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES, Json
from etl_runner.tasks.nested import NestedExecutions

PREFIX: Final = "arn:aws:states:::"

PLAIN: Final = ""
CALLBACK: Final = ".waitForTaskToken"
SYNC: Final = ".sync"
SYNC2: Final = ".sync:2"
FORMS: Final = (SYNC2, SYNC, CALLBACK)
"""The patterns of Step Functions beside request-response: wait for a callback, run a job."""

READ_TIMEOUTS_S: Final = (5, 15, 60, 300, 900)
"""A few lengths, since each is a client of its own. The last is what a Lambda function may take at most."""

UNBOUNDED_READ_TIMEOUT_S: Final = 60
"""For a state without a timeout: a server that says nothing must not hold a thread for long."""


def split_form(resource: str) -> tuple[str, str]:
    """Take the form off a resource: ("arn:...:sqs:sendMessage", ".waitForTaskToken")."""
    head, colon, last = resource.rpartition(":")
    if last == "2":  # .sync:2
        head, colon, last = head.rpartition(":")
        last += ":2"
    base, dot, form = last.partition(".")
    return head + colon + base, dot + form


_PLACED: Final = re.compile(r"arn:aws[a-z-]*:states:[^:]*:\d*:(?!(?:activity|stateMachine|execution):)")


def canonical(resource: str) -> str:
    """A service's resource without partition, region and account, which may stand in it and say nothing."""
    return _PLACED.sub(PREFIX, resource, count=1)


def patience(remaining_s: float | None) -> ClientProfile:
    """The profile of a state's call: sent once, waiting hardly longer than the state itself does.

    `remaining_s` is the time until the state's own timeout, None where it has none.
    """
    waits_s = UNBOUNDED_READ_TIMEOUT_S
    if remaining_s is not None:
        waits_s = next((each for each in READ_TIMEOUTS_S if each >= remaining_s), READ_TIMEOUTS_S[-1])
    return ClientProfile(attempts=1, read_timeout_s=waits_s, asks_checksums=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCall:
    """One call of a service for one hand-out, whose key `idempotency_key` is. `resource` is the whole ARN.

    `remaining_s` is the time until the state's own timeout, None where it has none. `region` is where the
    service is called, None for the region of `aws` itself. `role_arn` is the role of Credentials,
    `own_role_arn` that of the state machine.
    `limit_bytes` is what the result may have.
    """

    resource: str
    arguments: Json
    aws: AwsAccess
    idempotency_key: str
    remaining_s: float | None = None
    execution_arn: str = ""
    state_machine_arn: str = ""
    region: str | None = None
    task_token: str | None = None
    role_arn: str | None = None
    own_role_arn: str = ""
    limit_bytes: int = PAYLOAD_LIMIT_BYTES
    nested: NestedExecutions | None = None

    @property
    def form(self) -> str:
        """PLAIN, CALLBACK, SYNC or SYNC2."""
        return split_form(self.resource)[1]

    @property
    def base(self) -> str:
        """The resource without its form."""
        return split_form(self.resource)[0]

    def client(self, service: str) -> Any:
        """The boto3 client for this call."""
        return self.aws.client(service, self.region, profile=patience(self.remaining_s))

    def send(self, service: str, method: str, parameters: Mapping[str, Any]) -> Any:
        """Call a method of a boto3 client once, by the name that boto3 has for it.

        Whether to try again is for the state's Retry to say: a call that was sent may have done its work.
        One that could not even connect has not, and is tried once more. Raises what boto3 raises.
        """
        from botocore.exceptions import ConnectTimeoutError, EndpointConnectionError  # noqa: PLC0415 -- slow

        call = getattr(self.client(service), method)
        try:
            return call(**parameters)
        except (ConnectTimeoutError, EndpointConnectionError):
            return call(**parameters)


class Integration(Protocol):
    """One service's kinds of resources, answered from a synchronous call.

    `name` names it in the documentation, `summary` is one sentence for it, `pattern` is what follows
    `arn:aws:states:::` (variable parts in capitals), `examples` are resources that it accepts, with their
    forms. Every method may be called from any thread.
    """

    name: str
    summary: str
    pattern: str
    examples: tuple[str, ...]

    def claims(self, resource: str) -> bool:
        """Whether this resource is this integration's business, even if it cannot be accepted."""
        ...

    def accepts(self, resource: str) -> str | None:
        """None when the resource can be called, else a sentence saying why not and what to do."""
        ...

    def check_arguments(self, resource: str, template: Json) -> list[str]:
        """What is wrong with the names in Parameters (`name.$` counts as `name`), one sentence each."""
        ...

    def call(self, call: ServiceCall) -> Json:
        """Do it and give the first response. Raises StatesError, as AWS names it, for what is refused."""
        ...

    def jobs(self, resource: str) -> "Jobs | None":
        """Who looks after the job that a `.sync` resource starts; None for any other resource."""
        ...


class Jobs(Protocol):
    """What became of a job that a `.sync` resource started; `submitted` is the first response to its start.

    Nothing else is kept of a job, so that another process can go on with it.
    """

    def poll(self, call: ServiceCall, submitted: Json) -> Json | None:
        """The task's result when the job has ended well, None while it runs.

        Raises StatesError when the job failed, OSError or what boto3 raises when it could not be asked.
        """
        ...

    def stop(self, call: ServiceCall, submitted: Json) -> None:
        """End the job: its state was stopped or ran out of time."""
        ...

    def when_ended(self, call: ServiceCall, submitted: Json) -> Future[object] | None:
        """A future that is done as soon as asking again is worth while; None where only polling helps."""
        ...


_MEMBERS: Final = (
    "name",
    "summary",
    "pattern",
    "examples",
    "claims",
    "accepts",
    "check_arguments",
    "call",
    "jobs",
)


def register(module: ModuleType) -> Integration:
    """Take the INTEGRATION of a module. Raises TypeError, naming the file, when it breaks the contract."""
    where = module.__name__
    found = getattr(module, "INTEGRATION", None)
    if found is None:
        raise TypeError(f"{where} defines no INTEGRATION; every file in that folder has exactly one")
    missing = [name for name in _MEMBERS if not hasattr(found, name)]
    if missing:
        raise TypeError(f"{where}: INTEGRATION lacks {', '.join(missing)}; see tasks/integration.py")
    if not found.name or not found.summary or not found.pattern or not found.examples:
        raise TypeError(f"{where}: INTEGRATION needs a name, a summary, a pattern and at least one example")
    for resource in found.examples:
        if not found.claims(resource):
            raise TypeError(f"{where}: INTEGRATION does not claim its own example {resource}")
    integration: Integration = found
    return integration


def scan(package: ModuleType) -> tuple[Integration, ...]:
    """Every integration of a package, in the order of file names.

    Raises TypeError when one breaks the contract, or two have one name or claim one resource.
    """
    names = sorted(info.name for info in pkgutil.iter_modules(package.__path__))
    found = tuple(register(import_module(f"{package.__name__}.{name}")) for name in names)
    for integration in found:
        _check_alone(integration, found)
    return found


def _check_alone(integration: Integration, among: Iterable[Integration]) -> None:
    for other in among:
        if other is integration:
            continue
        if other.name == integration.name:
            raise TypeError(f"two integrations are named {other.name}")
        for resource in integration.examples:
            if other.claims(resource):
                raise TypeError(f"{integration.name} and {other.name} both claim {resource}")
