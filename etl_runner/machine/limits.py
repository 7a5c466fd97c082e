"""The bounds that AWS puts on executions and on what an account may have, each of which a setting may lift.

They are consulted when something is decided and never when facts are folded, so that an execution goes on
from what it has whatever the bounds are now. Source: Step Functions developer guide, "Service quotas".
"""

from typing import Final

from msgspec import Struct

from etl_runner.asl.bounds import DEFINITION_LIMIT_BYTES, Bounds
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES


class Limits(Struct, frozen=True, kw_only=True):
    """What one execution may use, and how much of everything there may be. The defaults are AWS's."""

    payload_bytes: int = PAYLOAD_LIMIT_BYTES
    """An execution's input, a state's input, result or output, as JSON in UTF-8."""

    events: int = 25_000
    """The events of its history; the last of them is then its ExecutionFailed, as measured on AWS."""

    express_events: int = 1_000_000
    """Those of an Express execution, which stand in memory.

    AWS names no such bound; it is beyond what its five minutes allow there, and keeps a loop from taking all
    memory here.
    """

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

    definition_bytes: int = DEFINITION_LIMIT_BYTES
    """The text of a definition in UTF-8."""

    versions: int = 1_000
    """Versions of a state machine."""

    aliases: int = 100
    """Aliases of a state machine."""

    tags: int = 50
    """Tags of a state machine or activity."""

    state_machines: int = 100_000
    """State machines made through the API, for each account and region."""

    activities: int = 100_000
    """Activities, for each account and region."""

    def execution_seconds(self, asked: int | None, *, express: bool) -> int | None:
        """How long an execution may run of which `asked` is TimeoutSeconds; None where nothing bounds it."""
        return min(asked or self.express_seconds, self.express_seconds) if express else asked

    def most_events(self, *, express: bool) -> int:
        """How many events the history of an execution may have."""
        return self.express_events if express else self.events

    @property
    def bounds(self) -> Bounds:
        """What a new definition is held to."""
        return Bounds(self.definition_bytes, self.payload_bytes)


AWS: Final = Limits()
"""AWS's own bounds."""
