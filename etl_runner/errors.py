"""Every error the project raises on purpose, as one tree.

EtlRunnerError                a sentence for the person in front: what, where, why, what to do
├── UserError                 the caller's input is at fault; a CLI prints no traceback and exits with 2
│   ├── DefinitionError       an ASL document that AWS would refuse; carries all its faults
│   ├── ConfigError           a file under config/ or workflows/ that cannot be used; carries all its faults
│   ├── InvalidInput          an argument, input, pattern or expression that is not what its rule asks for
│   ├── NotFound              the thing named does not exist
│   └── Conflict              it exists already, or its status forbids the request
├── StoreError                the store cannot do what it was asked
│   ├── StoreUnavailable      it cannot be opened, is locked, full or read-only; may pass
│   ├── StoreTooNew           written by a later release than this one
│   └── LostExecution         another writer has gone on with this execution; reload it
└── StatesError               an ASL error: `error` is the name that Retry and Catch see, `cause` its text
    └── QueryEvaluationError  a JSONata expression failed; carries the field that holds it

Public docstrings name those that a function raises.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

# Names of ASL errors that more than one room gives (developer guide, "Handling errors").
RUNTIME: Final = "States.Runtime"
READER_FAILED: Final = "States.ItemReaderFailed"
QUERY_EVALUATION: Final = "States.QueryEvaluationError"


class EtlRunnerError(Exception):
    """The root: anything the project raises on purpose."""


class UserError(EtlRunnerError):
    """The caller's input is at fault."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Fault:
    """One thing wrong in a file: where it stands, what is wrong, and what to do about it.

    `line` and `column` start at 1; 0 means the place is not known. `path` is the JSON path of the place
    (`/States/Fetch/Retry/0`), empty for the whole document. `severity` is "error" or "warning".
    """

    what: str
    remedy: str = ""
    code: str = ""
    file: str = ""
    line: int = 0
    column: int = 0
    path: str = ""
    severity: str = "error"

    @property
    def pointer(self) -> str:
        """The JSON pointer of the place, as AWS writes it: that of the whole document is "/"."""
        return self.path or "/"

    def __str__(self) -> str:
        """`file:line:col: what; remedy [code]`."""
        where = ":".join(part for part in (self.file, str(self.line or ""), str(self.column or "")) if part)
        text = f"{where}: {self.what}" if where else self.what
        if self.remedy:
            text += f"; {self.remedy}"
        return f"{text} [{self.code}]" if self.code else text


class _WithFaults(UserError):  # noqa: N818 -- a part of errors, never raised itself
    def __init__(self, faults: Sequence[Fault]) -> None:
        self.faults = tuple(faults)
        super().__init__("\n".join(str(fault) for fault in self.faults))


class DefinitionError(_WithFaults):
    """A state machine definition that AWS would refuse. `faults` holds all of them, in file order."""


class ConfigError(_WithFaults):
    """Configuration that cannot be used. `faults` holds all that is wrong, in file order."""


class InvalidInput(UserError):  # noqa: N818 -- reads as what it is where it is raised
    """An argument, input, pattern or expression that is not what its rule asks for."""


class NotFound(UserError):  # noqa: N818
    """The thing named does not exist."""


class Conflict(UserError):  # noqa: N818
    """It exists already, or its status forbids the request."""


class StoreError(EtlRunnerError):
    """The store cannot do what it was asked."""


class StoreUnavailable(StoreError):  # noqa: N818
    """The store cannot be opened, is locked, full or read-only. This may pass."""


class StoreTooNew(StoreError):  # noqa: N818
    """The store was written by a later release than this one."""


class LostExecution(StoreError):  # noqa: N818
    """Another writer has gone on with this execution; what is in memory is old."""


class StatesError(EtlRunnerError):
    """An error in the sense of ASL, from an evaluation (`States.Runtime` ...) or from a task.

    `error` is the name that Retry and Catch match, `cause` the text shown beside it.
    """

    def __init__(self, error: str, cause: str = "") -> None:
        self.error = error
        self.cause = cause
        super().__init__(f"{error}: {cause}" if cause else error)


class QueryEvaluationError(StatesError):
    """A JSONata expression failed, or gave what its field does not take: always States.QueryEvaluationError.

    `location` is the field with its way inside, as the EvaluationFailed event shows it ("Output/result",
    "Arguments"); None where AWS names none.
    """

    def __init__(self, cause: str, location: str | None = None) -> None:
        self.location = location
        super().__init__(QUERY_EVALUATION, cause)
