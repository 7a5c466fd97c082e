"""Tags as calls give them."""

from collections.abc import Mapping, Sequence
from typing import Final

from etl_runner.api.sfn.errors import AwsError, validation_error
from etl_runner.jsontypes import Json

_RESERVED: Final = "aws:"


def tags_of(given: Sequence[Mapping[str, Json]], most: int) -> dict[str, str]:
    """The tags of a call by key, at most so many. Raises AwsError ValidationException and TooManyTags."""
    for place, each in enumerate(given, 1):
        if "key" not in each:  # the service's model lets it be missing
            raise validation_error(
                f"1 validation error detected: Value null at 'tags.{place}.member.key' failed to satisfy "
                "constraint: Member must not be null"
            )
    found = {each["key"]: each.get("value", "") for each in given}
    if any(key.lower().startswith(_RESERVED) for key in found):
        raise validation_error("aws: prefixed tag key names are not allowed for external use.")
    if len(found) > most:
        raise too_many_tags()
    return found


def too_many_tags() -> AwsError:
    """TooManyTags."""
    return AwsError("TooManyTags", "You've exceeded the number of tags allowed for a resource.")
