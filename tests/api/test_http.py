import asyncio
import json
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import boto3
import httpx
import pytest
from botocore.config import Config
from botocore.exceptions import ClientError

from etl_runner.api.edge import DRAINED_BYTES, TIMES_THE_INPUT, is_loopback
from etl_runner.api.http import create_app
from etl_runner.errors import (
    Conflict,
    EtlRunnerError,
    Fault,
    InvalidInput,
    LostExecution,
    NotFound,
    StatesError,
    StoreUnavailable,
)
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES
from tests.api.stage import Stage, served

EVENT = {"source": "shop", "detail-type": "CustomerCreated", "detail": {"name": "Ada"}}


@pytest.fixture
def http(stage: Stage) -> Iterator[httpx.Client]:
    with served(stage) as url, httpx.Client(base_url=url, trust_env=False, timeout=30) as client:
        yield client


def error(response: httpx.Response) -> tuple[int, str, str]:
    shown = response.json()["error"]
    return response.status_code, shown["type"], shown["message"]


def in_process(stage: Stage, method: str, path: str, **given: Any) -> httpx.Response:
    """Ask the application without a port."""
    token = given.pop("app_token", None)
    app = create_app(stage.operations, api_token=token)

    async def ask() -> httpx.Response:
        transport = httpx.ASGITransport(app=app, raise_app_exceptions=False)
        base = given.pop("base_url", "http://127.0.0.1:8083")
        async with httpx.AsyncClient(transport=transport, base_url=base) as client:
            return await client.request(method, path, **given)

    return asyncio.run(ask())


def test_an_execution_goes_from_start_to_end_over_http(http: httpx.Client) -> None:
    body = {"workflow": "greet", "input": {"n": 2**70}, "name": "one"}
    first, again = http.post("/v1/executions", json=body), http.post("/v1/executions", json=body)
    ended = http.get("/v1/executions/greet%2Fone/wait", params={"timeout": "20.5"}).json()
    history = http.get(f"/v1/executions/{quote(ended['executionArn'], safe='')}/history").json()

    assert (first.status_code, again.status_code) == (201, 200)
    assert first.json()["executionArn"] == again.json()["executionArn"] == ended["executionArn"]
    assert (ended["status"], ended["output"]) == ("SUCCEEDED", {"n": 2**70})
    assert history["events"][-1]["type"] == "ExecutionSucceeded"
    assert [each["name"] for each in http.get("/v1/executions").json()["executions"]] == ["one"]


def test_an_execution_named_like_an_action_can_be_reached(http: httpx.Client) -> None:
    http.post("/v1/executions", json={"workflow": "greet", "name": "history"})

    assert http.get("/v1/executions/greet%2Fhistory").json()["name"] == "history"
    assert "events" in http.get("/v1/executions/greet%2Fhistory/history").json()
    assert "events" in http.get("/v1/executions/greet/history/history").json()


def test_waiting_holds_no_thread_however_many_wait(stage: Stage) -> None:
    arn = stage.operations.start_execution("stuck", {}, "one")["executionArn"]
    app = create_app(stage.operations)

    async def many() -> list[str]:
        transport = httpx.ASGITransport(app=app)
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost", timeout=30) as client:
            path = f"/v1/executions/{quote(arn, safe='')}"
            waiting = [asyncio.create_task(client.get(f"{path}/wait?timeout=30")) for _ in range(100)]
            await client.post(f"{path}/stop", json={})  # 40 threads there are; this one must get one
            return [answer.json()["status"] for answer in await asyncio.gather(*waiting)]

    assert asyncio.run(many()) == ["ABORTED"] * 100


def test_waiting_answers_in_time_when_nothing_ends(http: httpx.Client) -> None:
    http.post("/v1/executions", json={"workflow": "stuck", "name": "one"})

    assert http.get("/v1/executions/stuck%2Fone/wait?timeout=0.01").json()["status"] == "RUNNING"


