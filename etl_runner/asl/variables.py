"""Rules of Assign: what a variable may be called, and that an inner scope leaves outer variables alone.

Source: Step Functions developer guide, "Passing data between states with variables". A state reads the
variables of its own scope and of those around it. A scope inside a Map or Parallel may not assign a name
that has a value when the scope is entered; a name that an outer state assigns later is no conflict (AWS was
seen to accept that). The children of a Distributed Map see no outer variables at all.
"""

from collections.abc import Iterator, Mapping
from typing import Final

from etl_runner.asl.document import Node, kind_of
from etl_runner.asl.draft import Report, ScopeDraft, StateDraft
from etl_runner.asl.model import QueryLanguage
from etl_runner.asl.rules import JSONATA, MAX_VARIABLE_NAME_LENGTH
from etl_runner.asl.validate import is_distributed

_SUFFIX: Final = ".$"
_RESERVED: Final = "states"
_STEPS_LIMIT: Final = 200_000


def check_assign(node: Node, subject: str, language: QueryLanguage, report: Report) -> None:
    """Check that an Assign is an object whose keys are names of variables."""
    if not isinstance(node.value, dict):
        what = f"Assign of {subject} has to be an object"
        report.fault(node, "wrong-type", what, f"found {kind_of(node.value)}")
        return
    for key, item in node.members():
        name = key if language is JSONATA else key.removesuffix(_SUFFIX)
        if not name.isidentifier():
            what = f"Assign of {subject} has the name {name!r}, which no variable can have"
            remedy = "start it with a letter and go on with letters, digits and '_'"
            report.fault(item, "invalid-variable-name", what, remedy, at_key=True)
        elif len(name) > MAX_VARIABLE_NAME_LENGTH:
            what = (
                f"a name of a variable has at most {MAX_VARIABLE_NAME_LENGTH} characters, "
                f"one in Assign of {subject} has {len(name)}"
            )
            report.fault(item, "invalid-variable-name", what, "shorten it", at_key=True)
        elif name == _RESERVED and language is JSONATA:
            what = f"Assign of {subject} has the name 'states', which JSONata keeps for $states"
            report.fault(item, "invalid-variable-name", what, "give it another name", at_key=True)


def assigned_in(draft: StateDraft) -> Iterator[tuple[str, Node]]:
    """Give the names that a state assigns (its Catch entries and choice rules too), with their places."""
    for assign in draft.assigns:
        for key, item in assign.members():
            yield key.removesuffix(_SUFFIX), item


def check_outer_names(scopes: list[ScopeDraft], report: Report) -> None:
    """Check that no state assigns a name which has a value in a scope around it.

    Bounded: of a definition in which thousands of groups assign names of the others only the first are
    looked at.
    """
    steps = 0
    for outer in scopes:
        assigned = {
            name: {n for n, _ in assigned_in(draft)} for name, draft in outer.states.items() if draft.assigns
        }
        if not assigned:
            continue
        every = set().union(*assigned.values())
        leading = _leading(outer)
        for draft in outer.states.values():
            if is_distributed(draft.node):
                continue
            inside = [(name, node) for name, node in _assigned_below(draft) if name in every]
            if inside and steps < _STEPS_LIMIT:
                before = _before(draft.name, leading)
                steps += len(before)
                values = set().union(*(names for state, names in assigned.items() if state in before))
                _refuse([each for each in inside if each[0] in values], draft, report)


def _refuse(found: list[tuple[str, Node]], owner: StateDraft, report: Report) -> None:
    for name, node in found:
        what = f"the variable {name!r} has a value when the {owner.type} state {owner.name!r} starts"
        remedy = "a state inside it cannot assign it: give this one a name of its own"
        report.fault(node, "variable-of-outer-scope", what, remedy, at_key=True)


def _assigned_below(draft: StateDraft) -> Iterator[tuple[str, Node]]:
    """Give what the states inside a Map or Parallel assign, however deep."""
    todo = [draft]
    while todo:
        for scope in todo.pop().inner:
            for state in scope.states.values():
                yield from assigned_in(state)
                if not is_distributed(state.node):
                    todo.append(state)


def _leading(scope: ScopeDraft) -> dict[str, list[str]]:
    """Give, for each state of a scope, those that lead to it."""
    leading: dict[str, list[str]] = {}
    for name, state in scope.states.items():
        for link in state.links:
            leading.setdefault(link.target, []).append(name)
    return leading


def _before(name: str, leading: Mapping[str, list[str]]) -> set[str]:
    """Give the states that may run before one of them."""
    before: set[str] = set()
    todo = list(leading.get(name, ()))
    while todo:
        state = todo.pop()
        if state not in before:
            before.add(state)
            todo.extend(leading.get(state, ()))
    return before
