"""Who may call AWS's protocol here: signatures of boto3 and of botocore's signer, checked over HTTP."""

import hmac
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from typing import Any

import boto3
import httpx
import pytest
from botocore.auth import SigV4Auth
from botocore.awsrequest import AWSRequest
from botocore.config import Config
from botocore.credentials import Credentials
from botocore.exceptions import ClientError
from pydantic import ValidationError

from etl_runner.api.sfn.caller import Callers
from etl_runner.api.sigv4 import AccessKey, Sent, verify
from etl_runner.errors import InvalidInput
from etl_runner.listening import bind
from etl_runner.settings import ApiSettings, Settings
from tests.api.stage import Stage, served

ADA = AccessKey(id="AKIDADA", secret="ada-keeps-this", account="111111111111")
BOB = AccessKey(id="AKIDBOB", secret="bob-keeps-this", account="222222222222")
PASS = '{"StartAt": "A", "States": {"A": {"Type": "Pass", "End": true}}}'
ROLE = "arn:aws:iam::111111111111:role/r"
LIST = "AWSStepFunctions.ListStateMachines"


@pytest.fixture
def url(stage: Stage) -> Iterator[str]:
    callers = Callers(account="123456789012", region="us-east-1", keys=[ADA, BOB])
    with served(stage, callers=callers) as url:
        yield url


def client(url: str, key: str, secret: str, service: str = "stepfunctions", **more: Any) -> Any:
    return boto3.client(
        service,
        endpoint_url=url,
        region_name="eu-west-1",
        aws_access_key_id=key,
        aws_secret_access_key=secret,
        config=Config(retries={"total_max_attempts": 1}),
        **more,
    )


def refusal(call: Callable[[], Any]) -> tuple[str, str]:
    with pytest.raises(ClientError) as caught:
        call()
    error = caught.value.response["Error"]
    return error["Code"], error["Message"]


def signed(
    url: str, *, at: datetime | None = None, service: str = "states", content_hash: str = ""
) -> dict[str, str]:
    """The headers of a ListStateMachines by Ada, signed as of `at`."""
    request = AWSRequest("POST", url + "/", data=b"{}", headers={"x-amz-target": LIST})
    if content_hash:
        request.headers["X-Amz-Content-SHA256"] = content_hash
    stamp = (at or datetime.now(UTC)).strftime("%Y%m%dT%H%M%SZ")
    request.context["timestamp"] = stamp
    request.headers["X-Amz-Date"] = stamp
    signer = SigV4Auth(Credentials(ADA.id, ADA.secret), service, "eu-west-1")
    text = signer.string_to_sign(request, signer.canonical_request(request))
    names = signer.signed_headers(signer.headers_to_sign(request))
    request.headers["Authorization"] = (
        f"AWS4-HMAC-SHA256 Credential={signer.scope(request)}, SignedHeaders={names}, "
        f"Signature={signer.signature(text, request)}"
    )
    return dict(request.headers)


def posted(url: str, headers: dict[str, str], body: bytes = b"{}") -> tuple[int, str, str]:
    answer = httpx.post(url + "/", headers=headers, content=body, trust_env=False)
    told = answer.json()
    return answer.status_code, told.get("__type", "").rpartition("#")[2], told.get("message", "")


def test_a_key_acts_for_its_account_in_the_region_of_the_signature(url: str) -> None:
    made = client(url, ADA.id, ADA.secret).create_state_machine(name="m", definition=PASS, roleArn=ROLE)

    assert made["stateMachineArn"] == "arn:aws:states:eu-west-1:111111111111:stateMachine:m"


def test_what_another_account_has_is_neither_listed_nor_described(url: str) -> None:
    arn = client(url, ADA.id, ADA.secret).create_state_machine(name="m", definition=PASS, roleArn=ROLE)[
        "stateMachineArn"
    ]
    bob = client(url, BOB.id, BOB.secret)
    code, message = refusal(lambda: bob.describe_state_machine(stateMachineArn=arn))
    routing = [{"stateMachineVersionArn": f"{arn}:1", "weight": 100}]
    aliased, _ = refusal(lambda: bob.create_state_machine_alias(name="a", routingConfiguration=routing))

    assert (bob.list_state_machines()["stateMachines"], code, aliased) == (
        [],
        "AccessDeniedException",
        "AccessDeniedException",
    )
    assert "is not authorized to perform: states:DescribeStateMachine on resource" in message


