"""Task resources that mean a function of ours: Lambda ARNs and the `lambda:invoke` integration."""

import json
import logging
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from functools import partial
from typing import Final

from etl_runner.arn import DEFAULT_ACCOUNT, DEFAULT_REGION
from etl_runner.jsontypes import Json
from etl_runner.tasks import aws_faults
from etl_runner.tasks.contract import (
    Failed,
    Invocation,
    LogLine,
    Outcome,
    Pending,
    Progress,
    Sink,
    Succeeded,
)
from etl_runner.tasks.functions import FunctionRegistry, FunctionSpec, Reference
from etl_runner.tasks.integration import CALLBACK, PREFIX, split_form
from etl_runner.tasks.lambda_calls import (
    INVOCATION_TYPES,
    INVOKE,
    INVOKE_FIELDS,
    check_values,
    invoke_result,
    missing,
    payload,
)
from etl_runner.tasks.report import tell_outcome
from etl_runner.tasks.router import Route
from etl_runner.tasks.threads import ThreadFunctions
from etl_runner.tasks.workers import WorkerPool

log = logging.getLogger(__name__)

TASK_NAME: Final = "lambda"
"""What AWS blames a result of lambda:invoke on that is too big."""


class PythonFunctions:
    """The Invoker of functions bound in functions.yaml, in worker processes or threads as each says.

    What is not bound is handed on to `elsewhere`, which calls Lambda's API; without it the function does not
    exist, and `account` and `region` complete its name in the error. `in_aws` says that definitions may name
    functions that are bound nowhere, because they live in AWS.
    """

    def __init__(
        self,
        registry: FunctionRegistry,
        pool: WorkerPool,
        threads: ThreadFunctions,
        *,
        account: str = DEFAULT_ACCOUNT,
        region: str = DEFAULT_REGION,
        elsewhere: Route | None = None,
        in_aws: bool = False,
    ) -> None:
        self.registry = registry
        self._pool = pool
        self._threads = threads
        self._account = account
        self._region = region
        self._elsewhere = elsewhere
        self._in_aws = in_aws

    @property
    def offers(self) -> tuple[str, ...]:
        """The resources it can do."""
        return ("functions bound in functions.yaml (arn:aws:lambda:REGION:ACCOUNT:function:NAME)", INVOKE)

    def claims(self, resource: str) -> bool:
        """Whether this resource is this invoker's business, known function or not."""
        parts = resource.split(":", 3)  # the partition may be aws-cn or aws-us-gov too
        is_lambda = len(parts) == 4 and parts[0] == "arn" and parts[2] == "lambda"
        return is_lambda or split_form(resource)[0] == INVOKE

    def accepts(self, resource: str) -> str | None:
        """None when this resource can be invoked, else a sentence saying why not and what to do."""
        if refused := self.invokable(resource):
            return refused
        if self._in_aws or resource.startswith(PREFIX) or self.registry.find(resource):
            return None
        return f"{resource}: {self.registry.explain_missing(resource)}"

    def invokable(self, resource: str) -> str | None:
        """As `accepts`, but a function may also be bound nowhere: Lambda's API says whether it exists."""
        return refused_form(resource)

    def check_arguments(self, resource: str, template: Json) -> list[str]:
        """What is wrong with the literal parts of Parameters; what `name.$` fields hold is not known yet."""
        if split_form(resource)[0] != INVOKE:
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
        literal = isinstance(name, str) and not name.startswith("{%")  # JSONata is for the run to evaluate
        if literal and not self._in_aws and self.registry.find(str(name)) is None:
            faults.append(f"{INVOKE} with FunctionName {name!r}: {self.registry.explain_missing(str(name))}")
        kind = template.get("InvocationType", INVOCATION_TYPES[0])
        if kind not in INVOCATION_TYPES and not str(kind).startswith("{%"):
            faults.append(f"{INVOKE} has InvocationType {kind!r}; it takes {', '.join(INVOCATION_TYPES)}")
        return faults

    def start(self, invocation: Invocation, sink: Sink) -> None:
        """Begin; the outcome goes to the sink."""
        if invocation.resource.startswith(PREFIX):
            self._invoke(invocation, sink)
            return
        spec = self.registry.find(invocation.resource)
        if spec is None:
            self._call_elsewhere(invocation, invocation.resource, sink)
        else:
            self._submit(spec, invocation, sink)

    def cancel(self, token: str) -> None:
        """Stop working for this token: a worker is killed, a thread's answer dropped."""
        self._pool.cancel(token)
        self._threads.cancel(token)
        if self._elsewhere is not None:
            self._elsewhere.cancel(token)

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

    def _call_elsewhere(self, invocation: Invocation, name: str, sink: Sink) -> None:
        if self._elsewhere is not None:
            self._elsewhere.start(invocation, sink)
            return
        fault = missing(name, region=self._region, account=self._account)
        tell_outcome(sink, Failed(token=invocation.token, error=fault.error, cause=fault.cause))

    def _invoke(self, invocation: Invocation, sink: Sink) -> None:
        arguments, token = invocation.arguments, invocation.token
        faults = check_values(arguments)
        if faults:
            fault = aws_faults.unusable(arguments, faults)
            tell_outcome(sink, Failed(token=token, error=fault.error, cause=fault.cause))
            return
        spec = self.registry.find(arguments["FunctionName"])
        if spec is None:
            self._call_elsewhere(invocation, arguments["FunctionName"], sink)
            return
        waits = split_form(invocation.resource)[1] == CALLBACK
        kind = arguments.get("InvocationType") or INVOCATION_TYPES[0]
        if kind == "DryRun":
            tell_outcome(sink, _answer(token, invoke_result("", 204, size=0), waits=waits))
            return
        inner = replace(invocation, resource=spec.arn, arguments=payload(arguments.get("Payload")))
        shape = partial(_event_outcome if kind == "Event" else _response_outcome, waits=waits)
        self._submit(spec, inner, ShapingSink(sink, shape), TASK_NAME)


