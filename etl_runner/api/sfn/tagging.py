"""Tags as calls give them."""

from collections.abc import Mapping, Sequence
from typing import Final

from etl_runner.api.sfn.errors import AwsError, validation_error
from etl_runner.jsontypes import Json

_RESERVED: Final = "aws:"


def tags_of(given: Sequence[Mapping[str, Json]], most: int) -> dict[str, str]:
    """The tags of a call by key, at most so many. Raises AwsError ValidationException and TooManyTags."""
    found = {each.get("key", ""): each.get("value", "") for each in given}
    if any(key.lower().startswith(_RESERVED) for key in found):
        raise validation_error("aws: prefixed tag key names are not allowed for external use.")
    if len(found) > most:
        raise too_many_tags()
    return found


def too_many_tags() -> AwsError:
    """TooManyTags."""
    return AwsError("TooManyTags", "You've exceeded the number of tags allowed for a resource.")
