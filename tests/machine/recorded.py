"""Recorded executions of AWS, told again to our machine: definition, input and answers from the recording."""

import json
import random
import re
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path
from typing import Any, Final

from etl_runner.asl.model import MapState, StateMachine
from etl_runner.asl.parse import parse_definition
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.aws_history import project
from etl_runner.machine.decide import decide, start
from etl_runner.machine.state import Machine, Status

_MOMENT: Final = re.compile(
    r"\d\d-\d\d-\d{4}T[0-9:]+Z|\d{4}-\d\d-\d\dT[0-9:.]+Z?|<timestamp>|\btimestamp\b|\bdate\b"
)
_ACTIVITY: Final = "arn:aws:states:us-east-1:111111111111:activity:activity_name"
_FAMILIES: Final = ("Task", "LambdaFunction", "Activity")
_ANSWERS: Final = ("Succeeded", "Failed", "TimedOut")
_BEGUN_MS: Final = 1_700_000_000_000
_CONCURRENT: Final = {"timeouts/timeouts.test_service_lambda_map_timeout"}
"""Chains that ran side by side: the order between them was chance."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One recorded history with what led to it."""

    name: str
    definition: str
    input: Json
    input_text: str | None
    events: list[dict[str, Any]]


def recordings(folder: Path) -> list[Recording]:
    """All recorded histories, whatever area they are of."""
    found: list[Recording] = []
    for path in sorted(folder.glob("*/*.json")):
        case = json.loads(path.read_text())
        histories = [
            (name, entry["events"])
            for name, entry in case["expected"].items()
            if isinstance(entry, dict) and entry.get("events")
        ]
        inputs = case["inputs"] if len(case["inputs"]) == len(histories) else None
        for place, (name, events) in enumerate(histories):
            definition = _definition_of(case["definitions"], events)
            if definition is None:
                continue
            event = events[0] if events[0]["type"] == "ExecutionStarted" else events[-1]
            text = event["executionStartedEventDetails"].get("input", {})
            told = _parsed(text)
            found.append(
                Recording(
                    name=f"{path.parent.name}/{path.stem.rpartition('.')[0]}:{name}",
                    definition=definition,
                    input=told if inputs is None else _or_told(inputs[place], told),
                    input_text=text if isinstance(text, str) else None,
                    events=sorted(events, key=_order),
                )
            )
    return found


def _order(event: dict[str, Any]) -> int:
    """Ids of concurrent events are blanked in the recordings; they keep their place."""
    return event["id"] if isinstance(event["id"], int) and event["id"] < 4 else 4


def _or_told(given: Json, told: Json) -> Json:
    """Moments are blanked in the history, random names in the calls."""
    return given if _MOMENT.search(json.dumps(told)) else told


def _definition_of(definitions: list[Json], events: list[dict[str, Any]]) -> str | None:
    names = [
        event["stateEnteredEventDetails"]["name"] for event in events if "stateEnteredEventDetails" in event
    ]
    for definition in reversed(definitions):
        if isinstance(definition, dict) and (not names or definition.get("StartAt") == names[0]):
            return json.dumps(definition).replace('"activity_arn"', f'"{_ACTIVITY}"')
    return None


def _parsed(value: Json) -> Json:
    """A text of JSON is shown parsed when it holds an object, as it is otherwise."""
    return json.loads(value) if isinstance(value, str) else value


def _text(value: Json) -> str | None:
    return value if value is None or isinstance(value, str) else json.dumps(value)


