"""Tasks that speak HTTP themselves: http:invoke, apigateway:invoke, eks:call and eks:runJob."""

import base64
import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.jsontypes import Json, loads
from etl_runner.tasks.contract import Failed, Pending
from etl_runner.tasks.http_calls import HttpRequest
from etl_runner.tasks.integration import PREFIX
from etl_runner.tasks.integrations.http import url_encoded
from etl_runner.tasks.services import PollPace, Services
from tests.tasks.collector import Collector, invoke

JOBS = "/apis/batch/v1/namespaces/default/jobs"


class Api(BaseHTTPRequestHandler):
    """An API that answers as its paths say, and keeps what it was asked."""

    jobs: dict[str, Any]

    def serve(self) -> None:
        url = urlsplit(self.path)
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        asked = {
            "method": self.command,
            "path": url.path,
            "query": parse_qsl(url.query),
            "headers": {name.lower(): value for name, value in self.headers.items()},
            "body": body.decode(),
        }
        self.server.asked.append(asked)  # type: ignore[attr-defined]
        jobs = self.server.jobs  # type: ignore[attr-defined]
        match url.path.strip("/").split("/"):
            case ["token"]:
                self.answer(200, {"access_token": "granted", "expires_in": 3600})
            case ["missing"]:
                self.answer(404, {"message": "no such thing"})
            case ["text"]:
                self.answer(200, "plain", kind="text/plain")
            case [*_, "jobs"] if self.command == "POST":
                name = loads(body)["metadata"]["name"]
                taken = name in jobs
                jobs.setdefault(name, loads(body))
                self.answer(409 if taken else 201, jobs[name])
            case [*_, "jobs", name] if self.command == "GET":
                state = {"conditions": [{"type": "Complete", "status": "True"}]}
                self.answer(200, {**jobs[name], "status": state})
            case _:
                self.answer(200, {"ok": True})

    do_GET = do_POST = do_DELETE = serve  # noqa: N815 -- the names that http.server calls

    def answer(self, status: int, body: Json, kind: str = "application/json") -> None:
        data = (body if isinstance(body, str) else json.dumps(body)).encode()
        self.send_response(status)
        self.send_header("Content-Type", kind)
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *args: Any) -> None:
        pass


@pytest.fixture
def api() -> Iterator[Any]:
    server: Any = ThreadingHTTPServer(("127.0.0.1", 0), Api)
    server.asked, server.jobs = [], {}
    server.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


@pytest.fixture
def run(aws: AwsAccess, sink: Collector) -> Iterator[Any]:
    services = Services(aws, pace=PollPace(first_s=0.01))

    def do(resource: str, parameters: Json, **more: Any) -> Any:
        job = invoke(parameters, resource=PREFIX + resource, **more)
        services.start(job, sink)
        outcome = sink.wait(job.token)
        if isinstance(outcome, Failed):
            return outcome
        if isinstance(outcome, Pending) and outcome.continues:
            with sink.changed:
                assert sink.changed.wait_for(lambda: len(sink.outcomes[job.token]) > 1, 60)
            outcome = sink.outcomes[job.token][1]
        return outcome.output if not isinstance(outcome, Failed) else outcome

    yield do
    services.close(10)


# -------------------------------------------------------------------------------------------- http:invoke


@pytest.fixture
def connected(aws: AwsAccess, api: Any) -> Any:
    """Makes a connection and gives the parameters of a request with it."""

    def do(kind: str, auth: dict[str, Any], **more: Any) -> dict[str, Any]:
        made = aws.client("events").create_connection(Name="c", AuthorizationType=kind, AuthParameters=auth)
        return {
            "ApiEndpoint": f"{api.url}/thing",
            "Method": "POST",
            "Authentication": {"ConnectionArn": made["ConnectionArn"]},
            **more,
        }

    return do


BASIC = {"BasicAuthParameters": {"Username": "me", "Password": "secret"}}


