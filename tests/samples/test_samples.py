"""Published samples that need Lambda, SQS, SNS, DynamoDB, EventBridge, S3 and no more run to their end."""

import json
from collections.abc import Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Final

import pytest

from tests.samples import table_collection, table_collection_2, table_examples, table_guide
from tests.samples.model import Sample
from tests.samples.playing import play
from tests.samples.stage import stage
from tests.shared_data import needs_shared, shared_file

pytestmark = [needs_shared, pytest.mark.timeout(120)]

SIDE_BY_SIDE: Final = 24
SERVICES: Final = {"lambda", "sqs", "sns", "dynamodb", "events", "states", "s3", "eventbridge", "sfn"}
FIXTURES: Final = ("asl-validator__", "statelint__")
"""Names of what linters are tested with: nobody means these to run."""
SAMPLES: Final = (
    *table_guide.SAMPLES,
    *table_examples.SAMPLES,
    *table_collection.SAMPLES,
    *table_collection_2.SAMPLES,
)

FAILING: Final[dict[str, str]] = {}
"""Runs that do not come to their end, by their names, each with the reason."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[dict[str, Future[list[str]]]]:
    """All samples side by side, since most of them wait for most of their time."""
    with (
        stage(tmp_path_factory.mktemp("samples"), SAMPLES) as place,
        ThreadPoolExecutor(SIDE_BY_SIDE) as pool,
    ):
        yield {each.id: pool.submit(play, each, at, place) for at, each in enumerate(SAMPLES)}
        pool.shutdown(cancel_futures=True)


def _marked(sample: Sample) -> object:
    reason = FAILING.get(sample.id)
    marks = () if reason is None else pytest.mark.xfail(reason=reason, strict=True)
    return pytest.param(sample, id=sample.id, marks=marks)


@pytest.mark.parametrize("sample", [_marked(each) for each in SAMPLES])
def test_the_sample_runs_to_the_end_that_it_is_made_for(
    sample: Sample, played: dict[str, Future[list[str]]]
) -> None:
    differences = played[sample.id].result()

    assert not differences, "\n".join(["", *differences])


def test_no_sample_of_these_services_is_left_out() -> None:
    files = sorted(shared_file("corpus", "valid").glob("*.asl.json"))
    published = [each for each in files if not each.name.startswith(FIXTURES)]
    runnable = {
        each.name.removesuffix(".asl.json")
        for each in published
        if set(_services(json.loads(each.read_text()))) <= SERVICES
    }

    assert {each.file for each in SAMPLES} == runnable


def test_every_run_shows_more_than_how_it_ended() -> None:
    told = {each.id for each in SAMPLES if each.output is not ... or each.passes or each.leaves or each.error}
    told |= {each.id for each in SAMPLES if isinstance(each.cause, str)}

    assert told == {each.id for each in SAMPLES}
    assert len(told) == len(SAMPLES), "two runs have one name"


def _services(definition: Any) -> Iterator[str]:
    """The service behind every Resource: arn:aws:states:::SERVICE:ACTION, ...:::aws-sdk:SERVICE:ACTION."""
    if isinstance(definition, list):
        for each in definition:
            yield from _services(each)
    elif isinstance(definition, dict):
        for name, value in definition.items():
            if name == "Resource" and isinstance(value, str):
                parts = value.split(":")
                yield parts[2] if parts[2] != "states" else parts[5] if parts[5] != "aws-sdk" else parts[6]
            else:
                yield from _services(value)
