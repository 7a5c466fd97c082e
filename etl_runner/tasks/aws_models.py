"""botocore's API models: which services and actions exist, without a client, a region or credentials."""

import difflib
import threading
from functools import lru_cache
from typing import Any

from etl_runner.tasks.aws_naming import camel, service_names

_lock = threading.Lock()  # a botocore session is not made for several threads


@lru_cache(maxsize=1)
def _session() -> Any:
    import botocore.session  # noqa: PLC0415 -- a tenth of a second that a daemon without AWS need not pay

    return botocore.session.get_session()


@lru_cache(maxsize=1)
def services() -> dict[str, str]:
    """Name in an aws-sdk resource -> boto3's name."""
    with _lock:
        return service_names(_session().get_available_services())


@lru_cache(maxsize=32)
def service_model(boto3_name: str) -> Any:
    """Botocore's model of a service that exists. Reading one takes up to half a second (EC2)."""
    with _lock:
        return _session().get_service_model(boto3_name)


@lru_cache(maxsize=32)
def actions(boto3_name: str) -> dict[str, str]:
    """Name in an aws-sdk resource (describeDBInstances) -> the API's (DescribeDBInstances)."""
    return {camel(name): name for name in service_model(boto3_name).operation_names}


def near(name: str, among: dict[str, str]) -> str:
    """Say which names come close: "; did you mean a or b?", or nothing."""
    same = [known for known in among if known.lower() == name.lower()]
    found = same or difflib.get_close_matches(name, among, n=3)
    return f"; did you mean {' or '.join(found)}?" if found else ""
