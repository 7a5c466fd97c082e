"""Our machine and projection against histories recorded from AWS, event by event."""

from collections import Counter
from typing import Final

import pytest

from tests.machine.recorded import Recording, Retelling, differences, recordings
from tests.shared_data import SHARED, needs_shared

pytestmark = needs_shared

UNLIKE: Final = {
    "scenarios/base_scenarios.test_max_concurrency_path_negative": (
        "a negative MaxConcurrencyPath leaves AWS's own history at its first event; ours fails the execution"
    ),
}

_ALL: Final = [] if SHARED is None else recordings(SHARED / "conformance")


def _marked(recording: Recording) -> object:
    reason = UNLIKE.get(recording.name.partition(":")[0])
    marks = () if reason is None else pytest.mark.xfail(reason=reason, strict=True)
    return pytest.param(recording, id=recording.name, marks=marks)


@pytest.mark.parametrize("recording", [_marked(recording) for recording in _ALL])
def test_the_history_is_the_one_aws_recorded(recording: Recording) -> None:
    ours = Retelling(recording).tell()

    assert differences(recording, ours) == []


def test_the_recordings_cover_every_type_of_state() -> None:
    entered = Counter(
        event["type"] for recording in _ALL for event in recording.events if event["type"].endswith("Entered")
    )

    assert {kind.removesuffix("StateEntered") for kind in entered} == {
        *("Pass", "Task", "Choice", "Wait", "Succeed", "Fail", "Parallel", "Map")
    }