def test_a_request_is_sent_with_what_the_task_says(run: Any, api: Any, connected: Any) -> None:
    told = run(
        "http:invoke",
        connected(
            "BASIC",
            BASIC,
            QueryParameters={"a": ["1", "2"], "b": "x y"},
            Headers={"X-Own": "yes"},
            RequestBody={"n": 1},
        ),
    )
    asked = api.asked[-1]

    assert (told["StatusCode"], told["StatusText"], told["ResponseBody"]) == (200, "OK", {"ok": True})
    assert told["Headers"]["content-type"] == ["application/json"]
    assert (asked["method"], asked["path"], asked["body"]) == ("POST", "/thing", '{"n":1}')
    assert asked["query"] == [("a", "1"), ("a", "2"), ("b", "x y")]
    assert asked["headers"]["x-own"] == "yes"
    assert asked["headers"]["content-type"] == "application/json"
    assert asked["headers"]["user-agent"] == "Amazon|StepFunctions|HttpInvoke|us-east-1"
    assert asked["headers"]["authorization"] == f"Basic {base64.b64encode(b'me:secret').decode()}"


def test_an_api_key_goes_into_its_header(run: Any, api: Any, connected: Any) -> None:
    auth = {"ApiKeyAuthParameters": {"ApiKeyName": "x-key", "ApiKeyValue": "hush"}}
    run("http:invoke", connected("API_KEY", auth))

    assert api.asked[-1]["headers"]["x-key"] == "hush"


def test_a_token_is_asked_for_once_and_shown_to_the_api(run: Any, api: Any, connected: Any) -> None:
    auth = {
        "OAuthParameters": {
            "ClientParameters": {"ClientID": "id", "ClientSecret": "hush"},
            "AuthorizationEndpoint": f"{api.url}/token",
            "HttpMethod": "POST",
        },
        "InvocationHttpParameters": {
            "QueryStringParameters": [{"Key": "from", "Value": "connection", "IsValueSecret": False}]
        },
    }
    parameters = connected("OAUTH_CLIENT_CREDENTIALS", auth)
    for _ in range(2):
        run("http:invoke", parameters)
    token, *asked = api.asked

    assert dict(parse_qsl(token["body"]))["grant_type"] == "client_credentials"
    assert [each["path"] for each in asked] == ["/thing", "/thing"]
    assert asked[0]["headers"]["authorization"] == "Bearer granted"
    assert asked[0]["query"] == [("from", "connection")]


def test_an_answer_that_is_no_success_fails_the_task(run: Any, api: Any, connected: Any) -> None:
    parameters = {**connected("BASIC", BASIC), "ApiEndpoint": f"{api.url}/missing"}
    failed = run("http:invoke", parameters)

    assert failed.error == "States.Http.StatusCode.404"
    assert loads(failed.cause)["ResponseBody"] == {"message": "no such thing"}
    assert "secret" not in failed.cause


def test_a_text_is_told_as_text(run: Any, api: Any, connected: Any) -> None:
    parameters = {**connected("BASIC", BASIC), "ApiEndpoint": f"{api.url}/text", "Method": "GET"}

    assert run("http:invoke", parameters)["ResponseBody"] == "plain"


@pytest.mark.parametrize(
    ("parameters", "says"),
    [
        ({}, "[The field 'ApiEndpoint' is required but was missing, The field 'Method' is required"),
        ({"ApiEndpoint": "http://example.com", "Method": "GET"}, "must be an HTTPS URL"),
        ({"ApiEndpoint": "https://example.com", "Method": "GOT"}, "'Method' must be one of DELETE, GET"),
        ({"ApiEndpoint": "https://example.com", "Method": "GET", "Body": 1}, "The field 'Body' is not supp"),
        ({"ApiEndpoint": "https://example.com", "Method": "GET"}, "with the ConnectionArn of a connection"),
    ],
)
def test_parameters_that_cannot_be_used_send_nothing(run: Any, parameters: Json, says: str) -> None:
    failed = run("http:invoke", parameters)

    assert failed.error == "States.Runtime"
    assert says in failed.cause


