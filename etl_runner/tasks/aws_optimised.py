"""What the optimised integrations (sns:publish, sqs:sendMessage ...) have in common.

Their results carry the SDK's metadata, their errors speak in the words of Java SDK 1.
"""

from collections.abc import Callable, Mapping
from typing import Any, Final

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json
from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_models import near, service_model
from etl_runner.tasks.aws_shapes import check_size, to_parameters
from etl_runner.tasks.integration import PREFIX, ServiceCall

_HEADERS: Final = {
    # botocore gives header names in small letters; these are AWS's own.
    "content-length": "Content-Length",
    "content-type": "Content-Type",
    "date": "Date",
    "x-amzn-requestid": "x-amzn-RequestId",
}


class Optimised:
    """One action of one service as an optimised integration: `arn:aws:states:::SERVICE:ACTION`.

    `fields` are the parameters that AWS documents for it, `operation` the API's name of the action, `title`
    the service in error names. `prepare` changes parameters as AWS does before they are sent, and raises
    StatesError for those that it refuses.
    """

    def __init__(
        self,
        name: str,
        summary: str,
        *,
        service: str,
        operation: str,
        title: str,
        fields: tuple[str, ...],
        required: tuple[str, ...],
        prepare: Callable[[dict[str, Json]], dict[str, Json]],
    ) -> None:
        self.name = name
        self.pattern = name
        self.summary = summary
        self.examples: tuple[str, ...] = (f"{PREFIX}{name}",)
        self._service = service
        self._operation = operation
        self._title = title
        self._fields = fields
        self._required = required
        self._prepare = prepare

    def claims(self, resource: str) -> bool:
        """Whether this is the service's resource, in whatever form."""
        return resource.startswith(f"{PREFIX}{self._service}:")

    def accepts(self, resource: str) -> str | None:
        """None for the plain form of the action, else a sentence."""
        own = self.examples[0]
        if resource == own:
            return None
        action, _, pattern = resource.removeprefix(PREFIX).partition(".")
        if action == self.name:
            return (
                f"{resource}: the form .{pattern} of {self.name} is not supported yet, it comes with a later "
                f"release; use {own}"
            )
        other = f"{PREFIX}aws-sdk:{action}"
        return f"{resource} is no resource of Step Functions; there is {own}, and {other} for other actions"

    def check_arguments(self, resource: str, template: Json) -> list[str]:
        """What is wrong with the names of the parameters: unknown ones, required ones that are missing."""
        given = {name.removesuffix(".$") for name in template} if isinstance(template, Mapping) else set()
        known = dict.fromkeys(self._fields, "")
        faults = [
            f"{resource} has no parameter {name!r}{near(name, known)}"
            for name in sorted(given - set(self._fields))
        ]
        missing = [name for name in self._required if name not in given]
        return faults + [f"{resource} needs the parameter {name!r}; it is missing" for name in missing]

    def call(self, call: ServiceCall) -> Json:
        """Call the service. Raises StatesError, named as AWS names it."""
        from botocore import xform_name  # noqa: PLC0415 -- a tenth of a second that only calls need pay
        from botocore.exceptions import BotoCoreError, ClientError, ParamValidationError  # noqa: PLC0415

        model = service_model(self._service)
        operation = model.operation_model(self._operation)
        parameters = self._parameters(call.arguments, operation.input_shape)
        try:
            answer = call.send(self._service, xform_name(self._operation), parameters)
        except ParamValidationError as fault:
            message = " ".join(str(fault).split())
            name = f"{self._title}.Amazon{self._title}Exception"
            raise aws_faults.v1(
                name, message, self._title, status=400, code="InvalidParameterValue"
            ) from fault
        except ClientError as fault:
            raise aws_faults.refused_v1(fault, model, operation, self._title) from fault
        except BotoCoreError as fault:
            raise aws_faults.not_reached(self._title, fault) from fault
        # Java SDK 1 keeps the API's own casing (MD5OfMessageBody), and these answers are flat texts.
        result = {name: answer[name] for name in operation.output_shape.members if name in answer}
        result |= sdk_metadata(answer["ResponseMetadata"])
        check_size(result, self.name)
        return result

    def _parameters(self, arguments: Json, shape: Any) -> dict[str, Any]:
        if not isinstance(arguments, Mapping):
            raise aws_faults.unusable(arguments, ["The parameters must be an OBJECT"])
        unknown = sorted(set(arguments) - set(self._fields))
        faults = [f"The field '{name}' is not supported by Step Functions" for name in unknown]
        given = {name: value for name, value in arguments.items() if value is not None}
        if not faults:
            given = self._prepare(given)
        parameters = to_parameters(shape, given, faults)
        if faults:
            raise aws_faults.unusable(arguments, faults)
        return parameters


def sdk_metadata(metadata: Mapping[str, Any]) -> dict[str, Json]:
    """SdkHttpMetadata and SdkResponseMetadata of a result, from boto3's ResponseMetadata."""
    headers = {_HEADERS.get(name, name): value for name, value in metadata.get("HTTPHeaders", {}).items()}
    return {
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in headers.items()},
            "HttpHeaders": headers,
            "HttpStatusCode": metadata.get("HTTPStatusCode", 200),
        },
        "SdkResponseMetadata": {"RequestId": metadata.get("RequestId", "")},
    }


def missing_parameter(title: str, name: str) -> StatesError:
    """A required parameter is null, in the words that SQS has for it (recorded on AWS)."""
    message = f"The request must contain the parameter {name}."
    return aws_faults.v1(
        f"{title}.Amazon{title}Exception", message, title, status=400, code="MissingParameter"
    )