def test_a_wrong_secret_and_an_unknown_key_are_refused(url: str) -> None:
    wrong = refusal(lambda: client(url, ADA.id, "guessed").list_state_machines())
    unknown = refusal(lambda: client(url, "AKIDEVE", ADA.secret).list_state_machines())

    assert wrong[0] == "InvalidSignatureException"
    assert wrong[1].startswith("The request signature we calculated does not match")
    assert unknown == (
        "UnrecognizedClientException",
        "The security token included in the request is invalid.",
    )


def test_a_request_without_a_signature_is_refused(url: str) -> None:
    assert posted(url, {"x-amz-target": LIST}) == (
        400,
        "MissingAuthenticationTokenException",
        "Missing Authentication Token",
    )


@pytest.mark.parametrize(
    ("header", "expected"),
    [
        ("AWS4-HMAC-SHA256 Credential=x", "Authorization header requires 'Signature' parameter."),
        ("AWS4-HMAC-SHA256 Credential=AKIDADA/x, SignedHeaders=host, Signature=0", "five slash-delimited"),
        ("Basic YTpi", "Unsupported AWS 'algorithm'"),
        ("AWS4-HMAC-SHA256", "Authorization header requires 'Credential' parameter."),
    ],
)
def test_half_a_signature_is_refused_with_what_is_missing(url: str, header: str, expected: str) -> None:
    headers = {"x-amz-target": LIST, "authorization": header, "x-amz-date": "20260101T000000Z"}
    status, code, message = posted(url, headers)

    assert (status, code) == (400, "IncompleteSignatureException")
    assert expected in message


@pytest.mark.parametrize(
    ("minutes", "expected"),
    [(-6, "Signature expired: "), (6, "Signature not yet current: ")],
)
def test_a_signature_holds_for_five_minutes(url: str, minutes: int, expected: str) -> None:
    headers = signed(url, at=datetime.now(UTC) + timedelta(minutes=minutes))
    status, code, message = posted(url, headers)

    assert (status, code) == (400, "InvalidSignatureException")
    assert message.startswith(expected)
    assert "5 min.)" in message


def test_the_same_request_of_the_same_second_is_answered_again(url: str) -> None:
    headers = signed(url)

    assert [posted(url, headers)[0], posted(url, headers)[0]] == [200, 200]


def test_a_signature_is_for_one_body_only(url: str) -> None:
    headers = signed(url)

    assert posted(url, headers, b'{"maxResults": 1}')[1] == "InvalidSignatureException"


def test_a_hash_that_is_not_the_bodys_is_not_believed(url: str) -> None:
    headers = signed(url, content_hash="UNSIGNED-PAYLOAD")

    assert posted(url, headers, b'{"maxResults": 1}')[1] == "InvalidSignatureException"


def test_an_action_that_was_not_signed_is_refused(url: str) -> None:
    headers = signed(url)
    left_out = headers["Authorization"].replace(";x-amz-target", "")

    status, code, message = posted(url, headers | {"Authorization": left_out})

    assert (status, code) == (400, "InvalidSignatureException")
    assert message == "'x-amz-target' must be a 'SignedHeader' in the AWS Authorization."


def test_another_action_than_was_signed_is_refused(url: str) -> None:
    headers = signed(url) | {"x-amz-target": "AWSStepFunctions.ListActivities"}

    assert posted(url, headers)[1] == "InvalidSignatureException"


def test_a_signature_for_another_service_is_refused(url: str) -> None:
    status, code, message = posted(url, signed(url, service="events"))

    assert (status, code) == (400, "InvalidSignatureException")
    assert message == "Credential should be scoped to correct service: 'states'."


def test_events_are_signed_too(url: str) -> None:
    entry = {"Source": "shop", "DetailType": "CustomerCreated", "Detail": "{}"}
    put = client(url, ADA.id, ADA.secret, "events").put_events(Entries=[entry])
    code, _ = refusal(lambda: client(url, ADA.id, "guessed", "events").put_events(Entries=[entry]))

    assert (put["FailedEntryCount"], code) == (0, "InvalidSignatureException")


def test_the_token_stands_in_for_a_key(stage: Stage) -> None:
    callers = Callers(account="123456789012", region="us-east-1", keys=[ADA], token="the-token")
    with served(stage, "the-token", callers) as url:
        own = client(url, "333333333333", "any", aws_session_token="the-token")
        made = own.create_state_machine(name="m", definition=PASS, roleArn=ROLE)
        keyed = client(url, ADA.id, ADA.secret).list_state_machines()
        unknown = refusal(lambda: client(url, "333333333333", "any").list_state_machines())
        rest = httpx.get(url + "/v1/workflows", trust_env=False).status_code

    assert made["stateMachineArn"].split(":")[4] == "333333333333"
    assert (keyed["stateMachines"], unknown[0], rest) == ([], "UnrecognizedClientException", 401)


