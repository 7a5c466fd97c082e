"""Amazon Resource Names of what the service itself owns: state machines, executions, map runs, activities."""

from dataclasses import dataclass
from typing import Final, Self

from etl_runner.errors import InvalidInput

DEFAULT_ACCOUNT: Final = "123456789012"
DEFAULT_REGION: Final = "us-east-1"


@dataclass(frozen=True, slots=True, kw_only=True)
class Arn:
    """The six parts of an ARN; `resource` keeps its own colons."""

    partition: str = "aws"
    service: str
    region: str
    account: str
    resource: str

    @classmethod
    def parse(cls, text: str) -> Self:
        """Split an ARN. Raises InvalidInput for anything else."""
        parts = text.split(":", 5)
        if len(parts) != 6 or parts[0] != "arn" or not parts[2] or not parts[5]:
            raise InvalidInput(
                f"{text!r} is not an ARN; it should read arn:partition:service:region:account:resource"
            )
        return cls(partition=parts[1], service=parts[2], region=parts[3], account=parts[4], resource=parts[5])

    def __str__(self) -> str:
        return f"arn:{self.partition}:{self.service}:{self.region}:{self.account}:{self.resource}"


def state_machine_arn(name: str, *, account: str = DEFAULT_ACCOUNT, region: str = DEFAULT_REGION) -> str:
    """arn:aws:states:REGION:ACCOUNT:stateMachine:NAME."""
    return f"arn:aws:states:{region}:{account}:stateMachine:{name}"


def activity_arn(name: str, *, account: str = DEFAULT_ACCOUNT, region: str = DEFAULT_REGION) -> str:
    """arn:aws:states:REGION:ACCOUNT:activity:NAME."""
    return f"arn:aws:states:{region}:{account}:activity:{name}"


def execution_arn(of_state_machine: str, name: str) -> str:
    """The ARN of the execution `name` of a state machine given by its ARN."""
    arn = Arn.parse(of_state_machine)
    machine = arn.resource.removeprefix("stateMachine:")
    return f"arn:{arn.partition}:states:{arn.region}:{arn.account}:execution:{machine}:{name}"


def express_execution_arn(of_state_machine: str, name: str, unique: str) -> str:
    """The ARN of one run of an Express state machine: ...:express:MACHINE:NAME:UNIQUE."""
    arn = Arn.parse(of_state_machine)
    machine = arn.resource.removeprefix("stateMachine:")
    return f"arn:{arn.partition}:states:{arn.region}:{arn.account}:express:{machine}:{name}:{unique}"


def map_run_arn(of_execution: str, label: str, run_id: str) -> str:
    """The ARN of a map run started by an execution: ...:mapRun:MACHINE/LABEL:ID."""
    arn = Arn.parse(of_execution)
    machine = arn.resource.split(":")[1]
    return f"arn:{arn.partition}:states:{arn.region}:{arn.account}:mapRun:{machine}/{label}:{run_id}"


def child_execution_arn(of_state_machine: str, label: str, name: str) -> str:
    """The ARN of one child of a map run: ...:execution:MACHINE/LABEL:NAME."""
    return execution_arn(f"{of_state_machine}/{label}", name)
