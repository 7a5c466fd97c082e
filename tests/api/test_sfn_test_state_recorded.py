"""The recorded tests of states, as far as they need nobody outside.

Those that call functions run against the whole service (tests/conformance).
"""

import asyncio
import json
from types import SimpleNamespace
from typing import Any

import pytest

from etl_runner.api.sfn.actions.test_state import test_state as run_state
from etl_runner.api.sfn.call import Call
from etl_runner.api.sfn.errors import AwsError
from etl_runner.api.sfn.model import check
from etl_runner.clock import SystemClock
from etl_runner.machine.limits import AWS
from tests.conformance.matching import Matcher
from tests.conformance.recordings import Recording, is_error, read
from tests.shared_data import SHARED, needs_shared


def recorded() -> list[Any]:
    if SHARED is None:
        return []
    cases = [read(path) for path in sorted((SHARED / "conformance" / "test_state").glob("*.json"))]
    return [pytest.param(case, id=case.name.partition("/")[2]) for case in cases if not case.lambdas]


def written(text: str, recording: Recording) -> str:
    for place, definition in enumerate(recording.definitions):
        if text == f"@definitions[{place}]":
            text = definition if isinstance(definition, str) else json.dumps(definition)
    return text.replace("<region>", "us-east-1")


async def gone() -> None:
    """Nobody hangs up."""
    await asyncio.Event().wait()


def answer(parameters: dict[str, Any], recording: Recording) -> Any:
    given = {key: written(v, recording) if isinstance(v, str) else v for key, v in parameters.items()}
    router = SimpleNamespace(invokable=lambda _resource: None)
    rooms: Any = SimpleNamespace(clock=SystemClock(), router=router, limits=AWS)
    try:
        call = Call(
            parameters=check("TestState", given),
            account="111111111111",
            region="us-east-1",
            rooms=rooms,
            now_ms=SystemClock().now_ms(),
            request_id="request",
            left=gone,
        )
        return asyncio.run(run_state(call))
    except AwsError as error:
        return error


@needs_shared
@pytest.mark.parametrize("recording", recorded())
def test_a_state_is_told_of_as_recorded(recording: Recording) -> None:
    matcher = Matcher(recording.lenient_paths)
    for call in recording.calls:
        if call.error == "ParamValidationError":
            continue  # boto3 refuses it before anyone is asked
        found = answer(call.parameters, recording)
        for name in call.recorded_as:
            expected = recording.expected[name]
            if is_error(expected):
                assert isinstance(found, AwsError), found
                told = expected.get("message") or expected["exception_value"].partition("operation: ")[2]
                assert found.message == written(told, recording)
                continue
            assert not isinstance(found, AwsError), found
            wanted = {key: value for key, value in expected.items() if key != "ResponseMetadata"}
            differences = matcher.differences(wanted, found)
            assert not differences, "\n".join(str(each) for each in differences)
