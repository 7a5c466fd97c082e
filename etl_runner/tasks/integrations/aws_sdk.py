"""`arn:aws:states:::aws-sdk:SERVICE:ACTION`: any action of any service that boto3 knows."""

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json
from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_models import actions, near, service_model, services
from etl_runner.tasks.aws_naming import member, service_title
from etl_runner.tasks.aws_optimised import client_token
from etl_runner.tasks.aws_shapes import members_by_name, missing_members, to_json, to_parameters
from etl_runner.tasks.integration import CALLBACK, PREFIX, Integration, Jobs, ServiceCall, split_form
from etl_runner.tasks.stand_ins import set_right

_RESOURCE: Final = re.compile(r"(?P<service>[a-zA-Z0-9-]+):(?P<action>[a-zA-Z0-9]+)")


@dataclass(frozen=True, slots=True)
class Target:
    """A resource taken apart. `name` is the API's name of the action."""

    service: str
    boto3_name: str
    name: str

    @property
    def model(self) -> Any:
        """Botocore's model of the service."""
        return service_model(self.boto3_name)

    @property
    def operation(self) -> Any:
        """Botocore's model of the action."""
        return self.model.operation_model(self.name)


class AwsSdk:
    """Any boto3 call, with AWS's casing of actions, parameters, results and errors."""

    name = "aws-sdk"
    pattern = "aws-sdk:SERVICE:ACTION"
    summary = "Any action of any AWS service, as the AWS SDK has it"
    examples: tuple[str, ...] = (
        f"{PREFIX}aws-sdk:s3:getObject",
        f"{PREFIX}aws-sdk:ec2:describeVolumes",
        f"{PREFIX}aws-sdk:sfn:sendTaskSuccess",
        f"{PREFIX}aws-sdk:s3:listBuckets.waitForTaskToken",
        f"{PREFIX}aws-sdk:rds:describeDBInstances",
        f"{PREFIX}aws-sdk:cloudwatchlogs:putLogEvents",
    )

    def claims(self, resource: str) -> bool:
        """Whether this is an aws-sdk resource at all."""
        return resource.startswith(f"{PREFIX}aws-sdk:")

    def accepts(self, resource: str) -> str | None:
        """None when service and action exist, else a sentence with what comes close."""
        target = find(resource)
        return target if isinstance(target, str) else None

    def check_arguments(self, resource: str, template: Json) -> list[str]:
        """What is wrong with the names of the parameters: unknown ones, required ones that are missing."""
        target = find(resource)
        if isinstance(target, str):
            return [target]
        shape = target.operation.input_shape
        names = members_by_name(shape) if shape is not None else {}
        given = {name.removesuffix(".$") for name in template} if isinstance(template, Mapping) else set()
        faults = [
            f"{resource} has no parameter {name!r}{near(name, {key: key for key in names})}"
            for name in sorted(given - set(names))
        ]
        known = {names[name] for name in given & set(names)}
        needed = missing_members(shape, dict.fromkeys(known)) if shape is not None else []
        # A client token is filled in for the caller.
        missing = [member(name) for name in needed if not _is_token(shape.members[name])]
        return faults + [f"{resource} needs the parameter {name!r}; it is missing" for name in missing]

    def jobs(self, _resource: str) -> Jobs | None:
        """AWS waits for no job of these."""
        return None

    def call(self, call: ServiceCall) -> Json:
        """Call the service. Raises StatesError, named as AWS names it."""
        target = find(call.resource)
        if isinstance(target, str):
            raise StatesError("States.Runtime", target)
        from botocore import xform_name  # noqa: PLC0415 -- see below
        from botocore.exceptions import (  # noqa: PLC0415 -- a tenth of a second that only calls need pay
            BotoCoreError,
            ClientError,
            ParamValidationError,
        )

        parameters = _parameters(target, call)
        model, operation = target.model, target.operation
        title = service_title(str(model.service_id))
        try:
            answer = call.send(target.boto3_name, xform_name(target.name), parameters)
            set_right(target.boto3_name, target.name, parameters, answer)
            return to_json(operation.output_shape, answer, f"aws-sdk:{target.service}", call.limit_bytes)
        except ParamValidationError as fault:
            raise aws_faults.invalid(fault, model) from fault
        except ClientError as fault:
            raise aws_faults.refused(fault, model, operation) from fault
        except BotoCoreError as fault:
            raise aws_faults.not_reached(title, fault) from fault


def find(resource: str) -> Target | str:
    """Take a resource apart; a sentence when service or action do not exist or the form is not supported."""
    base, pattern = split_form(resource)
    match = _RESOURCE.fullmatch(base.removeprefix(f"{PREFIX}aws-sdk:"))
    if match is None:
        return f"{resource} should read {PREFIX}aws-sdk:SERVICE:ACTION, as in aws-sdk:s3:getObject"
    service, action = match["service"], match["action"]
    if pattern not in {"", CALLBACK}:
        return (
            f"{resource}: the form {pattern} of aws-sdk resources does not exist; they have "
            f"request-response and {CALLBACK}"
        )
    boto3_name = services().get(service)
    if boto3_name is None:
        names = {**services(), **{name: name for name in services().values()}}
        instead = [java for java, name in services().items() if name == service]
        hint = f"; AWS calls it {instead[0]} here" if instead else near(service, names)
        return f"{resource}: there is no service {service!r}{hint}"
    known = actions(boto3_name)
    if action not in known:
        return f"{resource}: the service {service} has no action {action!r}{near(action, known)}"
    target = Target(service, boto3_name, known[action])
    if target.operation.has_event_stream_output or target.operation.has_event_stream_input:
        return f"{resource}: its answer is a stream of events, which no state can hold; use a function"
    return target


def _is_token(shape: Any) -> bool:
    return bool(shape.metadata.get("idempotencyToken"))


def _parameters(target: Target, call: ServiceCall) -> dict[str, Any]:
    """Give the keyword arguments of the boto3 call, with what the SDK fills in itself."""
    shape = target.operation.input_shape
    if shape is None:
        return {}
    faults: list[str] = []
    parameters = to_parameters(shape, {} if call.arguments is None else call.arguments, faults)
    if faults:
        raise aws_faults.unusable(call.arguments, faults)
    for name, inner in shape.members.items():
        if _is_token(inner) and name not in parameters:
            # Derived, where the SDK would draw one: a task that is handed out again is one request.
            parameters[name] = client_token(call, name)
    missing = missing_members(shape, parameters)
    if missing:
        raise aws_faults.required(missing, target.model)
    payload = shape.serialization.get("payload")
    if payload in parameters and isinstance(parameters[payload], bytes) and "ContentType" in shape.members:
        # What the Java SDK says of a body made from text.
        parameters.setdefault("ContentType", "text/plain; charset=UTF-8")
    return parameters


INTEGRATION: Integration = AwsSdk()
