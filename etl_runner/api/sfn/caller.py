"""Who calls: account and region, as the request's signature names them."""

import re
from dataclasses import dataclass
from typing import Final

from starlette.requests import Request

_SCOPE: Final = re.compile(r"Credential=([^/,\s]+)/(\d{8})/([a-z0-9-]+)/([a-z0-9-]+)/aws4_request")
_ACCOUNT: Final = re.compile(r"\d{12}")


@dataclass(frozen=True, slots=True, kw_only=True)
class Caller:
    """On whose behalf, and in which region, a call is made."""

    account: str
    region: str


class Callers:
    """Tells callers from their requests. Where nothing is said, `account` and `region` are meant."""

    def __init__(self, *, account: str, region: str) -> None:
        self._account = account
        self._region = region

    def of(self, request: Request, body: bytes) -> Caller:  # noqa: ARG002 -- what is signed
        """Who sent this request."""
        found = _SCOPE.search(request.headers.get("authorization", ""))
        if found is None:
            return Caller(account=self._account, region=self._region)
        key, _, region, _ = found.groups()
        return Caller(account=key if _ACCOUNT.fullmatch(key) else self._account, region=region)
