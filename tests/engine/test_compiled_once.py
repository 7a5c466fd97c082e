"""What stands in a definition is read and compiled once, however often it runs."""

from typing import Any

import jlens
import pytest

from etl_runner.asl.jsonpath import compile_path
from etl_runner.asl.parse import parse_definition
from etl_runner.engine import live
from tests.engine.harness import World

EXECUTIONS = 1_000

# Texts that no other test has: what another has compiled would not be compiled here.
MACHINE: dict[str, Any] = {
    "StartAt": "Path",
    "States": {
        "Path": {
            "Type": "Pass",
            "Parameters": {"number.$": "$.numbers_of_compiled_once[0]"},
            "ResultPath": "$.found",
            "Next": "Query",
        },
        "Query": {
            "Type": "Pass",
            "QueryLanguage": "JSONata",
            "Output": "{% $sum($states.input.numbers_of_compiled_once) + $states.input.found.number %}",
            "End": True,
        },
    },
}


def test_a_thousand_executions_parse_and_compile_once(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    parsed: list[str] = []
    queries: list[str] = []
    parse, expression = parse_definition, jlens.Expression

    def watched_parse(text: str, **options: Any) -> Any:
        parsed.append(text)
        return parse(text, **options)

    def watched_expression(text: str) -> jlens.Expression:
        queries.append(text)
        return expression(text)

    monkeypatch.setattr(live, "parse_definition", watched_parse)
    monkeypatch.setattr(jlens, "Expression", watched_expression)
    world.start(MACHINE, {"numbers_of_compiled_once": [1, 2]})
    first = len(parsed), len(queries), compile_path.cache_info().misses

    for number in range(1, EXECUTIONS):
        world.ask(MACHINE, {"numbers_of_compiled_once": [number, 2]}, name=f"n{number}")
    world.drive()

    assert {row.status for row in world.rows()} == {"SUCCEEDED"}
    assert len(world.rows()) == EXECUTIONS
    assert (len(parsed), len(queries), compile_path.cache_info().misses) == first
    assert first[0] == 1
    assert queries, "the texts were new"
    assert len(queries) == len(set(queries))
