"""The bounds that AWS puts on an execution, each of which a setting may lift.

They are consulted when something is decided and never when facts are folded, so that an execution goes on
from what it has whatever the bounds are now. Source: Step Functions developer guide, "Service quotas".
"""

from typing import Final

from msgspec import Struct

from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES


class Limits(Struct, frozen=True, kw_only=True):
    """What one execution may use. The defaults are AWS's."""

    payload_bytes: int = PAYLOAD_LIMIT_BYTES
    """A state's input, result or output, as JSON in UTF-8."""

    events: int = 25_000
    """The events of its history; the last of them is then its ExecutionFailed, as measured on AWS."""

    variable_bytes: int = 262_144
    """The value of one variable."""

    assign_bytes: int = 262_144
    """All variables of one Assign together."""

    variables_bytes: int = 10 * 1024 * 1024
    """All variables of the execution that live at one time."""

    inline_concurrency: int = 40
    """Iterations of an inline Map at one time."""

    express_seconds: int = 300
    """How long an Express execution may run, whatever its own TimeoutSeconds."""


AWS: Final = Limits()
"""AWS's own bounds."""
