"""`bedrock:invokeModel` and `createModelCustomizationJob`: models of Amazon Bedrock."""

from typing import Any, Final

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, dumps, loads
from etl_runner.tasks import aws_faults
from etl_runner.tasks.aws_jobs import Job
from etl_runner.tasks.aws_optimised import JOB, Action, Optimised, Service, send
from etl_runner.tasks.aws_shapes import check_size
from etl_runner.tasks.integration import Integration, ServiceCall

SERVICE = Service(name="bedrock", boto3_name="bedrock", title="Bedrock", long_title="AmazonBedrock")
RUNTIME = Service(
    name="bedrock", boto3_name="bedrock-runtime", title="Bedrock", long_title="AmazonBedrockRuntime"
)
_FIELDS: Final = ("Accept", "Body", "ContentType", "Input", "ModelId", "Output")


class Bedrock(Optimised):
    """Calls models through the runtime API, anything else through Bedrock's own."""

    def call(self, call: ServiceCall) -> Json:
        """Call Bedrock. Raises StatesError, named as AWS names it."""
        return invoke_model(call) if call.base.endswith(":invokeModel") else super().call(call)


def invoke_model(call: ServiceCall) -> Json:
    """Call a model with JSON, given in the task or in an object of S3, which may also take the answer."""
    faults = check_values(call.arguments)
    if faults:
        raise aws_faults.unusable(call.arguments, faults)
    given = {name: value for name, value in call.arguments.items() if value is not None}
    operation = RUNTIME.model.operation_model("InvokeModel")
    body = given.get("Body")
    source = (given.get("Input") or {}).get("S3Uri")
    sent = _read(source, call) if source else body.encode() if isinstance(body, str) else dumps(body)
    kind = given.get("ContentType", "application/json")
    answer = send(
        RUNTIME,
        operation,
        {
            "modelId": given["ModelId"],
            "body": sent,
            "contentType": kind,
            "accept": given.get("Accept", "application/json"),
        },
        call,
        refused=refused,
    )
    raw: bytes = answer["body"].read()
    target = (given.get("Output") or {}).get("S3Uri")
    shown: dict[str, Json]
    if target:
        _write(target, raw, answer["contentType"], call)
        shown = {"Output": {"S3Uri": target}, "ContentType": answer["contentType"]}
    else:
        shown = {"Body": _parsed(raw), "ContentType": answer["contentType"]}
    check_size(shown, "bedrock", call.limit_bytes)
    return shown


def check_values(arguments: Json) -> list[str]:
    """Why the parameters of invokeModel cannot be used."""
    if not isinstance(arguments, dict):
        return ["The parameters must be an OBJECT"]
    faults = aws_faults.unknown_fields(arguments, _FIELDS)
    if not isinstance(arguments.get("ModelId"), str):
        faults.append("The field 'ModelId' is required but was missing")
    for name in ("Input", "Output"):
        held = arguments.get(name)
        if held is not None and not (isinstance(held, dict) and str(held.get("S3Uri")).startswith("s3://")):
            faults.append(f"The field '{name}' must hold an S3Uri")
    if ("Body" in arguments) == ("Input" in arguments):
        faults.append("Exactly one of the fields 'Body' and 'Input' is required")
    return faults


def refused(fault: Any, _call: ServiceCall) -> StatesError | None:
    """An error answer in the words of Java SDK 2, which this integration uses."""
    model = RUNTIME.model
    told = aws_faults.refused(fault, model, model.operation_model("InvokeModel"))
    return StatesError(f"Bedrock.{told.error.partition('.')[2]}", told.cause)


def _place(uri: str) -> dict[str, str]:
    bucket, _, key = uri.removeprefix("s3://").partition("/")
    return {"Bucket": bucket, "Key": key}


def _read(uri: str, call: ServiceCall) -> bytes:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 -- slow to import

    try:
        data: bytes = call.send("s3", "get_object", _place(uri))["Body"].read()
    except (BotoCoreError, ClientError) as fault:
        raise StatesError("Bedrock.S3Exception", f"{uri} could not be read: {fault}") from fault
    return data


def _write(uri: str, body: bytes, kind: str, call: ServiceCall) -> None:
    from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 -- slow to import

    try:
        call.send("s3", "put_object", {**_place(uri), "Body": body, "ContentType": kind})
    except (BotoCoreError, ClientError) as fault:
        raise StatesError("Bedrock.S3Exception", f"{uri} could not be written: {fault}") from fault


def _parsed(raw: bytes) -> Json:
    try:
        return loads(raw)
    except ValueError:
        return raw.decode(errors="replace")


INTEGRATION: Integration = Bedrock(
    SERVICE,
    "Call a model of Amazon Bedrock, or customise one; .sync waits for the customisation's end",
    Action(name="invokeModel", fields=_FIELDS, required=("ModelId",)),
    Action(
        name="createModelCustomizationJob",
        forms=JOB,
        job=Job(
            describe="GetModelCustomizationJob",
            asks=lambda submitted, _call: {"jobIdentifier": submitted["JobArn"]},
            status="status",
            done=frozenset({"Completed"}),
            failed=frozenset({"Failed", "Stopped"}),
            cancel="StopModelCustomizationJob",
        ),
    ),
)
