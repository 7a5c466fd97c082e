import json
import os
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.tasks.contract import Invocation, Pending, Sink, Succeeded
from etl_runner.tasks.functions import FunctionRegistry
from etl_runner.tasks.lambda_calls import INVOKE, payload
from etl_runner.tasks.python_functions import PythonFunctions
from etl_runner.tasks.router import TaskRouter
from etl_runner.tasks.services import Services
from etl_runner.tasks.threads import ThreadFunctions
from etl_runner.tasks.workers import WorkerPool
from tests.tasks.collector import ARN, Collector, invoke, spec


@pytest.fixture
def functions(pool: WorkerPool, monkeypatch: pytest.MonkeyPatch) -> Iterator[PythonFunctions]:
    monkeypatch.setattr(sys, "path", [*sys.path])  # functions in threads add to it
    registry = FunctionRegistry(
        [
            spec("echo"),
            spec("fail"),
            spec("sized"),
            spec("light", function="echo", run_in="thread"),
            spec("light-fail", function="fail", run_in="thread"),
            spec("light-write", function="write", run_in="thread"),
            spec("light-mutate", function="mutate", run_in="thread"),
            spec("light-say", function="say_and_report", run_in="thread"),
            spec("light-slow", function="read_fifo", run_in="thread", timeout_s=0.2),
            spec("light-patient", function="read_fifo", run_in="thread"),
            spec("light-unfit", function="unfit", run_in="thread"),
        ]
    )
    threads = ThreadFunctions(2)
    made = PythonFunctions(registry, pool, threads)
    yield made
    made.close(0)


def lambda_invoke(**parameters: Any) -> Invocation:
    return invoke(parameters, resource=INVOKE)


def run(functions: PythonFunctions, sink: Sink, name: str, event: Any = None) -> str:
    job = invoke(event, resource=ARN + name)
    functions.start(job, sink)
    return job.token


@pytest.mark.parametrize("name", ["echo", "light"])
def test_a_lambda_arn_runs_where_its_function_says(
    functions: PythonFunctions, sink: Collector, name: str
) -> None:
    assert sink.succeeded(run(functions, sink, name, [1, {"a": "ü"}])).output == [1, {"a": "ü"}]


def test_a_thread_fails_and_writes_like_a_process(functions: PythonFunctions, sink: Collector) -> None:
    failed = sink.failed(run(functions, sink, "light-fail", "it is broken"))

    assert (failed.error, json.loads(failed.cause)["errorMessage"]) == ("CustomException", "it is broken")
    assert failed.written == ({"Bucket": "b", "Key": "before the failure"},)
    assert len(sink.succeeded(run(functions, sink, "light-write")).written) == 2
    assert sink.failed(run(functions, sink, "light-unfit", "nan")).error == "Runtime.MarshalError"


def test_a_thread_cannot_change_what_the_engine_holds(functions: PythonFunctions, sink: Collector) -> None:
    event: dict[str, list[str]] = {"items": []}

    assert sink.succeeded(run(functions, sink, "light-mutate", event)).output == {"items": ["mine"]}
    assert event == {"items": []}


def test_a_threads_logs_and_progress_stream(functions: PythonFunctions, sink: Collector) -> None:
    token = run(functions, sink, "light-say", "now")

    sink.succeeded(token)
    assert [(line.token, line.stream, line.text) for line in sink.logs] == [
        (token, "log", "INFO task_examples: to the log now")
    ]
    assert [(report.done, report.total) for report in sink.reports] == [(1, 2)]


