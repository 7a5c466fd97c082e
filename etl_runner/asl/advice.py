"""What is allowed and still odd: the warnings of `lint`.

Every warning is about something that is there for certain, or that goes wrong in a way that can be shown
from the text alone. What depends on the data of a run is left to the run.
"""

import re
from collections.abc import Iterable, Iterator
from typing import Final

from etl_runner.asl.advice_data import lost_reads, too_large
from etl_runner.asl.advice_errors import never_matching
from etl_runner.asl.advice_times import late_retries
from etl_runner.asl.advising import Odd, language_of
from etl_runner.asl.bounds import Bounds
from etl_runner.asl.document import Node, Source
from etl_runner.asl.draft import ScopeDraft, StateDraft
from etl_runner.asl.jsonata import is_jsonata
from etl_runner.asl.parse_jsonata import strings_in
from etl_runner.asl.references import names_read
from etl_runner.asl.rules import JSONPATH
from etl_runner.asl.validate import is_distributed
from etl_runner.asl.variables import assigned_in
from etl_runner.errors import Fault

_SUBSTITUTION: Final = re.compile(r"\$\{[A-Za-z0-9_.:-]+\}")
_VALUES: Final = ("Result", "Parameters", "ResultSelector", "ItemSelector", "Assign", "Error", "Cause")
_LIMITS: Final = ("TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath")


def advise(source: Source, scopes: list[ScopeDraft], bounds: Bounds) -> Iterator[Fault]:
    """Give the warnings for what could be read of a definition."""
    for odd in _all(scopes, bounds):
        node = odd.node
        at = node.key_at if odd.at_key else node.at
        yield source.fault(at, odd.code, odd.what, odd.remedy, path=node.path, severity="warning")


def _all(scopes: list[ScopeDraft], bounds: Bounds) -> Iterator[Odd]:
    yield from _unreachable(scopes)
    yield from _waiting_for_ever(scopes)
    yield from never_matching(scopes)
    yield from late_retries(scopes)
    yield from lost_reads(scopes)
    yield from too_large(scopes, bounds.payload_bytes)
    yield from _unassigned(scopes)
    yield from _other_language(scopes)
    if scopes:
        yield from _substitutions(scopes[0].node)


def _unreachable(scopes: Iterable[ScopeDraft]) -> Iterator[Odd]:
    for scope in scopes:
        for draft in _only_from_unreachable(scope):
            what = f"only states that are never reached lead to the state {draft.name!r}"
            yield Odd(draft.node, "unreachable-state", what, "lead to it or remove it", at_key=True)


def _only_from_unreachable(scope: ScopeDraft) -> list[StateDraft]:
    """Give states that have a link from others but no way from StartAt; the others are errors already."""
    if scope.start is None or scope.start.target not in scope.states:
        return []
    reached: set[str] = set()
    todo = [scope.start.target]
    while todo:
        name = todo.pop()
        if name in scope.states and name not in reached:
            reached.add(name)
            todo.extend(link.target for link in scope.states[name].links)
    linked = {
        link.target for draft in scope.states.values() for link in draft.links if link.target != draft.name
    }
    return [draft for name, draft in scope.states.items() if name not in reached and name in linked]


def _waiting_for_ever(scopes: Iterable[ScopeDraft]) -> Iterator[Odd]:
    for scope in scopes:
        for draft in scope.states.values():
            resource = draft.node.get("Resource") if draft.type == "Task" else None
            if resource is None or not str(resource.value).endswith(".waitForTaskToken"):
                continue
            if all(draft.node.get(key) is None for key in _LIMITS):
                what = f"the state {draft.name!r} waits for a task token without a limit of time"
                yield Odd(draft.node, "callback-without-timeout", what, "add HeartbeatSeconds", at_key=True)


def _unassigned(scopes: list[ScopeDraft]) -> Iterator[Odd]:
    """Give the states that read a variable which no state assigns where they could see it."""
    owners = {
        inner.id: (scope, draft)
        for scope in scopes
        for draft in scope.states.values()
        for inner in draft.inner
    }
    own = {
        scope.id: {name for draft in scope.states.values() for name, _ in assigned_in(draft)}
        for scope in scopes
    }
    for scope in scopes:
        seen, at = set(own[scope.id]), scope
        while (around := owners.get(at.id)) is not None and not is_distributed(around[1].node):
            at = around[0]
            seen |= own[at.id]
        for draft in scope.states.values():
            for name in sorted(set(names_read(draft.state)) - seen):
                what = f"the state {draft.name!r} reads the variable {name!r}, which no state assigns"
                remedy = "assign it in a state of the same scope or of one around it"
                yield Odd(draft.node, "variable-never-assigned", what, remedy, at_key=True)


def _other_language(scopes: list[ScopeDraft]) -> Iterator[Odd]:
    """Give the strings of JSONPath states that look like JSONata: they are passed on as they are."""
    remedy = "set QueryLanguage to JSONata, or write a path under a name that ends in .$"
    for scope in scopes:
        for draft in scope.states.values():
            if language_of(scopes, draft) != JSONPATH:
                continue
            for field in filter(None, map(draft.node.get, _VALUES)):
                for node in strings_in(field):
                    if is_jsonata(node.value):
                        what = (
                            f"{field.name} of the JSONPath state {draft.name!r} has JSONata as a plain text"
                        )
                        yield Odd(node, "jsonata-not-evaluated", what, remedy)


def _substitutions(root: Node) -> Iterator[Odd]:
    """Give the `${Name}` that are left in keys and strings, except in comments."""
    remedy = "put the value in before this runs"
    for key, item in root.members():
        if key == "Comment":
            continue
        for name in _SUBSTITUTION.findall(key):
            yield Odd(item, "unresolved-substitution", f"{name} is still a placeholder", remedy, at_key=True)
        yield from _substitutions(item)
    for element in root.elements():
        yield from _substitutions(element)
    if isinstance(root.value, str) and "${" in root.value:
        for name in _SUBSTITUTION.findall(root.value):
            yield Odd(root, "unresolved-substitution", f"{name} is still a placeholder", remedy)