def refused_form(resource: str) -> str | None:
    """What is wrong with a resource of Lambda's; None for lambda:invoke in its forms and for an ARN."""
    base, form = split_form(resource)
    if base == INVOKE:
        if form in {"", CALLBACK}:
            return None
        return (
            f"{resource}: the form {form} of lambda:invoke does not exist; it has request-response and "
            f"{CALLBACK}"
        )
    if Reference.reads_as_arn(resource):
        return None
    return f"{resource} is no function's ARN; it should read arn:aws:lambda:REGION:ACCOUNT:function:NAME"


def _answer(token: str, output: Json, *, waits: bool, written: tuple[Json, ...] = ()) -> Outcome:
    if waits:
        return Pending(token=token, output=output)
    return Succeeded(token=token, output=output, written=written)


def _response_outcome(outcome: Outcome, *, waits: bool) -> Outcome:
    if not isinstance(outcome, Succeeded):
        return outcome
    # Lambda's runtime for Python writes its answer with a space after each comma and colon.
    size = len(json.dumps(outcome.output, ensure_ascii=False).encode(errors="replace"))
    output = invoke_result(outcome.output, 200, size=size)
    return _answer(outcome.token, output, waits=waits, written=outcome.written)


def _event_outcome(outcome: Outcome, *, waits: bool) -> Outcome:
    # AWS answers before the function runs and keeps the event in a queue of its own. There is no such queue
    # here, so the answer waits until the function has ended: a crash in between hands it out again, where
    # answering first would lose it. How it ended is no business of the state's, as on AWS.
    if isinstance(outcome, Failed):
        log.warning("a function invoked as Event failed: %s: %s", outcome.error, outcome.cause)
    written = outcome.written if isinstance(outcome, Succeeded | Failed) else ()
    return _answer(outcome.token, invoke_result("", 202, size=0), waits=waits, written=written)


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
