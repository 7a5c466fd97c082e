"""What the actions on state machines, versions and aliases share: ARNs, errors, and what publishing asks."""

from collections.abc import Iterator, Mapping
from contextlib import contextmanager

from etl_runner.api.sfn.arns import Named, read_arn
from etl_runner.api.sfn.errors import AwsError, validation_error
from etl_runner.engine.machine_shapes import HomeIsAFile, QuotaReached
from etl_runner.errors import NotFound
from etl_runner.jsontypes import Json


def does_not_exist(arn: str) -> AwsError:
    """StateMachineDoesNotExist."""
    return AwsError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")


def machine_arn(arn: str) -> Named:
    """The ARN of a state machine, without a label. Raises AwsError InvalidArn and ValidationException."""
    named = read_arn(arn, "stateMachine")
    if "/" in named.names[0]:
        message = f"This operation does not support the ARN of a Distributed Map state: '{arn}'"
        raise validation_error(message, "API_DOES_NOT_SUPPORT_LABELED_ARNS")
    return named


def publish_description(given: Mapping[str, Json]) -> str | None:
    """The description of the version to be published; None when none is. Raises AwsError."""
    if given.get("publish"):
        return str(given.get("versionDescription", ""))
    if "versionDescription" in given:
        raise validation_error("Version description can only be set when publish is true")
    return None


@contextmanager
def refused_change(arn: str, code: str = "ConflictException") -> Iterator[None]:
    """Tell in AWS's words why a state machine is not changed; `code` is for one that lives in a file."""
    try:
        yield
    except NotFound:
        raise does_not_exist(arn) from None
    except HomeIsAFile as error:
        raise AwsError(code, f"This state machine is not changed here: {error}") from None
    except QuotaReached as error:
        raise AwsError("ServiceQuotaExceededException", str(error)) from None
