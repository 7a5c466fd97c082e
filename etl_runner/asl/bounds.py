"""How large a definition may be, and the payloads it speaks of; an installation may lift both."""

from typing import Final, NamedTuple

from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES

DEFINITION_LIMIT_BYTES: Final = 1_048_576
"""The most that a definition may have, in UTF-8 bytes (Step Functions service quotas)."""


class Bounds(NamedTuple):
    """What a definition is held to when it is taken. The defaults are AWS's."""

    definition_bytes: float = DEFINITION_LIMIT_BYTES
    """Its text in UTF-8."""

    payload_bytes: float = PAYLOAD_LIMIT_BYTES
    """What a state may be given or give: the most that MaxInputBytesPerBatch may ask for."""


AWS: Final = Bounds()
"""AWS's own bounds."""

UNBOUNDED: Final = Bounds(float("inf"), float("inf"))
"""For a definition that was taken before: it stays what it is, whatever the bounds are now."""
