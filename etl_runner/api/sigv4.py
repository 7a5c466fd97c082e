"""AWS's request signatures (Signature Version 4), checked against the access keys that settings name.

What is signed is worked out again by botocore's own signer and compared in constant time, so that what it
signs is taken and nothing else. As on AWS a signature holds for five minutes and for one body. Within them
the very same request is taken again, since two calls that a client makes in the same second with the same
parameters have the same signature: refusing the second would refuse honest callers, and what tells them
apart (`amz-sdk-invocation-id`) is not signed, so that it would stop no thief either.
"""

import hmac
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import cache
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from etl_runner.api.sfn.errors import AwsError

if TYPE_CHECKING:
    from botocore.auth import SigV4Auth
    from botocore.awsrequest import AWSRequest, HTTPHeaders

ALGORITHM: Final = "AWS4-HMAC-SHA256"
_STAMP: Final = "%Y%m%dT%H%M%SZ"
_WINDOW: Final = timedelta(minutes=5)
_CONTENT_HASH: Final = "x-amz-content-sha256"

_MISMATCH: Final = (
    "The request signature we calculated does not match the signature you provided. Check your AWS Secret "
    "Access Key and signing method. Consult the service documentation for details."
)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessKey:
    """A key that callers sign with, and the account they then act for."""

    id: str
    secret: str = field(repr=False)
    account: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Sent:
    """A request as it came: header names in lower case, in order, each as often as it was there."""

    method: str
    path: str
    query: str
    headers: Sequence[tuple[str, str]]
    body: bytes

    def values(self, name: str) -> list[str]:
        """All values of a header."""
        return [value for each, value in self.headers if each == name]

    def value(self, name: str) -> str:
        """A header's first value, "" without it."""
        return next(iter(self.values(name)), "")


@dataclass(frozen=True, slots=True, kw_only=True)
class _Claim:
    """What an Authorization header says."""

    key_id: str
    date: str
    region: str
    service: str
    signed: tuple[str, ...]
    signature: str


def verify(sent: Sent, keys: Mapping[str, AccessKey], *, service: str, now_ms: int) -> tuple[AccessKey, str]:
    """The key that a request is signed with, and the region it is meant for. Raises AwsError."""
    if not sent.value("authorization"):
        raise AwsError("MissingAuthenticationTokenException", "Missing Authentication Token")
    claim = _claim(sent)
    key = keys.get(claim.key_id)
    if key is None:
        message = "The security token included in the request is invalid."
        raise AwsError("UnrecognizedClientException", message)
    if claim.service != service:
        raise _invalid(f"Credential should be scoped to correct service: '{service}'.")
    unsigned = _must_be_signed(sent) - set(claim.signed)
    if unsigned:
        raise _invalid(f"'{min(unsigned)}' must be a 'SignedHeader' in the AWS Authorization.")
    _check_date(sent.value("x-amz-date"), claim.date, now_ms)
    if not hmac.compare_digest(_signature(sent, claim, key).encode(), claim.signature.encode()):
        raise _invalid(_MISMATCH)
    return key, claim.region


def _claim(sent: Sent) -> _Claim:
    algorithm, _, rest = sent.value("authorization").partition(" ")
    parts = dict(part.strip().partition("=")[::2] for part in rest.split(","))
    missing = [
        f"Authorization header requires '{name}' parameter."
        for name in ("Credential", "Signature", "SignedHeaders")
        if not parts.get(name)
    ]
    if not sent.value("x-amz-date"):
        missing.append("Authorization header requires existence of an 'X-Amz-Date' header.")
    scope = parts.get("Credential", "").rsplit("/", 4)
    if algorithm != ALGORITHM:
        missing = [f"Unsupported AWS 'algorithm': '{algorithm[:32]}'; it must be {ALGORITHM}."]
    elif not missing and (len(scope) != 5 or scope[4] != "aws4_request"):
        missing = [
            "Credential must have five slash-delimited elements, KEY/DATE/REGION/SERVICE/aws4_request."
        ]
    if missing:
        raise AwsError("IncompleteSignatureException", " ".join(missing))
    return _Claim(
        key_id=scope[0],
        date=scope[1],
        region=scope[2],
        service=scope[3],
        signed=tuple(parts["SignedHeaders"].split(";")),
        signature=parts["Signature"],
    )


def _must_be_signed(sent: Sent) -> set[str]:
    """The host, and every x-amz- header: one that is not signed could be another than was sent."""
    return {"host"} | {name for name, _ in sent.headers if name.startswith("x-amz-")}


def _check_date(stamp: str, scope_date: str, now_ms: int) -> None:
    try:
        signed = datetime.strptime(stamp, _STAMP).replace(tzinfo=UTC)
    except ValueError:
        raise AwsError(
            "IncompleteSignatureException", f"Date must be in ISO-8601 'basic format'. Got '{stamp[:32]}'."
        ) from None
    if scope_date != stamp[:8]:
        raise _invalid(
            "Date in Credential scope does not match YYYYMMDD from ISO-8601 version of date from HTTP: "
            f"'{scope_date}' != '{stamp[:8]}', from '{stamp}'."
        )
    now = datetime.fromtimestamp(now_ms / 1000, tz=UTC)
    if signed < now - _WINDOW:
        oldest = (now - _WINDOW).strftime(_STAMP)
        raise _invalid(
            f"Signature expired: {stamp} is now earlier than {oldest} ({now.strftime(_STAMP)} - 5 min.)"
        )
    if signed > now + _WINDOW:
        newest = (now + _WINDOW).strftime(_STAMP)
        raise _invalid(
            f"Signature not yet current: {stamp} is still later than {newest} "
            f"({now.strftime(_STAMP)} + 5 min.)"
        )


@cache
def _signer() -> "type[SigV4Auth]":
    from botocore.auth import SigV4Auth  # noqa: PLC0415 -- brings botocore, which --help can do without

    class Signer(SigV4Auth):
        """Signs the headers that the caller signed, whatever botocore itself would choose."""

        def headers_to_sign(self, request: "AWSRequest") -> "HTTPHeaders":
            return request.headers

    return Signer


def _signature(sent: Sent, claim: _Claim, key: AccessKey) -> str:
    from botocore.awsrequest import AWSRequest  # noqa: PLC0415 -- brings botocore, as _signer does
    from botocore.credentials import Credentials  # noqa: PLC0415 -- the same

    if sent.value(_CONTENT_HASH) not in {"", sha256(sent.body).hexdigest()}:
        raise _invalid(_MISMATCH)  # else the header's word would be taken for the body's hash
    # Plain HTTP whatever came: over HTTPS the signer would leave the body out.
    url = f"http://host{sent.path}" + (f"?{sent.query}" if sent.query else "")
    request = AWSRequest(method=sent.method, url=url, data=sent.body)
    for name in claim.signed:
        for value in sent.values(name):
            request.headers.add_header(name, value)
    request.context["timestamp"] = sent.value("x-amz-date")
    signer = _signer()(Credentials(key.id, key.secret), claim.service, claim.region)
    text = signer.string_to_sign(request, signer.canonical_request(request))
    found: str = signer.signature(text, request)
    return found


def _invalid(message: str) -> AwsError:
    return AwsError("InvalidSignatureException", message)
