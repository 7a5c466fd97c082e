"""One place says where AWS is, and child processes are told the same."""

import json
import pickle
import subprocess
import sys
import threading
from contextlib import suppress
from typing import Any

import pytest
from botocore.exceptions import EndpointConnectionError

from etl_runner import s3
from etl_runner.aws import AwsAccess, ClientProfile
from etl_runner.demo.embedded_aws import embedded_aws
from etl_runner.errors import InvalidInput

ACCESS = AwsAccess(
    endpoint_url="http://127.0.0.1:1",
    endpoint_urls={"s3": "http://127.0.0.1:2", "stepfunctions": "http://127.0.0.1:3"},
    region="eu-west-1",
    access_key_id="key",
    secret_access_key="very-secret",
    session_token="also-secret",
)


def test_a_client_is_made_once_per_service_and_region() -> None:
    made: list[Any] = []
    threads = [threading.Thread(target=lambda: made.append(ACCESS.client("sqs"))) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert len({id(client) for client in made}) == 1
    assert ACCESS.client("sqs", "us-west-2") is not made[0]
    assert ACCESS.client("sqs", "us-west-2").meta.region_name == "us-west-2"


def test_a_service_goes_to_its_own_endpoint_or_the_common_one() -> None:
    assert ACCESS.client("s3").meta.endpoint_url == "http://127.0.0.1:2"
    assert ACCESS.client("sqs").meta.endpoint_url == "http://127.0.0.1:1"
    assert AwsAccess(region="us-east-1").client("s3").meta.endpoint_url == "https://s3.amazonaws.com"


def test_buckets_of_a_stand_in_are_addressed_by_path() -> None:
    client = AwsAccess(
        endpoint_url="http://storage:9000", region="us-east-1", access_key_id="k", secret_access_key="s"
    ).client("s3")

    assert client.generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"}).startswith(
        "http://storage:9000/b/k"
    )


def test_a_stand_in_that_the_sdks_variables_name_has_no_other_names_either(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("AWS_ENDPOINT_URL", "http://localhost:1")
    access = AwsAccess(region="us-east-1", access_key_id="k", secret_access_key="s")
    url = access.client("s3").generate_presigned_url("get_object", Params={"Bucket": "b", "Key": "k"})
    with pytest.raises(EndpointConnectionError) as raised:
        access.client("stepfunctions", profile=ClientProfile(attempts=1)).start_sync_execution(
            stateMachineArn="arn:aws:states:us-east-1:123456789012:stateMachine:one"
        )

    assert url.startswith("http://localhost:1/b/k")
    assert '"http://localhost:1/"' in str(raised.value)  # not sync-localhost


def test_awss_own_endpoints_keep_their_names() -> None:
    access = AwsAccess(region="us-east-1", access_key_id="k", secret_access_key="s")

    for service in ("s3", "stepfunctions", "sts", "sqs"):
        config = access.client(service).meta.config
        assert config.inject_host_prefix, service
        assert config.s3["addressing_style"] == "auto"


def test_the_repr_shows_no_secret() -> None:
    assert "secret" not in repr(ACCESS).replace("secret_access_key", "")


def test_child_processes_are_told_the_same() -> None:
    assert ACCESS.environment() == {
        "AWS_ENDPOINT_URL": "http://127.0.0.1:1",
        "AWS_ENDPOINT_URL_S3": "http://127.0.0.1:2",
        "AWS_ENDPOINT_URL_SFN": "http://127.0.0.1:3",
        "AWS_DEFAULT_REGION": "eu-west-1",
        "AWS_ACCESS_KEY_ID": "key",
        "AWS_SECRET_ACCESS_KEY": "very-secret",
        "AWS_SESSION_TOKEN": "also-secret",
    }
    assert AwsAccess().environment() == {}


def test_task_code_finds_the_same_s3_by_the_environment(
    s3_access: AwsAccess, s3_server: tuple[Any, str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in s3_access.environment().items():
        monkeypatch.setenv(name, value)
    receipt = s3.put_versioned(s3_server[1], "k", b"1", idempotency_key="one")

    assert s3_server[0].head_object(Bucket=s3_server[1], Key="k")["VersionId"] == receipt.version_id
    assert s3.client() is s3.client()
    s3.client().close()


def test_services_that_are_not_there_are_refused_with_near_names() -> None:
    with pytest.raises(InvalidInput, match="no service 'stepfunction'; near names are stepfunctions"):
        ACCESS.client("stepfunction")
    with pytest.raises(InvalidInput, match="no service 'nosuch'"):
        AwsAccess(endpoint_urls={"nosuch": "http://127.0.0.1:1"}).environment()


def test_a_missing_region_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("AWS_DEFAULT_REGION", "AWS_REGION", "AWS_PROFILE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("AWS_CONFIG_FILE", "/nonexistent")
    with pytest.raises(InvalidInput, match="no region is known for a client of 'sqs'"):
        AwsAccess().client("sqs")


def test_a_receipt_survives_a_pipe() -> None:
    receipt = s3.Receipt(
        bucket="b",
        key="k",
        version_id="v",
        etag="e",
        size=1,
        sha256="s",
        replaced_version_id=None,
        unchanged=False,
    )

    assert pickle.loads(pickle.dumps(receipt)) == receipt


def test_importing_the_room_does_not_import_boto3() -> None:
    code = "import sys, json, etl_runner.s3, etl_runner.aws; print(json.dumps(sorted(sys.modules)))"
    loaded = json.loads(subprocess.run([sys.executable, "-c", code], check=True, capture_output=True).stdout)

    assert not {"boto3", "botocore"} & set(loaded)


def test_the_embedded_aws_answers_for_every_service_it_stands_in_for() -> None:
    with embedded_aws("moto") as access:
        queue = access.client("sqs").create_queue(QueueName="q")["QueueUrl"]
        access.client("s3").create_bucket(Bucket="some-bucket")

        assert queue.endswith("/q")
        assert [each["Name"] for each in access.client("s3").list_buckets()["Buckets"]] == ["some-bucket"]
        for service in ("sqs", "s3"):
            access.client(service).close()


def test_a_stand_in_is_reached_under_its_own_name_whatever_stands_before_awss() -> None:
    access = AwsAccess(
        endpoint_url="http://127.0.0.1:1", region="us-east-1", access_key_id="a", secret_access_key="b"
    )
    client = access.client("stepfunctions")
    sent: list[str] = []
    client.meta.events.register("before-send.*.*", lambda request, **_: sent.append(request.url))
    with suppress(EndpointConnectionError):
        client.start_sync_execution(stateMachineArn="arn:aws:states:us-east-1:1:stateMachine:m")
    access.close()

    assert {url.rstrip("/") for url in sent} == {"http://127.0.0.1:1"}
