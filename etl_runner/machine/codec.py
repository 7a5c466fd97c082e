"""How facts are kept: pages of JSON with a format number. Unknown formats are refused by name."""

from collections.abc import Sequence
from typing import Final

import msgspec

from etl_runner.errors import StoreError
from etl_runner.machine.facts import Fact

FORMAT: Final = 1
"""The format that this release writes. It reads 1."""

_encoder = msgspec.json.Encoder()
_decoder = msgspec.json.Decoder(list[Fact])


def encode_page(facts: Sequence[Fact]) -> bytes:
    """Write the facts of one commit as JSON."""
    return _encoder.encode(facts)


def decode_page(data: bytes, *, page_format: int) -> list[Fact]:
    """Read what `encode_page` of this or an earlier release wrote.

    Raises StoreError for a format this release does not know, or for data that is not a page.
    """
    if page_format != FORMAT:
        raise StoreError(
            f"a page of facts has format {page_format}, this release reads format {FORMAT}; "
            "run the release that wrote it, or a newer one"
        )
    try:
        return _decoder.decode(data)
    except msgspec.MsgspecError as error:
        raise StoreError(f"a page of facts cannot be read: {error}; restore a backup") from error
