"""What is allowed and still odd: the warnings of `lint`."""

import re
from collections.abc import Iterator
from typing import Final

from etl_runner.asl.document import Node, Source
from etl_runner.asl.draft import ScopeDraft, StateDraft
from etl_runner.errors import Fault

_SUBSTITUTION: Final = re.compile(r"\$\{[A-Za-z0-9_.:-]+\}")
_LIMITS: Final = ("TimeoutSeconds", "TimeoutSecondsPath", "HeartbeatSeconds", "HeartbeatSecondsPath")


def advise(source: Source, scopes: list[ScopeDraft]) -> Iterator[Fault]:
    """Give the warnings for what could be read of a definition."""

    def warn(node: Node, code: str, what: str, remedy: str, *, at_key: bool = False) -> Fault:
        at = node.key_at if at_key else node.at
        return source.fault(at, code, what, remedy, path=node.path, severity="warning")

    for scope in scopes:
        for draft in _only_from_unreachable(scope):
            what = f"only states that are never reached lead to the state {draft.name!r}"
            yield warn(draft.node, "unreachable-state", what, "lead to it or remove it", at_key=True)
        for draft in scope.states.values():
            for entry, why in _never_matching(draft):
                what = f"this entry of the state {draft.name!r} never matches: {why}"
                yield warn(entry, "entry-never-matches", what, "move it up or remove it")
            if _waits_for_ever(draft):
                what = f"the state {draft.name!r} waits for a task token without a limit of time"
                yield warn(draft.node, "callback-without-timeout", what, "add HeartbeatSeconds", at_key=True)
    if scopes:
        for node, name, at_key in _substitutions(scopes[0].node):
            what = f"{name} is still a placeholder"
            yield warn(
                node, "unresolved-substitution", what, "put the value in before this runs", at_key=at_key
            )


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


def _never_matching(draft: StateDraft) -> Iterator[tuple[Node, str]]:
    """Give the entries of Retry and Catch of which every name is taken by an entry above.

    States.TaskFailed takes every error that is no `States.` one; States.ALL cannot be above another entry.
    """
    for key in ("Retry", "Catch"):
        entries = draft.node.get(key)
        taken: set[str] = set()
        for entry in entries.elements() if entries is not None else ():
            field = entry.get("ErrorEquals")
            names = field.value if field is not None and isinstance(field.value, list) else []
            names = [name for name in names if isinstance(name, str)]
            if names and all(_covered(name, taken) for name in names):
                shown = ", ".join(sorted(set(names)))
                yield entry, f"entries above take {shown}"
            taken.update(names)


def _covered(name: str, taken: set[str]) -> bool:
    return name in taken or ("States.TaskFailed" in taken and not name.startswith("States."))


def _waits_for_ever(draft: StateDraft) -> bool:
    resource = draft.node.get("Resource")
    if draft.type != "Task" or resource is None or not isinstance(resource.value, str):
        return False
    return resource.value.endswith(".waitForTaskToken") and all(
        draft.node.get(key) is None for key in _LIMITS
    )


def _substitutions(root: Node) -> Iterator[tuple[Node, str, bool]]:
    """Give the `${Name}` that are left in keys and strings, except in comments."""
    for key, item in root.members():
        if key == "Comment":
            continue
        for name in _SUBSTITUTION.findall(key):
            yield item, name, True
        yield from _substitutions(item)
    for element in root.elements():
        yield from _substitutions(element)
    if isinstance(root.value, str) and "${" in root.value:
        for name in _SUBSTITUTION.findall(root.value):
            yield root, name, False