class Retelling:
    """An execution of our machine whose tasks answer what the recording says."""

    def __init__(self, recording: Recording) -> None:
        self.recording = recording
        self.rng = random.Random(7)
        self.now_ms = _BEGUN_MS
        self.definition: StateMachine = parse_definition(recording.definition)
        details = next(e for e in recording.events if e["type"] == "ExecutionStarted")
        name = "<ExecArnPart_0idx>"
        self.machine: Machine
        self.machine, first = start(
            self.definition,
            s.Start(
                execution_arn=f"arn:aws:states:<region>:111111111111:execution:<ArnPart_0idx>:{name}",
                name=name,
                state_machine_arn="arn:aws:states:<region>:111111111111:stateMachine:<ArnPart_0idx>",
                state_machine_name="<ArnPart_0idx>",
                input=recording.input,
                input_text=recording.input_text,
                role_arn=details["executionStartedEventDetails"].get("roleArn", ""),
            ),
            self.now_ms,
            self.rng,
        )
        self.pages: list[tuple[int, list[f.Fact]]] = [(self.now_ms, first)]

    def tell(self) -> list[dict[str, Any]]:
        """Run to the end, or as far as the recording goes. Gives the projected events."""
        scheduled: dict[int, int] = {}
        count = blanked = 0
        for event in self.recording.events:
            kind = event["type"]
            if not isinstance(event["id"], int):
                if kind.endswith(_ANSWERS) and kind.startswith(_FAMILIES):
                    self._answer(event, blanked)
                    blanked += 1
            elif kind.endswith("Scheduled"):
                scheduled[event["id"]] = count
                count += 1
            elif kind.startswith(_FAMILIES) and "State" not in kind:
                number = scheduled[event["id"]] = scheduled[event["previousEventId"]]
                self._answer(event, number)
            elif kind in {"MapRunSucceeded", "MapRunFailed"}:
                self._map_run(event)
        ended = self.recording.events[-1]["type"].startswith("Execution")
        while ended and self.machine.status is Status.RUNNING and self._wake():
            pass
        return list(project(self.definition, self.pages, region="<region>"))

    def _decide(self, stimulus: s.Stimulus) -> None:
        made = decide(self.definition, self.machine, stimulus, self.now_ms, self.rng)
        self.pages.append((self.now_ms, made))

    def _wake(self) -> bool:
        due = self.machine.wake_at_ms()
        if due is None:
            return False
        self.now_ms = max(due, self.now_ms)
        self._decide(s.Wake())
        return True

    def _token(self, number: int, kind: type[f.TaskScheduled | f.MapRunStarted]) -> int:
        while True:
            tokens = [fact.token for _, page in self.pages for fact in page if isinstance(fact, kind)]
            if number < len(tokens):
                return tokens[number]
            if not self._wake():
                raise AssertionError(f"the recording answers {kind.__name__} number {number}, ours has fewer")

    def _answer(self, event: dict[str, Any], number: int) -> None:
        kind = event["type"]
        token = self._token(number, f.TaskScheduled)
        details: dict[str, Any] = next(
            (value for key, value in event.items() if key.endswith("EventDetails")), {}
        )
        if kind == "ActivityStarted":
            self._decide(s.ActivityFetch(token=token, worker=details.get("workerName")))
        elif kind.endswith("Submitted"):
            self._decide(s.TaskSubmission(token=token, output=_parsed(details["output"])))
        elif kind.endswith("Succeeded"):
            self._decide(s.TaskSuccess(token=token, output=_parsed(details["output"])))
        elif kind.endswith("Failed"):
            cause = _text(details.get("cause"))
            self._decide(s.TaskFailure(token=token, error=details.get("error"), cause=cause))
        elif kind.endswith("TimedOut"):
            due = self.machine.wake_at_ms()
            if details.get("error") == "States.Timeout" and due is not None:
                self.now_ms = max(due, self.now_ms)
                self._decide(s.Wake())
            else:
                self._decide(s.HeartbeatLoss(token=token))

    def _map_run(self, event: dict[str, Any]) -> None:
        before = sum(
            other["type"].startswith("MapRun") and other["type"] != "MapRunStarted"
            for other in self.recording.events[: self.recording.events.index(event)]
        )
        token = self._token(before, f.MapRunStarted)
        if event["type"] == "MapRunFailed":
            details = event["mapRunFailedEventDetails"]
            error, cause = details.get("error"), _text(details.get("cause"))
            self._decide(s.MapRunFailure(token=token, error=error, cause=cause))
            return
        later = self.recording.events[self.recording.events.index(event) :]
        exited = next(e["stateExitedEventDetails"] for e in later if e["type"] == "MapStateExited")
        output = _parsed(exited["output"])
        state = self.definition.scopes[0].states[exited["name"]]
        assert isinstance(state, MapState)
        if state.result_path is not None and state.result_path.text != "$":
            output = output[state.result_path.text.removeprefix("$.")]
        self._decide(s.MapRunSuccess(token=token, output=output))


