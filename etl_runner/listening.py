"""The address at which the service listens: taken before anything is built, refused where it is not safe."""

import errno
import ipaddress
import socket

from etl_runner.errors import InvalidInput
from etl_runner.settings import Settings


def bind(settings: Settings) -> socket.socket:
    """Take the address. Raises InvalidInput when it is taken or not allowed without token and access keys."""
    host, port = settings.host, settings.port
    if not _is_loopback(host) and settings.api_token is None and not settings.api.access_keys:
        raise InvalidInput(
            f"listening on {host or 'every address'} lets other machines in, so a token is needed: set "
            "ETL_RUNNER_API_TOKEN, or `api.access_keys` for AWS's API, or listen on 127.0.0.1"
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    # With its protocol named, since asyncio turns Nagle's delay (40 ms an answer) off for TCP by that alone.
    listener = socket.socket(family, socket.SOCK_STREAM, socket.IPPROTO_TCP)
    listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        listener.bind((host, port))
        # At once: with SO_REUSEADDR a second daemon could bind too until one of them listens. Whoever
        # connects before we are ready waits in the queue.
        listener.listen(1024)
    except (OSError, UnicodeError) as error:
        listener.close()
        why = getattr(error, "strerror", None) or str(error)
        raise InvalidInput(f"cannot listen on {host} port {port}: {why}; {_remedy_of(error)}") from error
    return listener


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _remedy_of(error: Exception) -> str:
    number = error.errno if isinstance(error, OSError) and not isinstance(error, socket.gaierror) else None
    match number:
        case errno.EADDRINUSE:
            return "stop what uses it, or choose another with --port (0 takes a free one)"
        case errno.EACCES:
            return "ports below 1024 need a right that this user has not: choose another with --port"
        case _:
            return "give --host a name or address of this machine, such as 127.0.0.1"


def url_of(host: str, port: int) -> str:
    """The URL of an address."""
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


def reachable(host: str) -> str:
    """The address at which this machine reaches what listens on `host`."""
    return {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104 -- nothing is bound here