def test_a_connection_that_does_not_exist_is_said(run: Any) -> None:
    arn = "arn:aws:events:us-east-1:123456789012:connection/gone/1"
    parameters = {
        "ApiEndpoint": "https://example.com",
        "Method": "GET",
        "Authentication": {"ConnectionArn": arn},
    }

    assert run("http:invoke", parameters).cause.startswith(f"The connection {arn} could not be used: ")


@pytest.mark.parametrize(
    ("array_format", "form"),
    [
        ("INDICES", "a[0]=1&a[1]=2&o[k]=x%20y"),
        ("REPEAT", "a=1&a=2&o[k]=x%20y"),
        ("COMMAS", "a=1%2C2&o[k]=x%20y"),
        ("BRACKETS", "a[]=1&a[]=2&o[k]=x%20y"),
    ],
)
def test_a_form_has_its_arrays_as_asked_for(array_format: str, form: str) -> None:
    pairs = url_encoded({"a": [1, 2], "o": {"k": "x y"}}, array_format)

    assert HttpRequest(method="", url="", query=pairs).full_url == f"?{form}"


# -------------------------------------------------------------------------------------- apigateway:invoke


def test_a_stage_of_an_api_is_called(run: Any, api: Any) -> None:
    parameters = {"ApiEndpoint": api.url, "Method": "GET", "Stage": "prod", "Path": "pets"}
    told = run("apigateway:invoke", {**parameters, "QueryParameters": {"q": ["1"]}})

    assert told["StatusCode"] == 200
    assert told["Headers"]["Content-Type"] == ["application/json"]
    assert (api.asked[-1]["path"], api.asked[-1]["query"]) == ("/prod/pets", [("q", "1")])
    assert "authorization" not in api.asked[-1]["headers"]


def test_a_request_is_signed_where_it_asks_for_it(run: Any, api: Any) -> None:
    parameters = {"ApiEndpoint": api.url, "Method": "POST", "RequestBody": {"a": 1}, "AuthType": "IAM_ROLE"}
    run("apigateway:invoke", parameters)
    signature = api.asked[-1]["headers"]["authorization"]

    assert signature.startswith("AWS4-HMAC-SHA256 Credential=")
    assert "/us-east-1/execute-api/aws4_request" in signature


def test_an_error_of_an_api_has_its_status_as_name(run: Any, api: Any) -> None:
    failed = run("apigateway:invoke", {"ApiEndpoint": api.url, "Method": "GET", "Path": "missing"})

    assert (failed.error, failed.cause) == ("ApiGateway.404", '{"message":"no such thing"}')


# ------------------------------------------------------------------------------------------- Kubernetes


def cluster(api: Any, **more: Any) -> dict[str, Any]:
    return {"ClusterName": "c", "CertificateAuthority": "", "Endpoint": api.url, **more}


def test_a_cluster_is_called_with_a_token_of_the_callers_identity(run: Any, api: Any) -> None:
    told = run("eks:call", cluster(api, Method="GET", Path="/api/v1/pods", QueryParameters={"limit": ["5"]}))
    scheme, token = api.asked[-1]["headers"]["authorization"].split(" ")
    url = base64.urlsafe_b64decode(token.removeprefix("k8s-aws-v1.") + "==").decode()

    assert told["ResponseBody"] == {"ok": True}
    assert scheme == "Bearer"
    assert "Action=GetCallerIdentity" in url
    assert "x-k8s-aws-id" in url


def test_a_kubernetes_job_is_made_once_and_awaited(run: Any, api: Any) -> None:
    job = {"apiVersion": "batch/v1", "kind": "Job", "metadata": {"generateName": "count-"}, "spec": {}}
    for _ in range(2):
        told = run("eks:runJob.sync", cluster(api, Job=job), idempotency_key="same")
    [name] = api.jobs

    assert name.startswith("count-")
    assert told["ResponseBody"]["metadata"] == {"name": name}
    assert api.asked[-1]["path"] == f"{JOBS}/{name}"
