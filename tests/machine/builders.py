"""Random small machines: names are unique, ends are near, and most states do what they say."""

import random
from typing import Any, Final, TypeAlias

from tests.machine.shell import FUNCTION

State: TypeAlias = dict[str, Any]

ERRORS: Final = ("A", "A", "B", "B", "States.Timeout", "States.Runtime")
INPUT: Final = {"items": [1, None, "x"], "a": {"b": [2]}}
_MATCHES: Final = (["A"], ["B"], ["A", "B"], ["States.Timeout"], ["States.TaskFailed"], ["States.ALL"])
_KINDS: Final = ("Pass", "Task", "Task", "Wait", "Choice")
_GROUPS: Final = ("Parallel", "Map", "Parallel", "Map")


class MachineBuilder:
    """Draws the states of one definition from `rng`, counting so that no name comes twice."""

    def __init__(self, rng: random.Random) -> None:
        self.rng = rng
        self.count = 0

    def machine(self) -> State:
        """A definition, sometimes with a time limit of its own. It is told `INPUT`."""
        made = self.scope(2)
        if self.rng.random() < 0.2:
            made["TimeoutSeconds"] = self.rng.randint(1, 20)
        return made

    def name(self) -> str:
        self.count += 1
        return f"S{self.count}"

    def scope(self, depth: int) -> State:
        """A chain of one to three states; what fails before the last may be caught there."""
        names = [self.name() for _ in range(self.rng.randint(1, 3))]
        states: dict[str, State] = {}
        for name, following in zip(names, [*names[1:], None], strict=True):
            states |= self.state(name, following, names[-1], depth)
        return {"StartAt": names[0], "States": states}

    def state(self, name: str, following: str | None, last: str, depth: int) -> dict[str, State]:
        kind = self.rng.choice(
            _KINDS + (_GROUPS if depth else ()) + (() if following else ("Succeed", "Fail"))
        )
        goes: State = {"Next": following} if following else {"End": True}
        made: State
        match kind:
            case "Succeed":
                return {name: {"Type": "Succeed"}}
            case "Fail":
                return {name: {"Type": "Fail", "Error": "A"}}
            case "Choice":
                return self.choice(name, following)
            case "Pass":
                made = self.rng.choice(
                    [{}, {"Result": None}, {"Result": {"items": []}}, {"ResultPath": "$.r"}]
                )
            case "Wait":
                made = {"Seconds": self.rng.randint(0, 3)}
            case "Task":
                limits = [{}, {}, {"TimeoutSeconds": 2}, {"TimeoutSeconds": 3, "HeartbeatSeconds": 1}]
                made = {"Resource": FUNCTION, **self.rng.choice(limits), **self.handlers(name, last)}
            case "Parallel":
                branches = [self.scope(depth - 1) for _ in range(self.rng.randint(1, 3))]
                made = {"Branches": branches, **self.handlers(name, last)}
            case _:
                made = {**self.map_fields(depth), **self.handlers(name, last)}
        return {name: {"Type": kind, **goes, **made}}

    def choice(self, name: str, following: str | None) -> dict[str, State]:
        other = self.name()
        rule = {"Variable": "$.items", "IsPresent": True, "Next": other}
        default = {} if following is None else {"Default": following}
        end: State = {"Type": "Pass", "End": True}
        return {name: {"Type": "Choice", "Choices": [rule], **default}, other: end}

    def map_fields(self, depth: int) -> State:
        selector: State = self.rng.choice([{}, {"ItemSelector": {"v.$": "$$.Map.Item.Value"}}])
        return {
            "ItemsPath": "$$.Execution.Input.items",
            "MaxConcurrency": self.rng.randint(0, 2),
            "ItemProcessor": self.scope(depth - 1),
            **selector,
        }

    def handlers(self, name: str, last: str) -> State:
        found: State = {}
        if self.rng.random() < 0.6:
            found["Retry"] = [
                {
                    "ErrorEquals": errors,
                    "MaxAttempts": self.rng.randint(0, 2),
                    "IntervalSeconds": self.rng.randint(1, 2),
                    "JitterStrategy": self.rng.choice(["NONE", "FULL"]),
                }
                for errors in (
                    [["A"], ["States.TaskFailed"]] if self.rng.random() < 0.5 else [["States.ALL"]]
                )
            ]
        if name != last and self.rng.random() < 0.6:
            found["Catch"] = [{"ErrorEquals": self.rng.choice(_MATCHES), "Next": last}]
        return found
