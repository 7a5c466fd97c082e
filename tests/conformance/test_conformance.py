"""Every recorded scenario, played through boto3 against the served program and compared whole."""

from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Final

import pytest

from tests.conformance.matching import Difference
from tests.conformance.recordings import Recording, read_all
from tests.conformance.script import play
from tests.conformance.world import world
from tests.shared_data import SHARED, needs_shared

pytestmark = [needs_shared, pytest.mark.timeout(300)]

SIDE_BY_SIDE: Final = 16

UNLIKE: Final[dict[str, str]] = {
    "cd366bfa": ("the recording has neither definitions nor calls, only a history"),
    "41e8ad01": (
        "a negative MaxConcurrencyPath leaves AWS's history at its first event; ours fails the execution"
    ),
}
"""Recordings that we do not answer as recorded, by the end of their file's name, each with the reason."""

_ALL: Final = [] if SHARED is None else read_all(SHARED / "conformance")


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[list[Difference]]]]:
    """All scenarios side by side on one service, since most of them wait for most of their time."""
    with world(tmp_path_factory.mktemp("world"), _ALL) as place, ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
        # Those that wait longest are begun first.
        slow_first = sorted(
            _ALL, key=lambda each: each.area not in {"timeouts", "callback", "base", "express"}
        )
        futures = {each.name: pool.submit(play, each, place) for each in slow_first}
        yield futures
        pool.shutdown(cancel_futures=True)


def _marked(recording: Recording) -> object:
    reason = UNLIKE.get(recording.name.rpartition("#")[2])
    marks = () if reason is None else pytest.mark.xfail(reason=reason, strict=True)
    return pytest.param(recording, id=recording.name, marks=marks)


@pytest.mark.parametrize("recording", [_marked(recording) for recording in _ALL])
def test_the_answers_are_those_that_aws_gave(
    recording: Recording, played: dict[str, Future[list[Difference]]]
) -> None:
    differences = played[recording.name].result()

    assert not differences, "\n".join(["", *map(str, differences[:8])])