def test_schedules_ticks_and_workflows_are_there(http: httpx.Client) -> None:
    assert http.post("/v1/schedules/nightly/pause", json={}).json()["paused"] is True
    assert http.post("/v1/schedules/nightly/resume", json={}).json()["paused"] is False
    fired = [http.post("/v1/schedules/nightly/fire", json={"fireId": "x"}).status_code for _ in range(2)]
    assert fired == [201, 200]
    assert len(http.get("/v1/schedules").json()["schedules"]) == 2
    assert len(http.get("/v1/schedules/nightly/next?count=3").json()["ticks"]) == 3
    assert len(http.get("/v1/next").json()["ticks"]) == 5
    assert [each["outcome"] for each in http.get("/v1/ticks?schedule=nightly").json()["ticks"]] == ["started"]
    assert http.get("/v1/workflows").json()["workflows"][0]["name"] == "boom"
    assert http.get("/v1/workflows/greet").json()["yaml"] is False


def test_events_are_put_and_listed(http: httpx.Client) -> None:
    found = http.post("/v1/events", json={"events": [EVENT | {"id": "e1"}]}).json()

    assert found["events"][0]["matches"][0]["outcome"] == "started"
    assert [each["eventId"] for each in http.get("/v1/events").json()["matches"]] == ["e1"]


@pytest.mark.parametrize(
    ("method", "path", "body", "status", "says"),
    [
        ("POST", "/v1/executions", "{", 400, "no JSON"),
        ("POST", "/v1/executions", "[]", 400, "must be a JSON object"),
        ("POST", "/v1/executions", "[" * 5000, 400, "nested too deep"),
        ("POST", "/v1/executions", b'{"workflow": "\xff"}', 400, "no JSON"),
        ("POST", "/v1/executions", '{"input": 1}', 400, "'workflow' is missing"),
        ("POST", "/v1/executions", '{"workflow": 1}', 400, "wrong type"),
        ("POST", "/v1/executions", '{"workflow": "greet", "nmae": "x"}', 400, "no field 'nmae'"),
        ("POST", "/v1/executions", '{"workflow": "greet", "name": "a b"}', 400, "execution name"),
        ("POST", "/v1/executions", '{"workflow": "gret"}', 404, "did you mean greet?"),
        ("GET", "/v1/executions/nobody", None, 404, "no execution 'nobody'"),
        ("GET", "/v1/executions?limit=0", None, 400, "limit"),
        ("GET", "/v1/executions?limit=many", None, 400, "whole number"),
        ("GET", "/v1/executions?statsu=FAILED", None, 400, "no parameter statsu"),
        ("GET", "/v1/executions?status=DONE", None, 400, "no status 'DONE'"),
        ("GET", "/v1/executions?after=yesterday", None, 400, "must be a time"),
        ("GET", "/v1/executions?next=x", None, 400, "begin without one"),
        ("GET", "/v1/executions/x/wait?timeout=nan", None, 400, "seconds"),
        ("POST", "/v1/executions/x/history", "{}", 405, "not for history"),
        ("DELETE", "/v1/executions", None, 405, "Method Not Allowed"),
        ("GET", "/v2", None, 404, "nothing at this path"),
        ("POST", "/v1/schedules/none/pause", "{}", 404, "no schedule 'none'"),
    ],
)
def test_a_request_that_cannot_be_served_is_told_why(
    stage: Stage, method: str, path: str, body: Any, status: int, says: str
) -> None:
    given = {} if body is None else {"content": body, "headers": {"Content-Type": "application/json"}}
    code, _, message = error(in_process(stage, method, path, **given))

    assert (code, says in message) == (status, True), message


def test_a_taken_name_is_409_and_an_input_over_the_limit_400(stage: Stage) -> None:
    stage.operations.start_execution("greet", {}, "one")
    taken = in_process(stage, "POST", "/v1/executions", json={"workflow": "greet", "name": "one", "input": 1})
    large = in_process(stage, "POST", "/v1/executions", json={"workflow": "greet", "input": "x" * 262_143})

    assert error(taken)[:2] == (409, "Conflict")
    assert error(large)[:2] == (400, "InvalidInput")
    assert "262,144 are allowed" in error(large)[2]


