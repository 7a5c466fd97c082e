"""The order in which Java's HashMap gives its keys: the order of computed fields in AWS's outputs.

Source: the specification of java.lang.String.hashCode and the class java.util.HashMap (16 buckets at first,
twice as many whenever three quarters of them are taken); that AWS keeps computed fields in one shows in all
recorded outputs of payload templates.
"""

from collections.abc import Sequence
from typing import Final

_BUCKETS: Final = 16
_MASK: Final = 0xFFFFFFFF


def in_java_order(keys: Sequence[str]) -> list[str]:
    """Order keys as a HashMap does that took them in the order given."""
    buckets = _BUCKETS
    while len(keys) * 4 > buckets * 3:
        buckets *= 2
    return sorted(keys, key=lambda key: _spread(_hash(key)) & (buckets - 1))


def _hash(text: str) -> int:
    code = 0
    data = text.encode("utf-16-be", "surrogatepass")
    for high, low in zip(data[::2], data[1::2], strict=True):
        code = (31 * code + (high << 8 | low)) & _MASK
    return code


def _spread(code: int) -> int:
    return code ^ (code >> 16)
