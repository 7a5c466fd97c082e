"""How to reach AWS, or what stands in for it: endpoints, region, credentials, and boto3 clients.

boto3 takes a tenth of a second to import, so it is imported when the first client is asked for.
"""

import difflib
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import lru_cache
from typing import Any, Final
from urllib.parse import urlsplit

from etl_runner.errors import InvalidInput

CONNECT_TIMEOUT_S: Final = 5
READ_TIMEOUT_S: Final = 60
ATTEMPTS: Final = 5
"""Of one call, by botocore's standard retry mode: connection errors, throttling and 5xx answers.

Right where a call may be repeated and nobody else would; a state's calls have its Retry (integration.py).
"""

POOL_CONNECTIONS: Final = 32
"""More than botocore's ten: the threads of the engine share one client per service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientProfile:
    """How patient a client is: how often it tries, and how long it waits for the next byte of an answer.

    `asks_checksums`: S3 is asked for the checksums of what it sends, and they are compared; its answers then
    have them as fields.
    """

    attempts: int = ATTEMPTS
    read_timeout_s: int = READ_TIMEOUT_S
    asks_checksums: bool = True


DEFAULT_PROFILE: Final = ClientProfile()


@dataclass(frozen=True, slots=True, kw_only=True)
class AwsAccess:
    """Where AWS is and who asks. None everywhere means: whatever boto3 finds by itself.

    `endpoint_url` is for every service; `endpoint_urls` names exceptions by boto3's service name
    (`{"s3": "http://127.0.0.1:8333"}`). The repr shows no secret.
    """

    endpoint_url: str | None = None
    endpoint_urls: Mapping[str, str] = field(default_factory=dict)
    region: str | None = None
    access_key_id: str | None = None
    secret_access_key: str | None = field(default=None, repr=False)
    session_token: str | None = field(default=None, repr=False)
    _clients: dict[tuple[str, str | None, ClientProfile], Any] = field(
        default_factory=dict, init=False, repr=False, compare=False
    )
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False, repr=False, compare=False)

    def endpoint_of(self, service: str) -> str | None:
        """The endpoint of a service, None for AWS's own."""
        return self.endpoint_urls.get(service, self.endpoint_url)

    def client(
        self, service: str, region: str | None = None, *, profile: ClientProfile = DEFAULT_PROFILE
    ) -> Any:
        """The boto3 client of a service, made once per region and profile and shared by all threads.

        Raises InvalidInput for a service that boto3 does not know, and where no region can be found.
        """
        key = (service, region, profile)
        with self._lock:  # boto3 sessions are not thread-safe, their clients are
            if key not in self._clients:
                self._clients[key] = self._make_client(service, region, profile)
            return self._clients[key]

    def close(self) -> None:
        """Close the connections of all clients; one that is asked for later is made anew."""
        with self._lock:
            clients = list(self._clients.values())
            self._clients.clear()
        for client in clients:
            client.close()

    def environment(self) -> dict[str, str]:
        """The variables with which a child process's own boto3 reaches the same place.

        Raises InvalidInput when `endpoint_urls` names a service that boto3 does not know.
        """
        values = {
            "AWS_ENDPOINT_URL": self.endpoint_url,
            "AWS_DEFAULT_REGION": self.region,
            "AWS_ACCESS_KEY_ID": self.access_key_id,
            "AWS_SECRET_ACCESS_KEY": self.secret_access_key,
            "AWS_SESSION_TOKEN": self.session_token,
        }
        for service, url in self.endpoint_urls.items():
            values[f"AWS_ENDPOINT_URL_{_service_id(service)}"] = url
        return {name: value for name, value in values.items() if value is not None}

    def _make_client(self, service: str, region: str | None, profile: ClientProfile) -> Any:
        import boto3  # noqa: PLC0415 -- 110 ms that `--help` need not pay
        from botocore.exceptions import NoRegionError, UnknownServiceError  # noqa: PLC0415

        endpoint = self.endpoint_of(service)
        session = boto3.session.Session(
            aws_access_key_id=self.access_key_id,
            aws_secret_access_key=self.secret_access_key,
            aws_session_token=self.session_token,
            region_name=region or self.region,
        )
        config = _config(profile, is_stand_in=endpoint is not None)
        try:
            client = session.client(service, endpoint_url=endpoint, config=config)
            found = client.meta.endpoint_url
            if endpoint is None and not is_awss_own(found):
                # AWS_ENDPOINT_URL or the SDK's configuration file names a stand-in.
                client.close()
                config = _config(profile, is_stand_in=True)
                client = session.client(service, endpoint_url=found, config=config)
        except UnknownServiceError as unknown:
            raise _no_such_service(service, session.get_available_services()) from unknown
        except NoRegionError as nowhere:
            raise InvalidInput(
                f"no region is known for a client of {service!r}; set the region in the settings "
                "or AWS_DEFAULT_REGION"
            ) from nowhere
        return client


def _config(profile: ClientProfile, *, is_stand_in: bool) -> Any:
    """How a client calls; a stand-in for AWS has one name and no others in front of it."""
    from botocore.config import Config  # noqa: PLC0415 -- slow to import

    return Config(
        retries={"mode": "standard", "total_max_attempts": profile.attempts},
        connect_timeout=CONNECT_TIMEOUT_S,
        read_timeout=profile.read_timeout_s,
        max_pool_connections=POOL_CONNECTIONS,
        s3={"addressing_style": "path" if is_stand_in else "auto"},  # no name for each bucket
        inject_host_prefix=not is_stand_in,  # nor sync-states, or any other
        response_checksum_validation="when_supported" if profile.asks_checksums else "when_required",
    )


def is_awss_own(url: str) -> bool:
    """Whether an endpoint is AWS's own, in whatever partition, and no stand-in."""
    return (urlsplit(url).hostname or "").endswith(_awss_domains())


@lru_cache
def _awss_domains() -> tuple[str, ...]:
    import botocore.session  # noqa: PLC0415 -- slow to import

    partitions = botocore.session.get_session().get_component("data_loader").load_data("partitions")
    outputs = [each["outputs"] for each in partitions["partitions"]]
    return tuple({f".{one[kind]}" for one in outputs for kind in ("dnsSuffix", "dualStackDnsSuffix")})


@lru_cache
def _service_id(service: str) -> str:
    """What botocore calls a service within AWS_ENDPOINT_URL_<NAME>: `stepfunctions` is SFN there."""
    import botocore.session  # noqa: PLC0415 -- slow to import
    from botocore.exceptions import UnknownServiceError  # noqa: PLC0415

    session = botocore.session.get_session()
    try:
        model = session.get_service_model(service)
    except UnknownServiceError as unknown:
        raise _no_such_service(service, session.get_available_services()) from unknown
    return str(model.service_id).replace(" ", "_").upper()


def _no_such_service(service: str, known: list[str]) -> InvalidInput:
    near = difflib.get_close_matches(service, known, n=3)
    hint = f"; near names are {', '.join(near)}" if near else ""
    return InvalidInput(f"boto3 knows no service {service!r}{hint}")
