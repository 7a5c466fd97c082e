"""What the makers of warnings share: a warning to be, and numbers as a definition gives them."""

from dataclasses import dataclass

from etl_runner.asl.document import Node
from etl_runner.asl.draft import ScopeDraft, StateDraft
from etl_runner.asl.validate import value_of


@dataclass(frozen=True, slots=True)
class Odd:
    """One warning: the place (the key's own with `at_key`), its code, what is odd, and what to do."""

    node: Node
    code: str
    what: str
    remedy: str
    at_key: bool = False


def number_of(node: Node, key: str, default: float | None = None) -> float | None:
    """Give the number that a field holds, the default when it is not there, None for anything else."""
    field = node.get(key)
    if field is None:
        return default
    return field.value if isinstance(field.value, int | float) and not isinstance(field.value, bool) else None


def states_below(draft: StateDraft) -> list[StateDraft]:
    """Give the states of all scopes inside a state, however deep."""
    found: list[StateDraft] = []
    todo: list[ScopeDraft] = list(draft.inner)
    while todo:
        for state in todo.pop().states.values():
            found.append(state)
            todo.extend(state.inner)
    return found


def language_of(scopes: list[ScopeDraft], draft: StateDraft) -> str:
    """Give the query language of a state: its own, or the state machine's."""
    own = value_of(draft.node, "QueryLanguage") or value_of(scopes[0].node, "QueryLanguage")
    return own if isinstance(own, str) else "JSONPath"
