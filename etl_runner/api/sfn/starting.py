"""What StartExecution and its kin ask of a request, and the request that the engine gets."""

import uuid
from typing import Final

from etl_runner.api.rooms import Rooms
from etl_runner.api.sfn.arns import read_arn
from etl_runner.api.sfn.errors import AwsError, validation_error
from etl_runner.api.sfn.jackson import NotJson, read
from etl_runner.api.sfn.names import check_name
from etl_runner.engine.knocks import Reuse, StartRequest
from etl_runner.engine.machine_shapes import Target
from etl_runner.jsontypes import Json
from etl_runner.machine.limits import Limits

NOT_SUPPORTED: Final = "This operation is not supported by this type of state machine"


def type_not_supported() -> AwsError:
    """StateMachineTypeNotSupported."""
    return AwsError("StateMachineTypeNotSupported", NOT_SUPPORTED)


def find_target(rooms: Rooms, arn: str) -> Target:
    """What StartExecution is to run. Raises AwsError InvalidArn and StateMachineDoesNotExist."""
    named = read_arn(arn, "stateMachine")
    if "/" in named.names[0]:
        raise labelled_arn()
    target = rooms.state_machines.resolve(arn)
    if target is None:
        raise machine_does_not_exist(arn)
    return target


def machine_does_not_exist(arn: str) -> AwsError:
    """StateMachineDoesNotExist."""
    return AwsError("StateMachineDoesNotExist", f"State Machine Does Not Exist: '{arn}'")


def labelled_arn() -> AwsError:
    """ValidationException, for the ARN of a Distributed Map state where a state machine's is wanted."""
    return validation_error(
        "This operation does not support labeled state machine ARNs", "API_DOES_NOT_SUPPORT_LABELED_ARNS"
    )


def read_input(text: str, limits: Limits) -> Json:
    """The input of an execution. Raises AwsError InvalidExecutionInput."""
    try:
        value = read(text)
    except NotJson as fault:
        raise _invalid_input(str(fault) or "Invalid execution input.") from None
    if len(text.encode(errors="surrogatepass")) > limits.payload_bytes:
        raise _invalid_input(f"Input size exceeds the maximum of {limits.payload_bytes} bytes.")
    return value


def _invalid_input(why: str) -> AwsError:
    return AwsError("InvalidExecutionInput", f"Invalid State Machine Execution Input: '{why}'")


def start_request(
    target: Target,
    *,
    limits: Limits,
    name: str | None = None,
    input_text: str = "{}",
    trace_header: str | None = None,
    origin: str = "api",
    reuse: Reuse = "running",
    sync: bool = False,
) -> StartRequest:
    """What the engine is asked for. Raises AwsError InvalidName and InvalidExecutionInput."""
    if name is not None:
        check_name(name)
    return StartRequest(
        state_machine_arn=target.arn,
        state_machine_name=target.name,
        state_machine_version_arn=target.version_arn,
        state_machine_alias_arn=target.alias_arn,
        definition_id=target.definition_id,
        role_arn=target.role_arn,
        logging=target.logging,
        express=target.express,
        sync=sync,
        name=name or str(uuid.uuid4()),
        input=read_input(input_text, limits),
        input_text=input_text,
        trace_header=trace_header,
        origin=origin,
        reuse=reuse,
    )
