"""How many expressions a second, best of five: `python benchmarks/expressions.py`."""

import random
import sys
import timeit
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from etl_runner.asl.choice import compile_rule
from etl_runner.asl.dataflow import compile_expression, compile_reference_path, compile_template
from etl_runner.asl.jsonata import compile_jsonata, compile_jsonata_payload
from etl_runner.asl.jsonpath import compile_path
from etl_runner.asl.selector import PlainEnv

DOCUMENT: dict[str, Any] = {
    "a": {"b": {"c": 1}},
    "items": [{"x": number, "name": f"item-{number}"} for number in range(100)],
    "bucket": "data",
    "key": "in/2026/01/file.csv",
}


@dataclass
class Surroundings(PlainEnv):
    """A state's input with nothing around it."""

    @property
    def states(self) -> dict[str, Any]:
        """JSONata's `$states`."""
        return {"input": self.input}

    input: Any = field(default_factory=lambda: DOCUMENT)
    context: Any = field(default_factory=lambda: {"Execution": {"Name": "run"}})
    rng: random.Random = field(default_factory=lambda: random.Random(1))


def measure(name: str, run: Callable[[], object]) -> None:
    timer = timeit.Timer(run)
    count, _ = timer.autorange()
    best = min(timer.repeat(repeat=5, number=count))
    print(f"{name:58} {count / best:>12,.0f} /s")


def main() -> None:
    env = Surroundings()
    for text in (
        "$.a.b.c",
        "$.items[50].name",
        "$.items[*].x",
        "$.items[?(@.x > 50)]",
        "$..x",
        "$.items.length()",
    ):
        path = compile_path(text)
        measure(f"path      {text}", lambda path=path: path.evaluate(DOCUMENT))  # type: ignore[misc]
    regex = compile_path("$.items[?(@.name =~ /item-1.*/)]")
    measure(f"path      {regex.text}", lambda: regex.evaluate(DOCUMENT))
    template = compile_template(
        {"Bucket.$": "$.bucket", "Key.$": "$.key", "Constant": {"a": [1, 2, 3]}, "Run.$": "$$.Execution.Name"}
    )
    measure("template  three paths and a constant", lambda: template.evaluate(env))
    for text in ("States.Format('s3://{}/{}', $.bucket, $.key)", "States.MathAdd($.a.b.c, 1)"):
        call = compile_expression(text)
        measure(f"intrinsic {text}", lambda call=call: call.evaluate(env))  # type: ignore[misc]
    rule = compile_rule(
        {
            "And": [
                {"Variable": "$.a.b.c", "NumericGreaterThan": 0},
                {"Variable": "$.key", "StringMatches": "*.csv"},
            ]
        }
    )
    measure("choice    And of NumericGreaterThan and StringMatches", lambda: rule.matches(env))
    for text in (
        "$states.input.a.b.c",
        "$states.input.a.b.c + 1",
        "'s3://' & $states.input.bucket & '/' & $states.input.key",
        "$sum($states.input.items.x)",
        "$count($states.input.items[x > 50])",
    ):
        expression = compile_jsonata(text, "Output")
        measure(f"jsonata   {text}", lambda expression=expression: expression.evaluate(env))  # type: ignore[misc]
    payload = compile_jsonata_payload(
        {
            "Bucket": "{% $states.input.bucket %}",
            "Key": "{% $states.input.key %}",
            "Constant": {"a": [1, 2, 3]},
            "Run": "{% $states.context.Execution.Name %}",
        },
        "Arguments",
    )
    measure("payload   three ways and a constant", lambda: payload.evaluate(env))
    reference = compile_reference_path("$.a.result")
    measure("put       $.a.result", lambda: reference.put(DOCUMENT, 1))
    measure(
        "compile   $.items[?(@.x > 50)] (not from the cache)",
        lambda: compile_path.__wrapped__("$.items[?(@.x > 50)]"),
    )


if __name__ == "__main__":
    main()
