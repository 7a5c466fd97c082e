"""Random small machines: names are unique, ends are near, and most states do what they say.

Each state is written in JSONPath or in JSONata, as the dice fall. Some expressions fail when evaluated.
"""

import random
from typing import Any, Final, TypeAlias

from tests.machine.shell import FUNCTION

State: TypeAlias = dict[str, Any]

ERRORS: Final = ("A", "A", "B", "B", "States.Timeout", "States.Runtime")
INPUT: Final = {"items": [1, None, "x"], "a": {"b": [2]}}
_MATCHES: Final = (["A"], ["B"], ["A", "B"], ["States.Timeout"], ["States.TaskFailed"], ["States.ALL"])
_KINDS: Final = ("Pass", "Task", "Task", "Wait", "Choice")
_GROUPS: Final = ("Parallel", "Map", "Parallel", "Map")
_RESOURCES: Final = (
    FUNCTION,
    FUNCTION,
    "arn:aws:states:us-east-1:123456789012:activity:work",
    "arn:aws:states:::sqs:sendMessage.waitForTaskToken",
)
_UNDEFINED: Final = "{% $states.input.nothing %}"


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
        jsonata = self.rng.random() < 0.4
        goes: State = {"Next": following} if following else {"End": True}
        made: State
        match kind:
            case "Succeed":
                made, goes = self.rng.choice([{}, {"Output": "{% $states.input %}"}]) if jsonata else {}, {}
            case "Fail":
                made, goes = {"Error": "{% 'A' %}" if jsonata else "A"}, {}
            case "Choice":
                return self.choice(name, following, depth, jsonata=jsonata)
            case "Pass":
                made = self.pass_fields(jsonata=jsonata) | self.assign(depth, jsonata=jsonata)
            case "Wait":
                seconds = self.rng.randint(0, 3)
                made = {"Seconds": f"{{% {seconds} %}}" if jsonata else seconds}
                made |= self.assign(depth, jsonata=jsonata)
            case "Task":
                made = self.task_fields(jsonata=jsonata)
            case "Parallel":
                made = {"Branches": [self.scope(depth - 1) for _ in range(self.rng.randint(1, 3))]}
                if jsonata:
                    made["Arguments"] = self.rng.choice([{"a": "{% $states.input %}"}, _UNDEFINED])
            case _:
                made = self.map_fields(depth, jsonata=jsonata)
        if kind in {"Task", "Parallel", "Map"}:
            made |= self.assign(depth, jsonata=jsonata) | self.handlers(name, last, depth, jsonata=jsonata)
        language = {"QueryLanguage": "JSONata"} if jsonata else {}
        return {name: {"Type": kind, **language, **goes, **made}}

    def pass_fields(self, *, jsonata: bool) -> State:
        if jsonata:
            outputs = ["{% $states.input %}", {"items": "{% [1] %}", "n": 1}, [], _UNDEFINED]
            return self.rng.choice([{}, {"Output": self.rng.choice(outputs)}])
        return self.rng.choice([{}, {"Result": None}, {"Result": {"items": []}}, {"ResultPath": "$.r"}])

    def assign(self, depth: int, *, jsonata: bool) -> State:
        """Variables, one name for each depth: an inner scope must not assign those of an outer one."""
        if self.rng.random() < 0.6:
            return {}
        name = f"v{depth}"
        if jsonata:
            counted = f"{{% $exists(${name}) ? 1 : [0, $states.input] %}}"
            return {"Assign": {name: self.rng.choice([counted, counted, 2, _UNDEFINED])}}
        return {"Assign": self.rng.choice([{f"{name}.$": "$"}, {name: {"n": 1}}, {f"{name}.$": "$$.State"}])}

    def task_fields(self, *, jsonata: bool) -> State:
        resource = self.rng.choice(_RESOURCES)
        limits: list[State] = [{}, {}, {"TimeoutSeconds": 2}, {"TimeoutSeconds": 3, "HeartbeatSeconds": 1}]
        made = {"Resource": resource, **self.rng.choice(limits)}
        if resource.endswith("waitForTaskToken"):
            token = "{% $states.context.Task.Token %}" if jsonata else "$$.Task.Token"
            body = {"t" if jsonata else "t.$": token}
            made["Arguments" if jsonata else "Parameters"] = {"QueueUrl": "q", "MessageBody": body}
        elif jsonata:
            made["Arguments"] = self.rng.choice([{"a": "{% $states.input %}"}, {}])
            made |= self.rng.choice([{}, {"Output": "{% $states.result %}"}, {"Output": "{% $v2 %}"}])
        return made

    def choice(self, name: str, following: str | None, depth: int, *, jsonata: bool) -> dict[str, State]:
        other = self.name()
        rule: State = {"Next": other, **self.assign(depth, jsonata=jsonata)}
        language = {}
        if jsonata:
            rule["Condition"] = self.rng.choice(["{% $exists($states.input.items) %}", "{% 1 %}"])
            language = {"QueryLanguage": "JSONata"}
        else:
            rule |= {"Variable": "$.items", "IsPresent": True}
        default = {} if following is None else {"Default": following}
        made = {
            "Type": "Choice",
            **language,
            "Choices": [rule],
            **default,
            **self.assign(depth, jsonata=jsonata),
        }
        return {name: made, other: {"Type": "Pass", "End": True}}

    def map_fields(self, depth: int, *, jsonata: bool) -> State:
        made: State = {"MaxConcurrency": self.rng.randint(0, 2), "ItemProcessor": self.scope(depth - 1)}
        if jsonata:
            made["Items"] = self.rng.choice(["{% [1, 2, 3] %}", [1, "{% $states.input %}"], "{% 1 %}"])
            if self.rng.random() < 0.5:
                made["ItemSelector"] = {"v": "{% $states.context.Map.Item.Value %}"}
        else:
            made["ItemsPath"] = "$$.Execution.Input.items"
            if self.rng.random() < 0.5:
                made["ItemSelector"] = {"v.$": "$$.Map.Item.Value"}
        if self.rng.random() < 0.25:
            made["ItemProcessor"]["ProcessorConfig"] = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
        return made

    def handlers(self, name: str, last: str, depth: int, *, jsonata: bool) -> State:
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
            catcher = {"ErrorEquals": self.rng.choice(_MATCHES), "Next": last}
            found["Catch"] = [catcher | self.assign(depth, jsonata=jsonata)]
            if jsonata and self.rng.random() < 0.5:
                found["Catch"][0]["Output"] = {"e": "{% $states.errorOutput %}"}
        return found
