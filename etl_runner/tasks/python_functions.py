"""Task resources that mean a function of ours: Lambda ARNs and the `lambda:invoke` integration."""

import logging
import time
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Final

from etl_runner.arn import DEFAULT_ACCOUNT, DEFAULT_REGION
from etl_runner.jsontypes import Json, dumps_text, loads
from etl_runner.tasks.contract import Failed, Invocation, LogLine, Outcome, Progress, Sink, Succeeded
from etl_runner.tasks.functions import FunctionRegistry, FunctionSpec, Reference
from etl_runner.tasks.report import tell_outcome
from etl_runner.tasks.threads import ThreadFunctions
from etl_runner.tasks.workers import WorkerPool

log = logging.getLogger(__name__)

INVOKE: Final = "arn:aws:states:::lambda:invoke"
INVOKE_FIELDS: Final = ("ClientContext", "FunctionName", "InvocationType", "LogType", "Payload", "Qualifier")
INVOCATION_TYPES: Final = ("RequestResponse", "Event", "DryRun")
TASK_NAME: Final = "lambda"
"""What AWS blames a result of lambda:invoke on that is too big."""


class PythonFunctions:
    """The Invoker of functions bound in functions.yaml, in worker processes or threads as each says.

    `account` and `region` complete a name in the error for a function that does not exist.
    """

    def __init__(
        self,
        registry: FunctionRegistry,
        pool: WorkerPool,
        threads: ThreadFunctions,
        *,
        account: str = DEFAULT_ACCOUNT,
        region: str = DEFAULT_REGION,
    ) -> None:
        self.registry = registry
        self._pool = pool
        self._threads = threads
        self._account = account
        self._region = region

    @property
    def offers(self) -> tuple[str, ...]:
        """The resources it can do."""
        return ("functions bound in functions.yaml (arn:aws:lambda:REGION:ACCOUNT:function:NAME)", INVOKE)

    def claims(self, resource: str) -> bool:
        """Whether this resource is this invoker's business, known function or not."""
        parts = resource.split(":", 3)  # the partition may be aws-cn or aws-us-gov too
        is_lambda = len(parts) == 4 and parts[0] == "arn" and parts[2] == "lambda"
        return is_lambda or resource.split(".", maxsplit=1)[0] == INVOKE

    def accepts(self, resource: str) -> str | None:
        """None when this resource can be invoked, else a sentence saying why not and what to do."""
        if resource.startswith(INVOKE):
            return refused_form(resource)
        return (
            None if self.registry.find(resource) else f"{resource}: {self.registry.explain_missing(resource)}"
        )

    def check_arguments(self, resource: str, template: Json) -> list[str]:
        """What is wrong with the literal parts of Parameters; what `name.$` fields hold is not known yet."""
        if resource != INVOKE:
            return []
        if not isinstance(template, Mapping):
            return [f"{INVOKE} needs Parameters with FunctionName; there are none"]
        names = {name.removesuffix(".$") for name in template}
        faults = [
            f"{INVOKE} has no parameter {name!r}; it takes {', '.join(INVOKE_FIELDS)}"
            for name in sorted(names - set(INVOKE_FIELDS))
        ]
        if "FunctionName" not in names:
            faults.append(f"{INVOKE} needs the parameter FunctionName; it is missing")
        name = template.get("FunctionName")
        if isinstance(name, str) and self.registry.find(name) is None:
            faults.append(f"{INVOKE} with FunctionName {name!r}: {self.registry.explain_missing(name)}")
        kind = template.get("InvocationType", INVOCATION_TYPES[0])
        if kind not in INVOCATION_TYPES:
            faults.append(f"{INVOKE} has InvocationType {kind!r}; it takes {', '.join(INVOCATION_TYPES)}")
        return faults

    def start(self, invocation: Invocation, sink: Sink) -> None:
        """Begin; the outcome goes to the sink."""
        if invocation.resource == INVOKE:
            self._invoke(invocation, sink)
            return
        spec = self.registry.find(invocation.resource)
        if spec is None:
            tell_outcome(sink, self._missing(invocation.token, invocation.resource))
        else:
            self._submit(spec, invocation, sink)

    def cancel(self, token: str) -> None:
        """Stop working for this token: a worker is killed, a thread's answer dropped."""
        self._pool.cancel(token)
        self._threads.cancel(token)

    def renew(self, environment: Mapping[str, str] | None = None) -> None:
        """Run the code as it is on the disk now, from the next call on. See WorkerPool.renew."""
        self._pool.renew(environment)
        self._threads.renew()

    def close(self, grace_s: float) -> None:
        """Take no more work, let what runs finish for up to `grace_s` seconds, then end it."""
        until_s = time.monotonic() + grace_s
        self._pool.close(grace_s)
        self._threads.close(max(0.0, until_s - time.monotonic()))

    def _submit(self, spec: FunctionSpec, invocation: Invocation, sink: Sink, task: str = "") -> None:
        runner = self._threads if spec.run_in == "thread" else self._pool
        runner.submit(spec, invocation, sink, task)

    def _missing(self, token: str, text: str) -> Failed:
        reference = Reference.parse(text) or Reference(name=text)
        arn = (
            f"arn:{reference.partition or 'aws'}:lambda:{reference.region or self._region}:"
            f"{reference.account or self._account}:function:{reference.name}:{reference.qualifier}"
        )
        cause = (
            f"Function not found: {arn} (Service: AWSLambda; Status Code: 404; Error Code: "
            f"ResourceNotFoundException; Request ID: {uuid.uuid4()}; Proxy: null)"
        )
        return Failed(token=token, error="Lambda.ResourceNotFoundException", cause=cause)

    def _invoke(self, invocation: Invocation, sink: Sink) -> None:
        arguments, token = invocation.arguments, invocation.token
        faults = self.check_values(arguments)
        if faults:
            cause = (
                f"The Parameters '{dumps_text(arguments)}' could not be used to start the Task: "
                f"[{', '.join(faults)}]"
            )
            tell_outcome(sink, Failed(token=token, error="States.Runtime", cause=cause))
            return
        spec = self.registry.find(arguments["FunctionName"])
        if spec is None:
            tell_outcome(sink, self._missing(token, arguments["FunctionName"]))
            return
        kind = arguments.get("InvocationType", INVOCATION_TYPES[0])
        if kind == "DryRun":
            tell_outcome(sink, Succeeded(token=token, output=invoke_result("", 204)))
            return
        inner = replace(invocation, resource=spec.arn, arguments=payload(arguments.get("Payload")))
        shape = _event_outcome if kind == "Event" else _response_outcome
        self._submit(spec, inner, ShapingSink(sink, shape), TASK_NAME)

    def check_values(self, arguments: Json) -> list[str]:
        """Why these arguments of lambda:invoke cannot be used, in AWS's words where they are known."""
        if not isinstance(arguments, Mapping):
            return ["The parameters must be an OBJECT"]
        faults = [
            f"The field '{name}' is not supported by Step Functions"
            for name in sorted(set(arguments) - set(INVOKE_FIELDS))
        ]
        name = arguments.get("FunctionName")
        if not isinstance(name, str):
            missing = "is required but was missing" if name is None else "must be a STRING"
            faults.append(f"The field 'FunctionName' {missing}")
        kind = arguments.get("InvocationType", INVOCATION_TYPES[0])
        if kind not in INVOCATION_TYPES:
            faults.append(f"The field 'InvocationType' must be one of {', '.join(INVOCATION_TYPES)}")
        return faults