def test_a_thread_over_its_time_is_told_and_its_late_answer_dropped(
    functions: PythonFunctions, sink: Collector, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    token = run(functions, sink, "light-slow", str(tmp_path / "fifo"))

    assert sink.failed(token).error == "Sandbox.Timedout"
    (tmp_path / "fifo").write_text("late")
    sink.succeeded(run(functions, sink, "light"))
    functions.close(10)
    assert len(sink.outcomes[token]) == 1


def test_a_cancelled_thread_has_no_outcome(
    functions: PythonFunctions, sink: Collector, tmp_path: Path
) -> None:
    os.mkfifo(tmp_path / "fifo")
    token = run(functions, sink, "light-patient", str(tmp_path / "fifo"))
    sink.wait_for_log()
    functions.cancel(token)
    (tmp_path / "fifo").write_text("late")

    functions.close(10)
    assert sink.outcomes == {}


def test_lambda_invoke_gives_awss_shape(functions: PythonFunctions, sink: Collector) -> None:
    functions.start(job := lambda_invoke(FunctionName="echo", Payload={"a": 1}), sink)

    output = sink.succeeded(job.token).output
    request_id = output["SdkResponseMetadata"]["RequestId"]
    http = output.pop("SdkHttpMetadata")
    assert output == {
        "ExecutedVersion": "$LATEST",
        "Payload": {"a": 1},
        "SdkResponseMetadata": {"RequestId": request_id},
        "StatusCode": 200,
    }
    assert http["HttpStatusCode"] == 200
    assert http["HttpHeaders"]["x-amzn-RequestId"] == request_id
    assert http["AllHttpHeaders"]["Content-Length"] == ["8"]  # as Python's json writes it


@pytest.mark.parametrize(
    ("given", "received"),
    [
        (None, {}),
        ("0.0", 0.0),
        ("[]", []),
        ('"text"', "text"),
        ("no json", "no json"),
        (True, True),
        ({"a": "[]"}, {"a": "[]"}),
    ],
)
def test_a_payload_reaches_the_function_as_on_aws(given: Any, received: Any) -> None:
    assert payload(given) == received


def test_lambda_invoke_passes_on_the_functions_own_error(functions: PythonFunctions, sink: Collector) -> None:
    functions.start(job := lambda_invoke(FunctionName=ARN + "fail", Payload="broken"), sink)

    assert sink.failed(job.token).error == "CustomException"


def test_too_big_a_result_is_blamed_on_lambda(functions: PythonFunctions, sink: Collector) -> None:
    functions.start(job := lambda_invoke(FunctionName="sized", Payload=300_000), sink)

    assert sink.failed(job.token).cause.startswith("The state/task 'lambda' returned a result with a size")


def test_a_function_that_is_gone_fails_in_awss_words(functions: PythonFunctions, sink: Collector) -> None:
    functions.start(by_name := lambda_invoke(FunctionName="nobody"), sink)
    functions.start(by_arn := invoke(resource=ARN + "nobody"), sink)

    for job in (by_name, by_arn):
        failed = sink.failed(job.token)
        assert failed.error == "Lambda.ResourceNotFoundException"
        assert failed.cause.startswith(
            f"Function not found: {ARN}nobody:$LATEST (Service: AWSLambda; Status Code: 404; "
            "Error Code: ResourceNotFoundException; Request ID: "
        )
        assert failed.cause.endswith("; Proxy: null)")


def test_an_event_invocation_does_not_mind_how_the_function_ends(
    functions: PythonFunctions, sink: Collector
) -> None:
    functions.start(job := lambda_invoke(FunctionName="fail", Payload="broken", InvocationType="Event"), sink)

    outcome = sink.succeeded(job.token)
    assert (outcome.output["StatusCode"], outcome.output["Payload"]) == (202, "")
    assert len(outcome.written) == 1


def test_a_dry_run_runs_nothing(functions: PythonFunctions, sink: Collector) -> None:
    functions.start(job := lambda_invoke(FunctionName="fail", InvocationType="DryRun"), sink)

    assert sink.succeeded(job.token).output["StatusCode"] == 204


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, "[The field 'FunctionName' is required but was missing]"),
        ({"FunctionName": 1}, "[The field 'FunctionName' must be a STRING]"),
        ({"FunctionName": "echo", "Body": 1}, "[The field 'Body' is not supported by Step Functions]"),
        ({"FunctionName": "echo", "InvocationType": "x"}, "must be one of RequestResponse, Event, DryRun]"),
    ],
)
def test_parameters_that_cannot_be_used_start_nothing(
    functions: PythonFunctions, sink: Collector, parameters: Any, says: str
) -> None:
    functions.start(job := lambda_invoke(**parameters), sink)

    failed = sink.failed(job.token)
    assert failed.error == "States.Runtime"
    assert failed.cause.endswith(says)


def test_what_can_be_known_at_creation_is_refused_there(functions: PythonFunctions) -> None:
    assert functions.accepts(ARN + "echo") is None
    assert functions.accepts(ARN + "echo:$LATEST") is None
    assert functions.accepts(INVOKE) is None
    assert "did you mean echo?" in (functions.accepts(ARN + "ecko") or "")
    assert functions.accepts(f"{INVOKE}.waitForTaskToken") is None
    assert "the form .sync of lambda:invoke does not exist" in (functions.accepts(f"{INVOKE}.sync") or "")
    assert functions.invokable(ARN + "ecko") is None
    assert functions.invokable("arn:aws:lambda:my-region:my-account:function:echo") is None
    assert functions.check_arguments(INVOKE, {"FunctionName": "{% $states.input.f %}"}) == []
    assert "is no function's ARN" in (functions.invokable("arn:aws:lambda:us-east-1:1:ecko") or "")
    assert functions.check_arguments(INVOKE, {"FunctionName.$": "$.f", "Payload.$": "$"}) == []
    assert functions.check_arguments(INVOKE, {"FunctionName": "echo"}) == []
    assert len(functions.check_arguments(INVOKE, {"Functionname": "echo"})) == 2
    assert "no function nobody is bound" in functions.check_arguments(INVOKE, {"FunctionName": "nobody"})[0]


