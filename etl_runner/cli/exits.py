"""Exit codes: one table from what went wrong to the number that scripts see."""

from typing import Final

from etl_runner.errors import (
    ConfigError,
    Conflict,
    DefinitionError,
    EtlRunnerError,
    InvalidInput,
    LostExecution,
    NotFound,
    QueryEvaluationError,
    StatesError,
    StoreError,
    StoreTooNew,
    StoreUnavailable,
    UserError,
)


class Unreachable(EtlRunnerError):  # noqa: N818 -- reads as what it is where it is raised
    """No service answers, or what answers is none."""


class NotAllowed(UserError):  # noqa: N818 -- the same
    """The service refused us: no token, or another than its own."""


FINE: Final = 0
FAILED: Final = 1
MISTAKE: Final = 2
UNAVAILABLE: Final = 3
INTERNAL: Final = 70
TIMED_OUT: Final = 124
INTERRUPTED: Final = 130

MEANINGS: Final = {
    FINE: "it went well",
    FAILED: "the execution failed; lint: there are faults; test: a case failed; events put: a rule failed",
    MISTAKE: "a mistake in what was asked for",
    UNAVAILABLE: "the service or its store cannot be reached",
    INTERNAL: "a fault of etl-runner itself",
    TIMED_OUT: "the time to wait has passed; the execution goes on",
    INTERRUPTED: "Ctrl-C; an execution that was started goes on",
}

CODES: Final[dict[type[EtlRunnerError], int]] = {
    EtlRunnerError: INTERNAL,
    UserError: MISTAKE,
    DefinitionError: MISTAKE,
    ConfigError: MISTAKE,
    InvalidInput: MISTAKE,
    NotFound: MISTAKE,
    Conflict: MISTAKE,
    NotAllowed: MISTAKE,
    StoreError: UNAVAILABLE,
    StoreUnavailable: UNAVAILABLE,
    StoreTooNew: UNAVAILABLE,
    LostExecution: UNAVAILABLE,
    Unreachable: UNAVAILABLE,
    StatesError: FAILED,
    QueryEvaluationError: FAILED,
}


def code_of(error: EtlRunnerError) -> int:
    """The exit code of an error: its own class's, or that of the nearest class above it."""
    return next(CODES[kind] for kind in type(error).__mro__ if kind in CODES)


def epilog() -> str:
    """The exit codes as `--help` shows them."""
    lines = "\n".join(f"  {code:>3}  {meaning}" for code, meaning in MEANINGS.items())
    return f"\b\nExit codes:\n{lines}"
