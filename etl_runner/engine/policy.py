"""What an installation decides about executions. Nothing heavy is imported here: settings read it."""

from dataclasses import dataclass

from etl_runner.machine.limits import AWS, Limits


@dataclass(frozen=True, slots=True, kw_only=True)
class Policy:
    """The bounds of an execution, and whether EventBridge is told when its status changes."""

    limits: Limits = AWS
    tell_status: bool = False
