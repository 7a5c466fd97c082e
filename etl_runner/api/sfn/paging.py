"""Pages of lists: how many entries, and the token that names the place where the next page begins."""

import hashlib
from base64 import urlsafe_b64decode, urlsafe_b64encode
from typing import Final, TypeVar

from etl_runner.api.sfn.errors import invalid_token
from etl_runner.jsontypes import Json, dumps, loads

DEFAULT_SIZE: Final = 100
_VERSION: Final = 1

Place = TypeVar("Place", int, str)


def page_size(parameters: dict[str, Json]) -> int:
    """How many entries a page has: maxResults, of which 0 means the default."""
    return int(parameters.get("maxResults") or DEFAULT_SIZE)


def make_token(question: Json, place: Json) -> str:
    """A token for `place` in the list that answers `question`; both are JSON."""
    return urlsafe_b64encode(dumps([_VERSION, _digest(question), place])).decode().rstrip("=")


def place_of(token: str | None, question: Json, kind: type[Place]) -> Place | None:
    """The place that a token names, a number or a text as the list has it; None without a token.

    Raises AwsError InvalidToken for a token that `make_token` did not make for this question.
    """
    if token is None:
        return None
    try:
        version, digest, place = loads(urlsafe_b64decode(token + "=" * (-len(token) % 4)))
    except (ValueError, TypeError):
        raise invalid_token() from None
    if (version, digest) != (_VERSION, _digest(question)) or type(place) is not kind:
        raise invalid_token()
    return place


def _digest(question: Json) -> str:
    return hashlib.blake2b(dumps(question), digest_size=6).hexdigest()
