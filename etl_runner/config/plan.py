"""What a new configuration changes, for logs and for those who apply it."""

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, Final, Literal, TypeAlias

from etl_runner.config.configuration import Config

ChangeKind: TypeAlias = Literal["workflow", "function", "schedule", "rule", "queue"]
Action: TypeAlias = Literal["added", "changed", "removed"]

_KINDS: Final[tuple[ChangeKind, ...]] = ("workflow", "function", "schedule", "rule", "queue")
_LONGEST_VALUE: Final = 60
# An environment or an input may hold secrets, a definition is long: their names are enough.
_UNSHOWN: Final = frozenset({"text", "environment", "input", "code_sha256"})


@dataclass(frozen=True, slots=True, kw_only=True)
class Change:
    """One thing that is new, different or gone. `details` names the fields that differ."""

    kind: ChangeKind
    action: Action
    name: str
    details: tuple[str, ...] = ()

    def __str__(self) -> str:
        """`changed schedule nightly: expression '0 4 * * *' -> '0 5 * * *'`, on one line."""
        head = f"{self.action} {self.kind} {self.name}"
        return f"{head}: {', '.join(self.details)}" if self.details else head


def diff(old: Config | None, new: Config) -> list[Change]:
    """List the changes from `old` (None: from nothing) to `new`, by kind and name."""
    changes: list[Change] = []
    for kind in _KINDS:
        before: Mapping[str, Any] = getattr(old, f"{kind}s") if old is not None else {}
        after: Mapping[str, Any] = getattr(new, f"{kind}s")
        for name in sorted({*before, *after}):
            if name not in before:
                changes.append(Change(kind=kind, action="added", name=name))
            elif name not in after:
                changes.append(Change(kind=kind, action="removed", name=name))
            elif details := _details(before[name], after[name]):
                changes.append(Change(kind=kind, action="changed", name=name, details=details))
    return changes


def _details(before: Any, after: Any) -> tuple[str, ...]:
    found = []
    for each in fields(after):
        one, other = getattr(before, each.name), getattr(after, each.name)
        if not each.compare or one == other:
            continue
        shown = each.name in _UNSHOWN
        found.append(each.name if shown else f"{each.name} {_short(one)} -> {_short(other)}")
    return tuple(found)


def _short(value: object) -> str:
    text = repr(value)
    return text if len(text) <= _LONGEST_VALUE else f"{text[: _LONGEST_VALUE - 3]}..."
