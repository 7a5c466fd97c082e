"""Where samples run: the served program with the functions that they call, and moto as the rest of AWS.

The program finds moto as any program finds AWS: through the variables of the SDK.
"""

import json
import os
import re
import shutil
import sys
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from threading import Lock
from typing import Any, Final

import boto3
from botocore.config import Config

from tests.conformance.world import free_ports, running, wait_for
from tests.samples import functions
from tests.samples.model import Json, Sample

ACCOUNT: Final = "123456789012"
REGION: Final = "us-east-1"
_OF_STATES: Final = {"StartAt", "Next", "Default"}
_PLACES: Final = re.compile(r"arn:(?:aws|<PARTITION>):(lambda|sqs|sns|states):[a-z0-9-]+:\d{12}:")


@dataclass(slots=True)
class Stage:
    """The clients of both servers."""

    url: str
    aws_url: str
    _clients: dict[str, Any] = field(default_factory=dict)
    _lock: Lock = field(default_factory=Lock)

    def client(self, service: str) -> Any:
        """The boto3 client of a service, one for all threads."""
        with self._lock:
            if service not in self._clients:
                self._clients[service] = boto3.session.Session().client(
                    service,
                    region_name=REGION,
                    endpoint_url=self.url if service == "stepfunctions" else self.aws_url,
                    aws_access_key_id=ACCOUNT,
                    aws_secret_access_key="secret",
                    config=Config(
                        read_timeout=90,
                        max_pool_connections=60,
                        inject_host_prefix=False,
                        s3={"addressing_style": "path"},
                    ),
                )
            return self._clients[service]


@contextmanager
def stage(folder: Path, samples: Sequence[Sample]) -> Iterator[Stage]:
    """Start both servers with the functions of these samples; end them at the end."""
    own, aws = free_ports(2)
    url, aws_url = f"http://127.0.0.1:{own}", f"http://127.0.0.1:{aws}"
    _install(folder, samples)
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("ETL_RUNNER_", "AWS_"))
    } | {
        "AWS_ENDPOINT_URL": aws_url,
        "AWS_ENDPOINT_URL_SFN": url,
        "AWS_ACCESS_KEY_ID": ACCOUNT,
        "AWS_SECRET_ACCESS_KEY": "secret",
        "MOTO_ACCOUNT_ID": ACCOUNT,
    }
    moto = [sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(aws)]
    serve = [sys.executable, "-m", "etl_runner.cli", "serve", "--port", str(own)]
    with (
        running(moto, folder / "moto.log", folder, environment),
        running(serve, folder / "service.log", folder, environment) as service,
    ):
        wait_for(f"{aws_url}/moto-api/", None, folder / "moto.log")
        wait_for(f"{url}/healthz", service, folder / "service.log")
        yield Stage(url=url, aws_url=aws_url)


def own_name(name: str, number: int) -> str:
    """What a function, a resource or a machine is called in the run with this number."""
    return f"{re.sub(r'[^a-z0-9-]', '', name.lower())[-50:]}-{number}"


def with_own_names(value: Json, sample: Sample, number: int) -> Json:
    """The value (definition, input) with the sample's edits, and with this run's names for its own."""
    names = [*sample.functions, *sample.machines, *(each.name for each in sample.makes)]
    return _renamed(value, sample.edits, {name: own_name(name, number) for name in names})


def _renamed(value: Json, edits: Mapping[str, str], names: Mapping[str, str]) -> Json:
    if isinstance(value, dict):
        return {
            _key(key, edits, names): each if key in _OF_STATES else _renamed(each, edits, names)
            for key, each in value.items()
        }
    if isinstance(value, list):
        return [_renamed(each, edits, names) for each in value]
    if not isinstance(value, str):
        return value
    text = _PLACES.sub(rf"arn:aws:\1:{REGION}:{ACCOUNT}:", _edited(value, edits)).replace(
        "<PARTITION>", "aws"
    )
    for name, own in names.items():
        # The whole text, or the end of an ARN or a URL.
        text = re.sub(rf"(^|^arn:.*:|^https://.*/){re.escape(name)}(:\$LATEST)?$", rf"\g<1>{own}\g<2>", text)
    return text


def _key(text: str, edits: Mapping[str, str], names: Mapping[str, str]) -> str:
    """The key of a field; only one that an edit has put there can be a name."""
    edited = _edited(text, edits)
    if edited == text:
        return text
    return names.get(edited.removesuffix(".$"), edited.removesuffix(".$")) + ".$" * edited.endswith(".$")


def _edited(text: str, edits: Mapping[str, str]) -> str:
    for old, new in edits.items():
        text = text.replace(old, new)
    return text


def _install(folder: Path, samples: Sequence[Sample]) -> None:
    """Write the program's folder: functions.yaml and the code behind it."""
    code, bound = ['"""Functions with one answer."""', ""], ["functions:"]
    for number, sample in enumerate(samples):
        for name, does in sample.functions.items():
            own = own_name(name, number)
            if callable(does):
                handler = f"functions.{does.__name__}"
            else:
                handler = f"answers.answer_{len(code)}"
                answer = with_own_names(does, sample, number)
                code.append(f"def answer_{len(code)}(event, context):\n    return {answer!r}\n\n")
            bound.append(f"  {own}: {{handler: {handler}, run_in: thread}}")
    jobs = folder / "workflows" / "samples"
    jobs.mkdir(parents=True)
    (jobs / "answers.py").write_text("\n".join(code))
    (jobs / "functions.yaml").write_text("\n".join(bound) + "\n")
    shutil.copy(str(functions.__file__), jobs / "functions.py")
    for each in ("schedules", "rules"):
        (folder / "config" / each).mkdir(parents=True)
    settings = {
        "account": ACCOUNT,
        "region": REGION,
        "grace_seconds": 0,
        "tasks": {"threads": 32, "calls": 32, "processes": 1},
    }
    (folder / "config" / "etl-runner.yaml").write_text(json.dumps(settings))
