"""Items and errors of ItemReaders as AWS Step Functions was recorded to give them."""

import json
from typing import Any

import pytest

from etl_runner.errors import StatesError
from etl_runner.s3.items import ItemStream
from tests.s3.fake_source import FakeSource
from tests.shared_data import SHARED, needs_shared

CASES = sorted((SHARED / "conformance" / "scenarios").glob("*item_reader*.json")) if SHARED else []


@needs_shared
@pytest.mark.parametrize("path", CASES, ids=lambda path: path.name.split(".")[1])
def test_items_are_those_that_step_functions_read(path: Any) -> None:
    case = json.loads(path.read_text(encoding="utf-8"))
    states = [state for state in case["definitions"][0]["States"].values() if "ItemReader" in state]
    (body,) = [c["parameters"]["Body"] for c in case["calls"] if c["operation"] == "PutObject"]
    (execution,) = [c["parameters"] for c in case["calls"] if c["operation"] == "StartExecution"]
    config = dict(states[0]["ItemReader"]["ReaderConfig"])
    if field := config.pop("MaxItemsPath", None):
        config["MaxItems"] = json.loads(execution["input"])[field.removeprefix("$.")]
    source = FakeSource((body if isinstance(body, str) else json.dumps(body)).encode())
    outcome = case["outcomes"][0]
    if outcome["status"] == "FAILED":
        with pytest.raises(StatesError) as caught:
            ItemStream(source, source.pinned.as_json(), config).take(1000)

        assert (caught.value.error, caught.value.cause) == (outcome["error"], outcome["cause"])
    else:
        expected = outcome["output"]
        items = ItemStream(source, source.pinned.as_json(), config).take(1000)

        assert items == (json.loads(expected) if isinstance(expected, str) else expected)
