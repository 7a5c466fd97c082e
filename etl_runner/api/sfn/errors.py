"""The one error of this API: a code, a message and a status, as AWS's clients read them."""

from collections.abc import Mapping
from typing import Final

from etl_runner.errors import EtlRunnerError
from etl_runner.jsontypes import Json

_CORAL: Final = "com.amazon.coral.service#"
_NAMESPACES: Final = {
    "ValidationException": "com.amazon.coral.validate#",
    "SerializationException": _CORAL,
    "UnknownOperationException": _CORAL,
    "InternalFailure": _CORAL,
    "ServiceUnavailableException": _CORAL,
    "ThrottlingException": _CORAL,
    "MissingAuthenticationTokenException": _CORAL,
    "IncompleteSignatureException": _CORAL,
    "InvalidSignatureException": _CORAL,
    "UnrecognizedClientException": _CORAL,
    "AccessDeniedException": _CORAL,
}
_OWN: Final = "com.amazonaws.swf.service.v2.model#"


class AwsError(EtlRunnerError):
    """An error as this API answers it: clients read `code`, `message` and `members`.

    `status` is 400 where the caller is at fault, 500 or 503 where the service is.
    """

    def __init__(
        self, code: str, message: str, status: int = 400, members: Mapping[str, Json] | None = None
    ) -> None:
        self.code = code
        self.message = message
        self.status = status
        self.members = dict(members or {})
        super().__init__(f"{code}: {message}")

    def body(self) -> dict[str, Json]:
        """The answer's JSON."""
        kind = _NAMESPACES.get(self.code, _OWN) + self.code
        return {"__type": kind, "message": self.message, **self.members}


def validation_error(message: str, reason: str = "") -> AwsError:
    """A ValidationException; `reason` is one of the model's ValidationExceptionReason where AWS gives one."""
    return AwsError("ValidationException", message, members={"reason": reason} if reason else None)


def invalid_arn(what: str) -> AwsError:
    """InvalidArn: `what` says which rule was broken, such as "Invalid ARN prefix: x"."""
    return AwsError("InvalidArn", f"Invalid Arn: '{what}'")


def invalid_name(name: str) -> AwsError:
    """InvalidName."""
    return AwsError("InvalidName", f"Invalid Name: '{name}'")


def invalid_token() -> AwsError:
    """InvalidToken, of a page that no list gave, or gave to other parameters."""
    return AwsError("InvalidToken", "Invalid Token: 'Invalid token'")