def refused_form(resource: str) -> str | None:
    """What is wrong with a resource that begins like lambda:invoke; None for lambda:invoke itself."""
    if resource == INVOKE:
        return None
    return (
        f"{resource}: the form {resource.removeprefix(INVOKE)} of lambda:invoke is not supported yet, it "
        f"comes with a later release; use {INVOKE} or the function's own ARN"
    )


def payload(value: Json) -> Json:
    """What the function gets for Payload: null is `{}`, a string that holds JSON is that JSON.

    Source: recorded on AWS (Payload "0.0" reaches the function as a number, "[]" as a list).
    """
    if value is None:
        return {}
    if isinstance(value, str):
        try:
            return loads(value)
        except ValueError:
            return value
    return value


def invoke_result(result: Json, status: int) -> Json:
    """The result of lambda:invoke as AWS shapes it, HTTP metadata included."""
    request_id = str(uuid.uuid4())
    headers = {
        "Connection": "keep-alive",
        "Content-Length": str(len(dumps_text(result).encode()) if status == 200 else 0),
        "Content-Type": "application/json",
        "X-Amz-Executed-Version": "$LATEST",
        "x-amzn-Remapped-Content-Length": "0",
        "x-amzn-RequestId": request_id,
    }
    return {
        "ExecutedVersion": "$LATEST",
        "Payload": result,
        "SdkHttpMetadata": {
            "AllHttpHeaders": {name: [value] for name, value in headers.items()},
            "HttpHeaders": headers,
            "HttpStatusCode": status,
        },
        "SdkResponseMetadata": {"RequestId": request_id},
        "StatusCode": status,
    }


def _response_outcome(outcome: Outcome) -> Outcome:
    if isinstance(outcome, Succeeded):
        return replace(outcome, output=invoke_result(outcome.output, 200))
    return outcome


def _event_outcome(outcome: Outcome) -> Outcome:
    # AWS answers before the function runs and keeps the event in a queue of its own. There is no such queue
    # here, so the answer waits until the function has ended: a crash in between hands it out again, where
    # answering first would lose it. How it ended is no business of the state's, as on AWS.
    if isinstance(outcome, Failed):
        log.warning("a function invoked as Event failed: %s: %s", outcome.error, outcome.cause)
    written = outcome.written if isinstance(outcome, Succeeded | Failed) else ()
    return Succeeded(token=outcome.token, output=invoke_result("", 202), written=written)


@dataclass(frozen=True, slots=True)
class ShapingSink:
    """Passes everything on, outcomes in another shape."""

    to: Sink
    shape: Callable[[Outcome], Outcome]

    def outcome(self, outcome: Outcome) -> None:
        """Hand on the outcome in its new shape."""
        self.to.outcome(self.shape(outcome))

    def heartbeat(self, token: str) -> None:
        """Hand on."""
        self.to.heartbeat(token)

    def log(self, line: LogLine) -> None:
        """Hand on."""
        self.to.log(line)

    def progress(self, progress: Progress) -> None:
        """Hand on."""
        self.to.progress(progress)
