"""ARNs as callers give them, taken apart: what kind of thing they name, and the parts of its name."""

from dataclasses import dataclass
from typing import Final

from etl_runner.api.sfn.errors import invalid_arn

_PARTS: Final = 6


@dataclass(frozen=True, slots=True, kw_only=True)
class Named:
    """What an ARN names: `kind` is "execution", "mapRun" ..., `names` what follows it between colons."""

    text: str
    partition: str
    region: str
    account: str
    kind: str
    names: tuple[str, ...]


def read_arn(text: str, *kinds: str) -> Named:
    """Take apart the ARN of one of these kinds of Step Functions' things. Raises AwsError InvalidArn."""
    parts = text.split(":", _PARTS - 1)
    if parts[0] != "arn":
        raise invalid_arn(f"Invalid ARN prefix: {text}")
    if len(parts) < _PARTS or not all(parts) or parts[2] != "states":
        raise invalid_arn(f"Invalid ARN: {text}")
    kind, *names = parts[5].split(":")
    if kind not in kinds:
        raise invalid_arn(f"Resource type not valid in this context: {kind}")
    if not names or not all(names):
        raise invalid_arn(f"Invalid ARN: {text}")
    return Named(
        text=text, partition=parts[1], region=parts[3], account=parts[4], kind=kind, names=tuple(names)
    )
