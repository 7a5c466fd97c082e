"""Choice rules."""

from dataclasses import dataclass
from typing import TypeAlias

from etl_runner.asl.selector import Env
from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json


@dataclass(frozen=True, slots=True)
class And:
    """All of its rules hold."""

    rules: "tuple[Rule, ...]"

    def matches(self, env: Env) -> bool:
        """Whether the rule holds. Raises StatesError States.Runtime for a Variable that is not there."""
        return all(rule.matches(env) for rule in self.rules)


Rule: TypeAlias = And


def compile_rule(rule: Json) -> Rule:
    """Compile one choice rule. Raises InvalidInput naming the field at fault."""
    raise InvalidInput(f"choice rules come with the next commit: {rule!r}")
