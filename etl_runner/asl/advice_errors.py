"""Entries of Retry and Catch that never match: the errors they name are taken before, or never come."""

from collections.abc import Callable, Iterator
from typing import Final

from etl_runner.asl.advising import Odd, language_of, states_below
from etl_runner.asl.document import Node
from etl_runner.asl.draft import ScopeDraft, StateDraft
from etl_runner.asl.validate import is_distributed
from etl_runner.errors import RUNTIME

TASK_FAILED: Final = "States.TaskFailed"

ERROR_NAMES: Final = frozenset(
    {
        "States.ALL",
        "States.BranchFailed",
        "States.DataLimitExceeded",
        "States.ExceedToleratedFailureThreshold",
        "States.HeartbeatTimeout",
        "States.IntrinsicFailure",
        "States.ItemReaderFailed",
        "States.NoChoiceMatched",
        "States.ParameterPathFailure",
        "States.Permissions",
        "States.QueryEvaluationError",
        "States.ResultPathMatchFailure",
        "States.ResultWriterFailed",
        "States.Runtime",
        "States.TaskFailed",
        "States.Timeout",
    }
)
"""The 16 names that the language has. Source: developer guide, "Error names"."""

_HEARTBEATS: Final = ("HeartbeatSeconds", "HeartbeatSecondsPath")
_TOLERANCES: Final = (
    "ToleratedFailurePercentage",
    "ToleratedFailurePercentagePath",
    "ToleratedFailureCount",
    "ToleratedFailureCountPath",
)


def never_matching(scopes: list[ScopeDraft]) -> Iterator[Odd]:
    """Give the entries of Retry and Catch that no error ever gets to, and names that no error here has."""
    for scope in scopes:
        for draft in scope.states.values():
            for entry, why in _taken_before(draft):
                what = f"this entry of the state {draft.name!r} never matches: {why}"
                yield Odd(entry, "entry-never-matches", what, "move it up or remove it")
            if draft.type in {"Task", "Map", "Parallel"}:
                yield from _never_raised(draft, scopes)


def _names_of(entry: Node) -> list[str]:
    field = entry.get("ErrorEquals")
    names = field.value if field is not None and isinstance(field.value, list) else []
    return [name for name in names if isinstance(name, str)]


def _entries(draft: StateDraft, key: str) -> Iterator[Node]:
    entries = draft.node.get(key)
    if entries is not None:
        yield from entries.elements()


def _taken_before(draft: StateDraft) -> Iterator[tuple[Node, str]]:
    """Give the entries of which every name is taken by an entry above.

    States.TaskFailed takes every error but a timeout; States.ALL cannot be above another entry.
    """
    for key in ("Retry", "Catch"):
        taken: set[str] = set()
        for entry in _entries(draft, key):
            names = _names_of(entry)
            if names and all(_covered(name, taken) for name in names):
                shown = ", ".join(sorted(set(names)))
                yield entry, f"entries above take {shown}"
            taken.update(names)


def _covered(name: str, taken: set[str]) -> bool:
    return name in taken or (TASK_FAILED in taken and not name.startswith("States."))


def _never_raised(draft: StateDraft, scopes: list[ScopeDraft]) -> Iterator[Odd]:
    inside = [draft, *states_below(draft)]
    given = _given_by_fail_states(inside)
    if given is None:
        return
    for key in ("Retry", "Catch"):
        for entry in _entries(draft, key):
            for name in sorted(set(_names_of(entry)) - given):
                why = _why_never(name, inside, scopes)
                if why:
                    what = f"{key}[{entry.name}] of the state {draft.name!r} names {name}, and {why}"
                    names = entry.get("ErrorEquals")
                    assert names is not None
                    yield Odd(names, "error-never-raised", what, "remove the name or correct it")


def _given_by_fail_states(states: list[StateDraft]) -> set[str] | None:
    """Give the error names that Fail states among them write out; None when one is known only at run time."""
    names: set[str] = set()
    for draft in states:
        if draft.type != "Fail":
            continue
        error = draft.node.get("Error")
        if draft.node.get("ErrorPath") is not None or (error and str(error.value).startswith("{%")):
            return None
        if error is not None and isinstance(error.value, str):
            names.add(error.value)
    return names


def _why_never(name: str, inside: list[StateDraft], scopes: list[ScopeDraft]) -> str:
    """Say why no state of a state and its scopes can fail with a name; empty when one may."""
    if not name.startswith("States.") or any(_answers_from_outside(draft) for draft in inside):
        return ""
    if name not in ERROR_NAMES:
        return f"the language has no such error; it has {', '.join(sorted(ERROR_NAMES))}"
    if name == RUNTIME:
        return "neither Retry nor Catch ever takes it"
    for names, may, why in _ONLY_FROM:
        if name in names and not any(may(draft) for draft in inside):
            return why
    languages = {language_of(scopes, draft) for draft in inside}
    needed = _LANGUAGES.get(name)
    return f"only a {needed} state fails with it" if needed is not None and needed not in languages else ""


def _has(draft: StateDraft, keys: tuple[str, ...]) -> bool:
    return any(draft.node.get(key) is not None for key in keys)


def _answers_from_outside(draft: StateDraft) -> bool:
    """Whether somebody else names the error of a task: who answers a token, an activity, an execution."""
    resource = draft.node.get("Resource") if draft.type == "Task" else None
    text = str(resource.value) if resource is not None else ""
    return any(part in text for part in _ANSWERED_OUTSIDE)


_ANSWERED_OUTSIDE: Final = (".waitForTaskToken", ":activity:", ":states:startExecution.sync", "${")

_ONLY_FROM: Final[tuple[tuple[frozenset[str], Callable[[StateDraft], bool], str], ...]] = (
    (
        frozenset({"States.ItemReaderFailed", "States.ResultWriterFailed"}),
        lambda draft: draft.type == "Map" and is_distributed(draft.node),
        "only a Distributed Map fails with it",
    ),
    (
        frozenset({"States.ExceedToleratedFailureThreshold"}),
        lambda draft: draft.type == "Map" and (is_distributed(draft.node) or _has(draft, _TOLERANCES)),
        "only a Map that tolerates failures, or a Distributed Map, fails with it",
    ),
    (
        frozenset({"States.BranchFailed"}),
        lambda draft: draft.type in {"Parallel", "Map"},
        "only a Parallel state fails with it",
    ),
    (
        frozenset({"States.NoChoiceMatched"}),
        lambda draft: draft.type == "Choice",
        "only a Choice state fails with it",
    ),
    (
        frozenset({"States.HeartbeatTimeout"}),
        lambda draft: _has(draft, _HEARTBEATS),
        "nothing here has HeartbeatSeconds",
    ),
)
"""Names of errors, which states may fail with them, and what to say when none of those is there."""

_LANGUAGES: Final = {
    "States.QueryEvaluationError": "JSONata",
    "States.ResultPathMatchFailure": "JSONPath",
}