@pytest.mark.parametrize("size", [TIMES_THE_INPUT * PAYLOAD_LIMIT_BYTES + 1, DRAINED_BYTES - 1])
def test_a_body_that_is_too_large_is_413_and_its_sender_gets_to_read_it(
    http: httpx.Client, size: int
) -> None:
    headers = {"Content-Type": "application/json"}

    assert error(http.post("/v1/executions", content=b"x" * size, headers=headers))[:2] == (413, "TooLarge")


def test_a_body_that_a_web_page_could_send_is_refused(stage: Stage) -> None:
    text = in_process(stage, "POST", "/v1/executions", content='{"workflow": "greet"}')
    form = in_process(stage, "POST", "/v1/schedules/nightly/fire")

    assert (text.status_code, form.status_code) == (415, 415)


def test_without_a_token_only_this_machine_by_its_own_name_is_answered(stage: Stage) -> None:
    assert in_process(stage, "GET", "/v1/workflows", base_url="http://evil.example").status_code == 403
    assert in_process(stage, "GET", "/v1/workflows", base_url="http://localhost:1").status_code == 200


@pytest.mark.parametrize(
    ("host", "expected"),
    [
        ("localhost", True), ("localhost:80", True), ("127.0.0.1:8083", True), ("127.8.8.8", True),
        ("[::1]", True), ("[::1]:80", True), ("LOCALHOST", True), ("etl.localhost:1", True),
        ("", False), ("localhost.evil.example", False), ("10.0.0.1", False), ("127.0.0.1.evil.test", False),
    ],
)  # fmt: skip
def test_loopback_names_are_told_from_others(host: str, expected: bool) -> None:
    assert is_loopback(host) is expected


def test_a_token_is_asked_of_everything_but_health(stage: Stage) -> None:
    def ask(path: str, authorization: str | bytes | None = None) -> httpx.Response:
        headers = {} if authorization is None else {"Authorization": authorization}
        return in_process(
            stage, "GET", path, headers=headers, app_token="s3cret", base_url="http://any.where"
        )

    assert error(ask("/v1/workflows"))[:2] == (401, "Unauthorized")
    assert ask("/v1/workflows", "Bearer wrong").status_code == 401
    assert ask("/v1/workflows", "Basic s3cret").status_code == 401
    assert ask("/v1/workflows", b"Bearer s3cr\xe9t").status_code == 401
    assert ask("/nowhere").headers["www-authenticate"] == "Bearer"
    assert ask("/v1/workflows", "bearer s3cret").status_code == 200
    assert ask("/healthz").json() == {"status": "ok"}
    assert "config" in ask("/healthz", "Bearer s3cret").json()
    assert ask("/readyz").json() == {"ready": True}


class Broken:
    """Operations that raise what they are told to."""

    def __init__(self, raised: Exception) -> None:
        self.raised = raised

    def workflows(self) -> None:
        raise self.raised

    def health(self) -> dict[str, Any]:
        return {"status": "unavailable"}


@pytest.mark.parametrize(
    ("raised", "status"),
    [
        (InvalidInput("x"), 400),
        (NotFound("x"), 404),
        (Conflict("x"), 409),
        (StatesError("A", "b"), 400),
        (StoreUnavailable("x"), 503),
        (LostExecution("x"), 503),
        (EtlRunnerError("x"), 500),
        (ZeroDivisionError("a secret"), 500),
    ],
)
def test_every_error_has_its_status_and_no_traceback(stage: Stage, raised: Exception, status: int) -> None:
    stage.operations = Broken(raised)  # type: ignore[assignment]
    answer = in_process(stage, "GET", "/v1/workflows")

    assert error(answer)[0] == status
    assert "Traceback" not in answer.text
    assert "a secret" not in answer.text


