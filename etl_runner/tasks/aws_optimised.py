"""The optimised integrations (sns:publish, ecs:runTask.sync ...), as tables: a service and its actions.

Their results and errors are those of Java SDK 1: members keep the API's casing but for the first letter,
times are milliseconds, a request-response result carries the SDK's metadata. Jobs (`.sync`) are in aws_jobs.
"""

import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Protocol

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_metadata import profile_of, sdk_metadata, wire_body
from etl_runner.tasks.aws_models import near, service_model
from etl_runner.tasks.aws_naming import member
from etl_runner.tasks.aws_shapes import (
    check_size,
    in_order,
    missing_members,
    to_json_v1,
    to_parameters,
)
from etl_runner.tasks.integration import CALLBACK, PLAIN, PREFIX, SYNC, SYNC2, Jobs, ServiceCall, split_form
from etl_runner.tasks.stand_ins import set_right

TOKENS: Final = uuid.UUID("2f3a8a4c-6f0e-5a51-9f0a-1c4a1f3de2b7")
"""A namespace of its own for client tokens that are derived from idempotency keys."""

Given = dict[str, Json]
Prepare = Callable[[Given, ServiceCall], Given]
Answer = dict[str, Any]


class Describes(Protocol):
    """How the job of an action is looked after; see aws_jobs.Job."""

    def of(self, service: "Service") -> Jobs:
        """The jobs of the action in this service."""
        ...


def unchanged(given: Given, _call: ServiceCall) -> Given:
    """Send the parameters as they are."""
    return given


def with_metadata(service: "Service", operation: Any, answer: Answer) -> Json:
    """The usual result: the answer's members and the SDK's metadata."""
    body = wire_body(service.model, operation, answer)
    result = to_json_v1(operation.output_shape, answer)
    return in_order(result | sdk_metadata(profile_of(service.model), answer["ResponseMetadata"], body))


@dataclass(frozen=True, slots=True, kw_only=True)
class Action:
    """One action: its name in a resource, the API's operation, and where AWS does not just pass things on.

    `fields` are the parameters that Step Functions takes, None for all that the operation has. `required`
    are those that it asks for itself. `defaults` are fields that it fills in. `prepare` changes parameters
    before they are checked and sent; `result` makes the result of the answer. `job` is there for `.sync`.
    """

    name: str
    operation: str = ""
    forms: tuple[str, ...] = (PLAIN,)
    fields: tuple[str, ...] | None = None
    required: tuple[str, ...] = ()
    prepare: Prepare = unchanged
    result: Callable[["Service", Any, Answer], Json] = with_metadata
    refused: Callable[[Any, ServiceCall], StatesError | None] | None = None
    job: Describes | None = None

    @property
    def api_name(self) -> str:
        """The API's name of the operation."""
        return self.operation or self.name[:1].upper() + self.name[1:]


@dataclass(frozen=True, slots=True, kw_only=True)
class Service:
    """A service: its name in resources, boto3's, in error names, and in the texts of causes."""

    name: str
    boto3_name: str
    title: str
    long_title: str

    @property
    def model(self) -> Any:
        """Botocore's model of it."""
        return service_model(self.boto3_name)