def differences(recording: Recording, ours: list[dict[str, Any]]) -> list[tuple[Json, Json]]:
    """The pairs (ours, AWS's) of events that are not the same, in order; None where one side has no more."""
    theirs = recording.events
    pairs: Iterable[tuple[Json, ...]]
    if recording.name.partition(":")[0] in _CONCURRENT:
        pairs = zip_longest(*(sorted(_places(events)) for events in (ours, theirs)))
    elif any(isinstance(event["id"], list) for event in theirs):
        # Concurrent events, recorded without ids, sorted, and without the end of the Parallel's work.
        ours = [e for e in ours if e["type"] not in {"ParallelStateSucceeded", "ParallelStateFailed"}]
        pairs = zip_longest(*(sorted(map(_unnumbered, events), key=json.dumps) for events in (ours, theirs)))
    else:
        pairs = zip_longest(map(canonical, map(_valued, ours)), map(canonical, map(_valued, _modern(theirs))))
    return [(mine, other) for mine, other in pairs if mine != other]


def _places(events: list[dict[str, Any]]) -> list[str]:
    """Each event with its way from the beginning, so that only the order between chains is left out."""
    ways = {0: ""}
    for event in events:
        shown = json.dumps(_unnumbered(event))
        ways[event["id"]] = f"{ways[event['previousEventId']]}/{shown}"
    return list(ways.values())


def _modern(events: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """Histories of before November 2024 let a Map's exit follow MapRunSucceeded, later ones MapRunStarted."""
    changed = list(events)
    for place in range(2, len(events)):
        kinds = [event["type"] for event in events[place - 2 : place + 1]]
        if kinds == ["MapRunSucceeded", "MapStateSucceeded", "MapStateExited"]:
            changed[place] = {**events[place], "previousEventId": events[place - 2]["previousEventId"]}
    return changed


def _unnumbered(event: dict[str, Any]) -> Json:
    return {key: value for key, value in canonical(_valued(event)).items() if key not in _NUMBERS}


def _valued(event: dict[str, Any]) -> dict[str, Any]:
    """Inputs and outputs as values, marked where the text of one that is no object has spaces."""
    changed = dict(event)
    for key, details in event.items():
        if isinstance(details, dict):
            changed[key] = {
                name: _value(item) if name in {"input", "output", "parameters"} else item
                for name, item in details.items()
            }
    return changed


def _value(item: Json) -> Json:
    try:
        value = _parsed(item)
    except ValueError:
        return item
    if isinstance(item, str) and not isinstance(value, dict) and item != dumps_text(value):
        return {"spaced": value}
    return value


def canonical(value: Json) -> Json:
    """The same for what differs only in spelling: text or parsed JSON, partition, moments, random parts."""
    if isinstance(value, dict):
        return {key: canonical(item) for key, item in sorted(value.items()) if key not in _GENERATED}
    if isinstance(value, list):
        return [canonical(item) for item in value]
    if isinstance(value, str):
        if value[:1] in {"{", "["}:
            try:
                return canonical(json.loads(value))
            except ValueError:
                pass
        for pattern, instead in _SPELLINGS:
            value = pattern.sub(instead, value)
    return value


_GENERATED: Final = {"timestamp", "mapRunArn", "MapRunArn", "TaskToken", "NestedToken"}
_NUMBERS: Final = {"id", "previousEventId"}
_SPELLINGS: Final = (
    (re.compile("arn:<partition>:"), "arn:aws:"),
    (_MOMENT, "date"),
    (re.compile(r"found in the input '\{.*\}'"), "found in the input '<json-input:1>'"),
    (re.compile("^activity_arn$"), _ACTIVITY),
    (re.compile("[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}|<uuid:[0-9]+>"), "<uuid>"),
)
