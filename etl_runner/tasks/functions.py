"""Which Python functions stand behind which Lambda-style ARNs."""

import difflib
import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Final, Literal

from etl_runner.errors import InvalidInput

LATEST: Final = "$LATEST"

_REFERENCE = re.compile(
    r"""(?:arn:(?P<partition>aws[a-z-]*):lambda:(?P<region>[a-z0-9-]+):)?
        (?:(?P<account>\d{12}):function:|function:)?
        (?P<name>[A-Za-z0-9_-]{1,140})
        (?::(?P<qualifier>\$LATEST|[A-Za-z0-9_-]{1,128}))?""",
    re.VERBOSE,
)

_LOOSE: Final = re.compile(r"arn:aws[a-z-]*:lambda:[^:\s]+:[^:\s]+:function:[^:\s]+(?::[^:\s]+)?")


@dataclass(frozen=True, slots=True, kw_only=True)
class FunctionSpec:
    """One function: what it is called, where its code is and how it runs.

    `module` is imported with `search_path` on sys.path and its attribute `function` is called with
    (event, context). `timeout_s` bounds one invocation, in seconds. `environment` is added to the worker's
    environment for the time of an invocation (only for run_in "process": a thread shares the daemon's).
    `memory_mb` is what the context tells the function; it is a note and bounds nothing.
    """

    name: str
    arn: str
    module: str
    function: str
    search_path: str = ""
    run_in: Literal["process", "thread"] = "process"
    timeout_s: float = 300.0
    environment: Mapping[str, str] = field(default_factory=dict)
    memory_mb: int = 128

    def __post_init__(self) -> None:
        """Raise InvalidInput for a combination that cannot work."""
        if self.run_in == "thread" and self.environment:
            raise InvalidInput(
                f"the function {self.name} has an environment of its own and runs in a thread, which shares "
                "the environment of the whole service; take run_in: process or remove its environment"
            )
        if self.timeout_s <= 0:
            raise InvalidInput(
                f"the function {self.name} has a timeout of {self.timeout_s} s; it must be positive"
            )


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """A function as a definition names it: ARN, partial ARN or name, each with or without a qualifier."""

    name: str
    account: str | None = None
    region: str | None = None
    partition: str | None = None
    qualifier: str = LATEST

    @staticmethod
    def reads_as_arn(text: str) -> bool:
        """Whether this has the parts of a function's ARN, whatever stands in them.

        AWS asks no more when a state machine is created; a call shows what is wrong with the parts.
        """
        return _LOOSE.fullmatch(text) is not None

    @classmethod
    def parse(cls, text: str) -> "Reference | None":
        """Read any form that Lambda's FunctionName takes; None for what is none.

        Source: AWS Lambda API, Invoke, FunctionName. Only $LATEST exists here, so that a version or an
        alias leads to the same code.
        """
        match = _REFERENCE.fullmatch(text)
        if match is None or (match["partition"] and not match["account"]):
            return None
        return cls(
            name=match["name"],
            account=match["account"],
            region=match["region"],
            partition=match["partition"],
            qualifier=match["qualifier"] or LATEST,
        )


class FunctionRegistry:
    """The functions that exist now. `replace` swaps all at once: readers see the old set or the new."""

    def __init__(self, specs: Iterable[FunctionSpec] = ()) -> None:
        self._by_name: Mapping[str, tuple[FunctionSpec, ...]] = MappingProxyType({})
        self.replace(specs)

    def replace(self, specs: Iterable[FunctionSpec]) -> None:
        """Take these functions instead of the present ones, all or nothing.

        Raises InvalidInput when two have the same ARN or an ARN does not fit its name.
        """
        by_name: dict[str, list[FunctionSpec]] = {}
        seen: dict[str, FunctionSpec] = {}
        for spec in specs:
            reference = Reference.parse(spec.arn)
            if reference is None or reference.partition is None or reference.name != spec.name:
                raise InvalidInput(
                    f"the function {spec.name} has the ARN {spec.arn!r}; "
                    f"it should read arn:aws:lambda:REGION:ACCOUNT:function:{spec.name}"
                )
            if spec.arn in seen:
                other = seen[spec.arn]
                raise InvalidInput(
                    f"two functions have the ARN {spec.arn}: {other.module}.{other.function} and "
                    f"{spec.module}.{spec.function}; give one of them another name"
                )
            seen[spec.arn] = spec
            by_name.setdefault(spec.name, []).append(spec)
        self._by_name = MappingProxyType({name: tuple(found) for name, found in by_name.items()})

    def all(self) -> tuple[FunctionSpec, ...]:
        """Every function, by name and ARN."""
        found = [spec for specs in self._by_name.values() for spec in specs]
        return tuple(sorted(found, key=lambda spec: (spec.name, spec.arn)))

    def find(self, text: str) -> FunctionSpec | None:
        """The function that an ARN, a partial ARN (ACCOUNT:function:NAME) or a name means, None if none."""
        reference = Reference.parse(text)
        if reference is None:
            return None
        for spec in self._by_name.get(reference.name, ()):
            own = Reference.parse(spec.arn)
            assert own is not None  # replace() has looked
            if reference.account in {None, own.account} and reference.region in {None, own.region}:
                return spec
        return None

    def explain_missing(self, text: str) -> str:
        """Say that `text` names no function here, what comes close, and how to bind one."""
        reference = Reference.parse(text)
        if reference is None:
            return (
                f"{text!r} is no Lambda function name or ARN; write a name or "
                "arn:aws:lambda:REGION:ACCOUNT:function:NAME"
            )
        same_name = self._by_name.get(reference.name, ())
        if same_name:
            return (
                f"the function {reference.name} is bound to {same_name[0].arn}, not to {text}; use that ARN"
            )
        near = difflib.get_close_matches(reference.name, self._by_name, n=3)
        hint = f"did you mean {' or '.join(near)}? If not, " if near else ""
        return (
            f"no function {reference.name} is bound here; {hint}"
            f"add `{reference.name}: {{handler: MODULE.FUNCTION}}` to a functions.yaml under workflows/"
        )
