"""The contract of a service integration: one object per file in integrations/, found by scanning."""

import pkgutil
from collections.abc import Iterable
from dataclasses import dataclass
from importlib import import_module
from types import ModuleType
from typing import Final, Protocol

from etl_runner.aws import AwsAccess
from etl_runner.jsontypes import Json

PREFIX: Final = "arn:aws:states:::"


@dataclass(frozen=True, slots=True, kw_only=True)
class ServiceCall:
    """One call of a service for one hand-out, whose key `idempotency_key` is. `resource` is the whole ARN."""

    resource: str
    arguments: Json
    aws: AwsAccess
    idempotency_key: str


class Integration(Protocol):
    """One kind of resource under `arn:aws:states:::`, answered from a synchronous call.

    `name` names it in the documentation, `summary` is one sentence for it, `pattern` is what follows
    `arn:aws:states:::` (variable parts in capitals), `examples` are resources that it accepts. Every method
    may be called from any thread.
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
        """Do it and give the result. Raises StatesError, as AWS names it, for what the service refuses."""
        ...


def register(module: ModuleType) -> Integration:
    """Take the INTEGRATION of a module. Raises TypeError, naming the file, when it breaks the contract."""
    where = module.__name__
    found = getattr(module, "INTEGRATION", None)
    if found is None:
        raise TypeError(f"{where} defines no INTEGRATION; every file in that folder has exactly one")
    missing = [
        name
        for name in ("name", "summary", "pattern", "examples", "claims", "accepts", "check_arguments", "call")
        if not hasattr(found, name)
    ]
    if missing:
        raise TypeError(f"{where}: INTEGRATION lacks {', '.join(missing)}; see tasks/integration.py")
    if not found.name or not found.summary or not found.pattern or not found.examples:
        raise TypeError(f"{where}: INTEGRATION needs a name, a summary, a pattern and at least one example")
    for resource in found.examples:
        if not resource.startswith(PREFIX) or not found.claims(resource):
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