class Optimised:
    """One service's optimised actions: `arn:aws:states:::SERVICE:ACTION` in their forms."""

    def __init__(self, service: Service, summary: str, *actions: Action) -> None:
        self.service = service
        self.name = service.name
        self.summary = summary
        self.actions = {action.name: action for action in actions}
        self.pattern = f"{service.name}:{'|'.join(self.actions)}"
        self.examples: tuple[str, ...] = tuple(
            f"{PREFIX}{service.name}:{action.name}{form}" for action in actions for form in action.forms
        )

    def claims(self, resource: str) -> bool:
        """Whether this is the service's resource, in whatever form."""
        return resource.startswith(f"{PREFIX}{self.name}:")

    def accepts(self, resource: str) -> str | None:
        """None for an action in one of its forms, else a sentence saying what there is."""
        base, form = split_form(resource)
        name = base.removeprefix(f"{PREFIX}{self.name}:")
        action = self.actions.get(name)
        if action is None:
            return (
                f"{resource} is no resource of Step Functions: {self.name} has {', '.join(self.actions)}, "
                f"and arn:aws:states:::aws-sdk:... other actions{near(name, dict.fromkeys(self.actions, ''))}"
            )
        if form in action.forms:
            return None
        has = ", ".join(known or "request-response" for known in action.forms)
        wants = form or "request-response"
        return f"{resource}: the form {wants} of {self.name}:{name} does not exist; it has {has}"

    def check_arguments(self, resource: str, template: Json) -> list[str]:
        """What is wrong with the names of the parameters: unknown ones, required ones that are missing."""
        action = self._action(resource)
        given = {name.removesuffix(".$") for name in template} if isinstance(template, Mapping) else set()
        known = self._fields(action)
        faults = [
            f"{resource} has no parameter {name!r}{near(name, known)}" for name in sorted(given - set(known))
        ]
        missing = [name for name in action.required if name not in given]
        return faults + [f"{resource} needs the parameter {name!r}; it is missing" for name in missing]

    def call(self, call: ServiceCall) -> Json:
        """Call the service. Raises StatesError, named as AWS names it."""
        action = self._action(call.resource)
        service, operation = self.service, self.service.model.operation_model(action.api_name)
        parameters = self._parameters(action, operation, call)
        answer = send(service, operation, parameters, call, refused=action.refused)
        result = action.result(service, operation, answer)
        check_size(result, service.name, call.limit_bytes)
        return result

    def jobs(self, resource: str) -> Jobs | None:
        """Who looks after the job of a `.sync` resource."""
        if split_form(resource)[1] not in {SYNC, SYNC2}:
            return None
        job = self._action(resource).job
        return job.of(self.service) if job is not None else None

    def _action(self, resource: str) -> Action:
        return self.actions[split_form(resource)[0].rpartition(":")[2]]

    def _fields(self, action: Action) -> dict[str, str]:
        if action.fields is not None:
            return dict.fromkeys(action.fields, "")
        shape = self.service.model.operation_model(action.api_name).input_shape
        return {member(name): name for name in (shape.members if shape is not None else ())}

    def _parameters(self, action: Action, operation: Any, call: ServiceCall) -> dict[str, Any]:
        arguments = call.arguments
        if not isinstance(arguments, Mapping):
            raise aws_faults.unusable(arguments, ["The parameters must be an OBJECT"])
        known = self._fields(action)
        faults = aws_faults.unknown_fields(arguments, {*known, *known.values()})
        if faults:
            raise aws_faults.unusable(arguments, faults)
        given = action.prepare({k: v for k, v in arguments.items() if v is not None}, call)
        shape = operation.input_shape
        parameters = to_parameters(shape, given, faults, sdk=1) if shape is not None else {}
        if faults:
            raise aws_faults.unusable(arguments, faults)
        for name, inner in shape.members.items() if shape is not None else ():
            if _makes_it_one(name, inner) and name not in parameters:
                parameters[name] = client_token(call, name)
        missing = missing_members(shape, parameters) if shape is not None else []
        if missing:
            raise aws_faults.required_v1(missing, self.service)
        return parameters


def _makes_it_one(name: str, shape: Any) -> bool:
    """Whether a parameter tells the same request again from another one.

    CodeBuild's model does not mark its own as such; Athena's marks a query's id, which nobody can make up.
    """
    marked = shape.metadata.get("idempotencyToken") or name == "idempotencyToken"
    return bool(marked and "token" in name.lower())


def client_token(call: ServiceCall, name: str = "") -> str:
    """A token that is the same for every hand-out of the same task attempt: it is one request."""
    return str(uuid.uuid5(TOKENS, f"{call.idempotency_key} {call.base} {name}"))


def send(
    service: Service,
    operation: Any,
    parameters: Mapping[str, Any],
    call: ServiceCall,
    *,
    refused: Callable[[Any, ServiceCall], StatesError | None] | None = None,
) -> Answer:
    """Send one request. Raises StatesError in the words of Java SDK 1; `refused` may know better ones."""
    from botocore import xform_name  # noqa: PLC0415 -- a tenth of a second that only calls need pay
    from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError  # noqa: PLC0415

    try:
        answer: Answer = call.send(service.boto3_name, xform_name(operation.name), parameters)
    except ParamValidationError as fault:
        raise aws_faults.invalid_v1(fault, service) from fault
    except ClientError as fault:
        known = refused(fault, call) if refused is not None else None
        raise known or aws_faults.refused_v1(fault, service, operation) from fault
    except BotoCoreError as fault:
        raise aws_faults.not_reached(service.title, fault) from fault
    set_right(service.boto3_name, operation.name, parameters, answer)
    return answer


def task_failed(cause: Json) -> StatesError:
    """The failure of a job: States.TaskFailed, with what is known of it as the cause."""
    return StatesError("States.TaskFailed", dumps_text(cause))


ALL_FORMS: Final = (PLAIN, SYNC, CALLBACK)
WITH_CALLBACK: Final = (PLAIN, CALLBACK)
JOB: Final = (PLAIN, SYNC)
