"""Timestamps as the Amazon States Language has them: RFC 3339 with capital T and Z."""

import re
from datetime import datetime
from typing import Final

_RFC3339: Final = re.compile(
    r"([0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2})(?:\.([0-9]+))?(Z|[+-][0-9]{2}:[0-9]{2})"
)


def instant(text: str) -> tuple[int, str] | None:
    """Give the moment `text` names, as something to compare; None when it names none.

    The pair is whole seconds since the epoch and the fraction's digits without zeros at the end: digits
    compare as fractions do, however many there are.
    """
    found = _RFC3339.fullmatch(text)
    if found is None:
        return None
    try:
        moment = datetime.fromisoformat(found[1] + found[3])
        return int(moment.timestamp()), (found[2] or "").rstrip("0")
    except (ValueError, OverflowError):
        return None