def test_health_is_503_when_nothing_can_be_committed(stage: Stage) -> None:
    stage.operations = Broken(ValueError())  # type: ignore[assignment]

    assert in_process(stage, "GET", "/healthz").status_code == 503
    assert in_process(stage, "GET", "/readyz").status_code == 503


def test_health_names_the_faults_of_an_edit_that_was_not_taken_over(stage: Stage) -> None:
    stage.faults = (Fault(what="wrong", file="s.yaml", line=1, column=2),)
    answer = in_process(stage, "GET", "/healthz")

    assert (answer.status_code, answer.json()["status"]) == (200, "degraded")
    assert answer.json()["config"]["faults"][0]["line"] == 1


# --- PutEvents --------------------------------------------------------------------------------


def entry(**more: Any) -> dict[str, Any]:
    return {"Source": "shop", "DetailType": "CustomerCreated", "Detail": json.dumps({"name": "Ada"})} | more


@pytest.mark.parametrize("token", [None, "s3cret"])
def test_boto3_puts_events_here(stage: Stage, token: str | None) -> None:
    with served(stage, token) as url:
        client = boto3.client(
            "events",
            endpoint_url=url,
            region_name="us-east-1",
            aws_access_key_id="any",
            aws_secret_access_key="any",
            aws_session_token=token,
            config=Config(retries={"max_attempts": 0}, proxies={}),
        )
        found = client.put_events(Entries=[entry(), entry(Detail="no JSON"), entry(Source="other")])
        with pytest.raises(ClientError, match="ValidationException"):
            client.put_events(Entries=[entry()] * 11)
        with pytest.raises(ClientError, match="UnknownOperationException"):
            client.list_rules()
        client.close()

    assert found["FailedEntryCount"] == 1
    assert [set(each) for each in found["Entries"]] == [
        {"EventId"},
        {"ErrorCode", "ErrorMessage"},
        {"EventId"},
    ]
    (started,) = stage.operations.list_executions()["executions"]
    assert started["origin"] == "rule:customers"


@pytest.mark.parametrize(
    ("headers", "says"),
    [
        ({}, "this needs the header Authorization: Bearer TOKEN, with our token"),
        ({"Authorization": "Bearer "}, "this needs the header Authorization: Bearer TOKEN, with our token"),
        (
            {"Authorization": "Basic s3cret"},
            "this needs the header Authorization: Bearer TOKEN, with our token",
        ),
        ({"Authorization": "Bearer s3cre"}, "the token given is not this service's"),
        ({"Authorization": "Bearer entirely-other"}, "the token given is not this service's"),
        ({"X-Amz-Security-Token": "s3creT"}, "the token given is not this service's"),
    ],
)
def test_a_wrong_token_is_told_from_a_missing_one_and_nothing_else_is(
    stage: Stage, headers: dict[str, str], says: str
) -> None:
    answer = in_process(stage, "GET", "/v1/workflows", headers=headers, app_token="s3cret")

    assert answer.status_code == 401
    assert answer.json() == {"error": {"type": "Unauthorized", "message": says}}


def test_put_events_without_the_token_is_refused(stage: Stage) -> None:
    headers = {"X-Amz-Target": "AWSEvents.PutEvents", "X-Amz-Security-Token": "wrong"}
    answer = in_process(stage, "POST", "/", headers=headers, json={"Entries": [entry()]}, app_token="s3cret")

    assert answer.status_code == 401
    assert stage.operations.event_matches() == []


@pytest.mark.parametrize("body", ["{", "[]", "{}", '{"Entries": []}', '{"Entries": 5}'])
def test_put_events_with_nonsense_is_refused_in_awss_shape(stage: Stage, body: str) -> None:
    answer = in_process(stage, "POST", "/", headers={"X-Amz-Target": "AWSEvents.PutEvents"}, content=body)

    assert answer.status_code == 400
    assert set(answer.json()) == {"__type", "message"}
    assert answer.headers["content-type"] == "application/x-amz-json-1.1"