class Fake:
    """A route for one resource, doing what it is told."""

    offers = ("fake",)

    def __init__(self) -> None:
        self.sinks: dict[str, Sink] = {}
        self.cancelled: list[str] = []
        self.closed = threading.Event()
        self.broken = False

    def claims(self, resource: str) -> bool:
        return resource == "fake"

    def accepts(self, resource: str) -> str | None:
        return None if self.claims(resource) else resource

    def invokable(self, resource: str) -> str | None:
        return self.accepts(resource)

    def check_arguments(self, resource: str, template: Any) -> list[str]:
        return [f"{template}"] if self.claims(resource) and template else []

    def start(self, invocation: Invocation, sink: Sink) -> None:
        if self.broken:
            raise RuntimeError("a bug")
        self.sinks[invocation.token] = sink

    def cancel(self, token: str) -> None:
        self.cancelled.append(token)
        if self.broken:
            raise RuntimeError("a bug")

    def close(self, grace_s: float) -> None:
        self.closed.set()
        raise RuntimeError(grace_s)


def test_the_router_forwards_one_outcome_and_none_after_cancel(sink: Collector) -> None:
    router = TaskRouter([route := Fake()])
    router.start(one := invoke(resource="fake"), sink)
    router.start(two := invoke(resource="fake"), sink)
    router.cancel(two.token)
    for job in (one, two):
        route.sinks[job.token].outcome(Succeeded(token=job.token, output=1))
        route.sinks[job.token].outcome(Succeeded(token=job.token, output=2))
        route.sinks[job.token].outcome(Succeeded(token="another", output=3))
        route.sinks[job.token].heartbeat(job.token)

    assert sink.outcomes == {one.token: [Succeeded(token=one.token, output=1)]}
    assert route.cancelled == [two.token]
    assert sink.heartbeats == []


def test_a_resource_that_nobody_takes_fails_and_is_refused(sink: Collector) -> None:
    router = TaskRouter([Fake()])
    router.start(job := invoke(resource="arn:aws:states:::dynamodb:query"), sink)

    failed = sink.failed(job.token)
    assert (failed.error, failed.cause) == (
        "States.Runtime",
        "arn:aws:states:::dynamodb:query: nothing here does the work of this resource; there are fake",
    )
    assert router.accepts(job.resource) == failed.cause
    assert router.accepts("fake") is None
    assert router.check_arguments("fake", {"a": 1}) == ["{'a': 1}"]


def test_an_invoker_with_a_bug_fails_the_task_and_not_the_caller(sink: Collector) -> None:
    router = TaskRouter([route := Fake()])
    router.start(running := invoke(resource="fake"), sink)
    route.broken = True
    router.start(job := invoke(resource="fake"), sink)
    router.cancel(running.token)
    router.close(0)

    assert sink.failed(job.token).cause == "fake could not be started: RuntimeError: a bug"
    assert route.closed.is_set()
    assert list(sink.outcomes) == [job.token]


def test_a_resource_may_name_its_region_and_account(sink: Collector) -> None:
    router = TaskRouter([services := Services(AwsAccess())])
    placed = "arn:aws-cn:states:cn-north-1:123456789012:sqs:sendMessage"

    assert router.accepts(placed) is None
    assert router.check_arguments(placed, {"MessageBody": "m"})[0].endswith("'QueueUrl'; it is missing")
    router.start(job := invoke({}, resource=placed), sink)
    assert sink.failed(job.token).error == "SQS.AmazonSQSException"
    services.close(10)


def test_a_function_that_is_told_a_task_token_leaves_the_answer_to_who_has_it(
    functions: PythonFunctions, sink: Collector
) -> None:
    arguments = {"FunctionName": "echo", "Payload": {"token": "t"}}
    job = invoke(arguments, resource=f"{INVOKE}.waitForTaskToken", task_token="t")
    functions.start(job, sink)
    outcome = sink.wait(job.token)

    assert isinstance(outcome, Pending)
    assert not outcome.continues
    assert outcome.output["Payload"] == {"token": "t"}
