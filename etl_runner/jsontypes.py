"""JSON values and their text form, the same everywhere in the project.

msgspec reads and writes them because integers beyond 64 bits survive it (orjson turns them into floats).
"""

from typing import Any, Final, TypeAlias

import msgspec

Json: TypeAlias = Any
"""None, bool, int, float, str, list of Json or dict from str to Json."""

PAYLOAD_LIMIT_BYTES: Final = 262_144
"""The most that a state's input or output may have, in UTF-8 bytes (Step Functions service quotas)."""

_encoder = msgspec.json.Encoder()
_sorted_encoder = msgspec.json.Encoder(order="sorted")
_decoder: Final[msgspec.json.Decoder[Json]] = msgspec.json.Decoder()


def dumps(value: Json) -> bytes:
    """Give the compact JSON text of `value` in UTF-8, keys in their own order.

    Raises TypeError for what JSON has no form for.
    """
    return _encoder.encode(value)


def dumps_text(value: Json) -> str:
    """Give the compact JSON text of `value`, as AWS shows it in inputs and outputs."""
    return _encoder.encode(value).decode()


def dumps_canonical(value: Json) -> bytes:
    """Give the JSON text of `value` with sorted keys: equal values have equal text."""
    return _sorted_encoder.encode(value)


def loads(text: bytes | str) -> Json:
    """Read JSON text. Raises ValueError (msgspec.DecodeError is one) naming the byte where it went wrong."""
    try:
        return _decoder.decode(text)
    except RecursionError:
        raise ValueError("it is nested too deep; flatten it") from None
