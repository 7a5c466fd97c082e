"""Functions that live in AWS: the Lambda API is called, and its answers are told as AWS tells them."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import unquote, urlsplit

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.tasks.contract import Pending
from etl_runner.tasks.functions import FunctionRegistry
from etl_runner.tasks.lambda_calls import INVOKE
from etl_runner.tasks.python_functions import PythonFunctions
from etl_runner.tasks.router import TaskRouter
from etl_runner.tasks.services import Services
from etl_runner.tasks.threads import ThreadFunctions
from etl_runner.tasks.workers import WorkerPool
from tests.conftest import access_to, close_clients
from tests.tasks.collector import ARN, Collector, invoke


class Lambda(BaseHTTPRequestHandler):
    """Invoke, for functions whose names say what they do."""

    def do_POST(self) -> None:
        url = urlsplit(self.path)
        name = unquote(url.path.split("/")[3]).rpartition(":")[2]
        event = self.rfile.read(int(self.headers["Content-Length"]))
        self.server.asked.append((name, self.headers.get("X-Amz-Invocation-Type"), event))  # type: ignore[attr-defined]
        match name:
            case "echo":
                self.answer(200, event)
            case "bytes":
                self.answer(200, b"not json")
            case "fails":
                body = b'{"errorMessage":"boom","errorType":"Oops","stackTrace":[]}'
                self.answer(200, body, {"X-Amz-Function-Error": "Unhandled"})
            case "silent":
                self.answer(
                    200, b'{"errorMessage":"2026 Task timed out"}', {"X-Amz-Function-Error": "Unhandled"}
                )
            case "big":
                self.answer(200, json.dumps("x" * 262_144).encode())
            case "busy":
                self.refuse(429, "TooManyRequestsException", "Rate Exceeded.")
            case "broken":
                self.refuse(500, "ServiceException", "oh no")
            case "odd":
                self.refuse(418, "Teapot", "short and stout")
            case _:
                self.refuse(404, "ResourceNotFoundException", f"Function not found: {name}")

    def answer(self, status: int, body: bytes, headers: dict[str, str] | None = None) -> None:
        self.send_response(status)
        version = {"X-Amz-Executed-Version": "$LATEST"} if status == 200 else {}
        own = {"Content-Type": "application/json", "x-amzn-RequestId": "request-1", **version}
        for name, value in {**own, **(headers or {})}.items():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def refuse(self, status: int, code: str, message: str) -> None:
        body = json.dumps({"Type": "User", "Message": message}).encode()
        self.answer(status, body, {"x-amzn-ErrorType": code})

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture(scope="module")
def api() -> Iterator[ThreadingHTTPServer]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Lambda)
    server.asked = []  # type: ignore[attr-defined]
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def access(api: ThreadingHTTPServer) -> Iterator[AwsAccess]:
    made = access_to(f"http://127.0.0.1:{api.server_port}")
    yield made
    close_clients(made)


@pytest.fixture
def router(access: AwsAccess, pool: WorkerPool) -> Iterator[TaskRouter]:
    """As the service has it, with no function bound."""
    services = Services(access)
    functions = PythonFunctions(FunctionRegistry(), pool, ThreadFunctions(1), elsewhere=services)
    made = TaskRouter([functions, services])
    yield made
    made.close(10)


def test_a_functions_own_arn_gives_what_the_function_gives(router: TaskRouter, sink: Collector) -> None:
    router.start(task := invoke({"a": 0.0}, resource=f"{ARN}echo"), sink)

    assert sink.succeeded(task.token).output == {"a": 0.0}


def test_an_answer_that_is_no_json_is_text(router: TaskRouter, sink: Collector) -> None:
    router.start(task := invoke({}, resource=f"{ARN}bytes"), sink)

    assert sink.succeeded(task.token).output == "not json"


def test_lambda_invoke_has_awss_metadata(router: TaskRouter, sink: Collector) -> None:
    arguments = {"FunctionName": "echo", "Payload": {"a": 1}}
    router.start(task := invoke(arguments, resource=INVOKE), sink)
    told = sink.succeeded(task.token).output
    http = told.pop("SdkHttpMetadata")

    assert told == {
        "ExecutedVersion": "$LATEST",
        "Payload": {"a": 1},
        "SdkResponseMetadata": {"RequestId": "request-1"},
        "StatusCode": 200,
    }
    headers = http["HttpHeaders"]
    assert sorted(headers, key=str.lower) == [
        "Connection", "Content-Length", "Content-Type", "Date", "X-Amz-Executed-Version",
        "x-amzn-Remapped-Content-Length", "x-amzn-RequestId", "X-Amzn-Trace-Id",
    ]  # fmt: skip
    assert (headers["Content-Length"], headers["Connection"]) == ("7", "keep-alive")
    assert http["AllHttpHeaders"] == {name: [value] for name, value in headers.items()}


@pytest.mark.parametrize(
    ("payload", "sent"),
    [(None, b"{}"), ("0.0", b"0.0"), ("text", b'"text"'), ([1], b"[1]"), ({"a": "ü"}, '{"a":"ü"}'.encode())],
)
def test_a_payload_reaches_the_function_as_json(
    router: TaskRouter, api: Any, sink: Collector, payload: Any, sent: bytes
) -> None:
    router.start(task := invoke({"FunctionName": "echo", "Payload": payload}, resource=INVOKE), sink)
    sink.succeeded(task.token)

    assert api.asked[-1][2] == sent


def test_a_callback_is_pending_with_the_first_answer(router: TaskRouter, sink: Collector) -> None:
    arguments = {"FunctionName": "echo", "Payload": {"token": "t"}}
    router.start(task := invoke(arguments, resource=f"{INVOKE}.waitForTaskToken", task_token="t"), sink)
    outcome = sink.wait(task.token)

    assert isinstance(outcome, Pending)
    assert outcome.output["Payload"] == {"token": "t"}


NO_TYPE = "The cause could not be determined because Lambda did not return an error type."


def aws_says(status: int, code: str) -> str:
    about = f"Status Code: {status}; Error Code: {code}; Request ID: request-1; Proxy: null"
    return f"(Service: AWSLambda; {about})"


@pytest.mark.parametrize("own_arn", [True, False])
@pytest.mark.parametrize(
    ("name", "error", "cause"),
    [
        ("fails", "Oops", '{"errorMessage":"boom","errorType":"Oops","stackTrace":[]}'),
        ("silent", "Lambda.Unknown", f'{NO_TYPE} Returned payload: {{"errorMessage":"2026 Task timed out"}}'),
        (
            "nobody",
            "Lambda.ResourceNotFoundException",
            f"Function not found: {ARN}nobody:$LATEST {aws_says(404, 'ResourceNotFoundException')}",
        ),
        (
            "busy",
            "Lambda.TooManyRequestsException",
            f"Rate Exceeded. {aws_says(429, 'TooManyRequestsException')}",
        ),
        ("broken", "Lambda.ServiceException", f"oh no {aws_says(500, 'ServiceException')}"),
        ("odd", "Lambda.AWSLambdaException", f"short and stout {aws_says(418, 'Teapot')}"),
        ("big", "States.DataLimitExceeded", "The state/task '"),
    ],
)
def test_failures_have_awss_words_in_both_forms(
    router: TaskRouter, sink: Collector, name: str, error: str, cause: str, *, own_arn: bool
) -> None:
    arguments = {} if own_arn else {"FunctionName": name}
    router.start(task := invoke(arguments, resource=f"{ARN}{name}" if own_arn else INVOKE), sink)
    failed = sink.failed(task.token)

    assert failed.error == error
    assert failed.cause.startswith(cause)


def test_files_must_bind_their_functions_unless_they_live_in_aws(access: AwsAccess, pool: WorkerPool) -> None:
    services = Services(access)
    threads = ThreadFunctions(1)
    strict = PythonFunctions(FunctionRegistry(), pool, threads, elsewhere=services)
    lenient = PythonFunctions(FunctionRegistry(), pool, threads, elsewhere=services, in_aws=True)

    assert "no function echo is bound here" in (TaskRouter([strict]).accepts(f"{ARN}echo") or "")
    assert TaskRouter([strict]).invokable(f"{ARN}echo") is None
    assert TaskRouter([lenient]).accepts(f"{ARN}echo") is None
    assert strict.check_arguments(INVOKE, {"FunctionName": "echo"}) != []
    assert lenient.check_arguments(INVOKE, {"FunctionName": "echo"}) == []
    services.close(0)
    threads.close(0)
