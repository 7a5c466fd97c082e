"""What earlier releases wrote is loaded and goes on to the end it had then."""

import json
from pathlib import Path

import msgspec
import pytest

from etl_runner.errors import StoreError
from etl_runner.machine.codec import FORMAT, decode_page
from tests.machine.golden import CASES, HISTORIES, ending, go_on
from tests.machine.shell import Run

_FILES = sorted(HISTORIES.glob("v*/*.json"))


@pytest.mark.parametrize("path", _FILES, ids=lambda path: f"{path.parent.name}-{path.stem}")
def test_a_kept_history_loads_and_goes_on_as_it_did(path: Path) -> None:
    case = json.loads(path.read_text())
    pages = [
        (at_ms, decode_page(msgspec.json.encode(page), page_format=case["format"]))
        for at_ms, page in case["pages"]
    ]
    run = Run.loaded(case["definition"], pages)

    go_on(run, case["then"])

    assert ending(run) == case["ends"]


def test_every_case_of_this_release_is_kept() -> None:
    kept = {path.stem for path in _FILES if path.parent.name == f"v{FORMAT}"}

    assert kept == set(CASES)


def test_an_unknown_format_is_refused_by_name() -> None:
    with pytest.raises(StoreError, match=r"has format 99, this release reads format 1"):
        decode_page(b"[]", page_format=99)


@pytest.mark.parametrize("data", [b"", b"{}", b'[{"fact":"NeverHeardOf"}]', b'[{"fact":"TimerFired"}]'])
def test_data_that_is_no_page_is_refused(data: bytes) -> None:
    with pytest.raises(StoreError, match="cannot be read"):
        decode_page(data, page_format=FORMAT)