def test_the_services_own_tasks_act_for_their_account_alone(stage: Stage) -> None:
    callers = Callers(account="123456789012", region="us-east-1", keys=[ADA], own="made-up")
    with served(stage, callers=callers) as url:
        arn = client(url, ADA.id, ADA.secret).create_state_machine(name="m", definition=PASS, roleArn=ROLE)[
            "stateMachineArn"
        ]
        same = client(url, ADA.account, "any", aws_session_token="made-up")
        other = client(url, BOB.account, "any", aws_session_token="made-up")
        found = same.describe_state_machine(stateMachineArn=arn)["name"]
        code, _ = refusal(lambda: other.describe_state_machine(stateMachineArn=arn))

    assert (found, code) == ("m", "AccessDeniedException")


def test_without_keys_a_key_of_twelve_digits_names_the_account(stage: Stage) -> None:
    with served(stage) as url:
        named = client(url, "444444444444", "x").create_state_machine(name="m", definition=PASS, roleArn=ROLE)
        other = client(url, "test", "test").create_state_machine(name="m", definition=PASS, roleArn=ROLE)

    assert named["stateMachineArn"] == "arn:aws:states:eu-west-1:444444444444:stateMachine:m"
    assert other["stateMachineArn"] == "arn:aws:states:eu-west-1:123456789012:stateMachine:m"


def test_headers_that_botocore_would_not_sign_may_be_signed() -> None:
    """Signers of other languages sign user-agent; the values are theirs."""
    headers = [
        ("host", "localhost:8083"),
        ("user-agent", "aws-sdk-of-another-kind"),
        ("x-amz-date", "20260101T000000Z"),
        ("x-amz-target", LIST),
    ]
    sent = Sent(method="POST", path="/", query="", headers=headers, body=b"{}")
    signature = "7f2f0b4c"
    authorization = (
        "AWS4-HMAC-SHA256 Credential=AKIDADA/20260101/eu-west-1/states/aws4_request, "
        f"SignedHeaders=host;user-agent;x-amz-date;x-amz-target, Signature={signature}"
    )
    now_ms = int(datetime(2026, 1, 1, tzinfo=UTC).timestamp() * 1000)
    good = Sent(
        method="POST",
        path="/",
        query="",
        headers=[*headers, ("authorization", authorization.replace(signature, _by_hand(sent)))],
        body=b"{}",
    )

    assert verify(good, {ADA.id: ADA}, service="states", now_ms=now_ms) == (ADA, "eu-west-1")


def _by_hand(sent: Sent) -> str:
    """The signature as AWS's documentation derives it."""
    names = ";".join(name for name, _ in sent.headers)
    lines = "".join(f"{name}:{value}\n" for name, value in sent.headers)
    canonical = f"POST\n/\n\n{lines}\n{names}\n{sha256(sent.body).hexdigest()}"
    scope = "20260101/eu-west-1/states/aws4_request"
    text = f"AWS4-HMAC-SHA256\n20260101T000000Z\n{scope}\n{sha256(canonical.encode()).hexdigest()}"
    key = f"AWS4{ADA.secret}".encode()
    for part in scope.split("/"):
        key = hmac.digest(key, part.encode(), "sha256")
    return hmac.digest(key, text.encode(), "sha256").hex()


def test_without_token_and_keys_no_other_machine_is_let_in() -> None:
    with pytest.raises(InvalidInput, match="access_keys"):
        bind(Settings(host="0.0.0.0", port=0))


def test_with_keys_other_machines_are_let_in() -> None:
    api = ApiSettings.model_validate({"access_keys": [{"id": ADA.id, "secret": ADA.secret}]})
    listener = bind(Settings(host="0.0.0.0", port=0, api=api))
    try:
        assert listener.getsockname()[0] == "0.0.0.0"
    finally:
        listener.close()


def test_secrets_are_in_no_representation() -> None:
    api = ApiSettings.model_validate({"access_keys": [{"id": ADA.id, "secret": ADA.secret}]})

    assert ADA.secret not in repr(ADA) + repr(api) + str(api.model_dump())


def test_a_key_is_there_once() -> None:
    key = {"id": ADA.id, "secret": ADA.secret}

    with pytest.raises(ValidationError, match="AKIDADA is there more often"):
        ApiSettings.model_validate({"access_keys": [key, key]})
