"""Paths whose places multiply: they end with a sentence, and not with the service."""

from typing import Any

import pytest

from etl_runner.asl.jsonpath import compile_path
from etl_runner.asl.jsonpath_steps import MOST_LOOKS, PathNotFound

DEEP: Any = 1
for _ in range(300):
    DEEP = [DEEP]
WIDE: Any = {"a": list(range(1_500))}


@pytest.mark.parametrize(
    ("path", "document"),
    [
        ("$..*..*..*..*", DEEP),
        ("$.a[?($.a[?(@ == 'x')] == 'y')]", WIDE),
        ("$.a[?($..* == 'x')]", WIDE),
    ],
)
def test_a_path_that_leads_to_too_many_places_is_refused(path: str, document: Any) -> None:
    with pytest.raises(PathNotFound, match=r"leads to more than 1,000,000 places in this document"):
        compile_path(path).evaluate(document)


def test_what_a_document_has_once_may_be_looked_at_whatever_its_size() -> None:
    items = [0] * (MOST_LOOKS + 1)

    assert len(compile_path("$[*]").evaluate(items)) == len(items)


def test_one_evaluation_does_not_take_from_the_next() -> None:
    path = compile_path("$..*..*")

    assert [len(path.evaluate(DEEP)) for _ in range(25)] == [44_850] * 25
