"""Who calls: account and region, as the request's signature names them."""

import re
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

from etl_runner.api.edge import bears
from etl_runner.api.sigv4 import AccessKey, Sent, verify

_SCOPE: Final = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_ACCOUNT: Final = re.compile(r"\d{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf, and in which region, a call is made. `key_id` is "" where no key was asked for."""

    account: str
    region: str
    key_id: str = ""


class Callers:
    """Tells callers from their requests. Where a request says nothing, `account` and `region` are meant.

    With `keys`, a request must be signed with one of them, or bear the service's `token`. Without, whoever
    got as far as here may call, and an access key of twelve digits names the account. `own` is the token of
    the service's own tasks: each acts for the account of its execution, and for no other.
    """

    def __init__(
        self,
        *,
        account: str,
        region: str,
        keys: Iterable[AccessKey] = (),
        token: str | None = None,
        own: str | None = None,
    ) -> None:
        self._account = account
        self._region = region
        self._keys = {key.id: key for key in keys}
        self._token = None if token is None else token.encode()
        self._own = None if own is None else own.encode()

    @property
    def signed(self) -> bool:
        """Whether requests must be signed."""
        return bool(self._keys)

    def of(self, request: Request, body: bytes, *, service: str, now_ms: int) -> Caller:
        """Who sent this request to a service of AWS. Raises AwsError when its signature is not right."""
        headers = dict(request.scope["headers"])
        by_own = self._own is not None and bears(headers, self._own)
        by_token = by_own or (self._token is not None and bears(headers, self._token))
        if self._keys and not by_token:
            key, region = verify(_sent(request, body), self._keys, service=service, now_ms=now_ms)
            return Caller(account=key.account, region=region, key_id=key.id)
        found = _SCOPE.search(request.headers.get("authorization", ""))
        if found is None:
            return Caller(account=self._account, region=self._region)
        key_id, _, region, _ = found.groups()
        account = key_id if _ACCOUNT.fullmatch(key_id) else self._account
        return Caller(account=account, region=region, key_id=account if by_own else "")


def _sent(request: Request, body: bytes) -> Sent:
    return Sent(
        method=request.method,
        path=request.url.path,
        query=request.url.query,
        headers=[
            (name.decode("latin-1").lower(), value.decode("latin-1"))
            for name, value in request.scope["headers"]
        ],
        body=body,
    )
