"""Answers out of the history of a real execution: what its tasks gave is given again.

The history is what GetExecutionHistory answers, of AWS or of this service: `{"events": [...]}` or the events.
"""

from collections import defaultdict
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json, dumps_canonical, dumps_text, loads
from etl_runner.offline.answers import Answer, Returned, Thrown, Unmocked

_SCHEDULED: Final = {
    "TaskScheduled": "taskScheduledEventDetails",
    "LambdaFunctionScheduled": "lambdaFunctionScheduledEventDetails",
    "ActivityScheduled": "activityScheduledEventDetails",
}
_SUCCEEDED: Final = {
    "TaskSucceeded": "taskSucceededEventDetails",
    "LambdaFunctionSucceeded": "lambdaFunctionSucceededEventDetails",
    "ActivitySucceeded": "activitySucceededEventDetails",
}
_FAILED: Final = {
    "TaskFailed": "taskFailedEventDetails",
    "TaskStartFailed": "taskStartFailedEventDetails",
    "TaskSubmitFailed": "taskSubmitFailedEventDetails",
    "TaskTimedOut": "taskTimedOutEventDetails",
    "LambdaFunctionFailed": "lambdaFunctionFailedEventDetails",
    "LambdaFunctionScheduleFailed": "lambdaFunctionScheduleFailedEventDetails",
    "LambdaFunctionStartFailed": "lambdaFunctionStartFailedEventDetails",
    "LambdaFunctionTimedOut": "lambdaFunctionTimedOutEventDetails",
    "ActivityFailed": "activityFailedEventDetails",
    "ActivityScheduleFailed": "activityScheduleFailedEventDetails",
    "ActivityTimedOut": "activityTimedOutEventDetails",
}
_ENDS: Final = {
    "ExecutionSucceeded": "SUCCEEDED",
    "ExecutionFailed": "FAILED",
    "ExecutionTimedOut": "TIMED_OUT",
    "ExecutionAborted": "ABORTED",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Recorded:
    """One hand-out as it was: its arguments (None: not in the history) and its answer."""

    arguments: bytes | None
    answer: Answer


@dataclass(frozen=True, slots=True, kw_only=True)
class RecordedRun:
    """An execution as it was. `output` is a one-tuple where it had one; `status` is "" while it ran."""

    input: Json
    answers: Mapping[str, list[Recorded]]
    map_runs: frozenset[str]
    status: str
    output: tuple[Json] | None = None
    error: str | None = None

    def mocks(self) -> "RecordedMocks":
        """Who answers in one run."""
        left = {state: list(answers) for state, answers in self.answers.items()}
        return RecordedMocks(left, self.map_runs)


@dataclass(slots=True)
class RecordedMocks:
    """The answers of one run, each given once.

    A state that was handed out several times, in iterations that ran side by side, gets the answer to the
    same arguments; where none has them, the next one in order.
    """

    left: dict[str, list[Recorded]]
    map_runs: frozenset[str]
    _known: frozenset[str] = field(init=False)

    def __post_init__(self) -> None:
        self._known = frozenset(self.left)

    def has(self, state: str) -> bool:
        """Whether the history has work of this state."""
        return state in self._known

    def as_left(self, state: str) -> bool:
        """Whether it is a Distributed Map: of its children the history has nothing, but what it left."""
        return state in self.map_runs

    def answer(self, state: str, arguments: Json) -> Answer:
        """The answer for the next hand-out of a state. Raises Unmocked."""
        left = self.left.get(state)
        if not left:
            why = "ran out of answers for" if state in self._known else "has no work of"
            raise Unmocked(f"the recorded execution {why} the state {state!r}")
        wanted = dumps_canonical(arguments)
        place = next((at for at, each in enumerate(left) if each.arguments == wanted), 0)
        return left.pop(place).answer


def read_history(text: str, file: str) -> RecordedRun:
    """Read the text of a history. Raises InvalidInput."""
    try:
        document = loads(text)
        events = document["events"] if isinstance(document, dict) else document
        return _read(events)
    except (ValueError, LookupError, TypeError, AttributeError) as error:
        missing = f"there is no {error} in it" if isinstance(error, KeyError) else str(error)
        raise InvalidInput(
            f"{file} is no execution history: {missing}. Give what "
            "`aws stepfunctions get-execution-history` prints, with all its pages"
        ) from None


def _read(events: list[dict[str, Any]]) -> RecordedRun:
    events = sorted(events, key=lambda event: int(event["id"]))  # it may have been asked for in reverse
    if not events:
        raise ValueError("it has no events")
    # A run offline is not redriven: what is given again is what happened until somebody helped.
    redriven = next((at for at, event in enumerate(events) if event["type"] == "ExecutionRedriven"), None)
    events = events[:redriven]
    by_id = {event["id"]: event for event in events}
    first = events[0]
    if first["type"] != "ExecutionStarted":
        raise ValueError("its first event is no ExecutionStarted")
    answers: dict[str, list[Recorded]] = defaultdict(list)
    map_runs: set[str] = set()
    for event in events:
        answer = _answer(event)
        if answer is not None:
            state, arguments = _handed_out(event, by_id)
            answers[state].append(Recorded(arguments=arguments, answer=answer))
        elif event["type"] in {"MapRunSucceeded", "MapRunFailed"}:
            state = _state_of(event, by_id)
            map_runs.add(state)
            answers[state].append(Recorded(arguments=None, answer=_of_map(event, events)))
    last = events[-1]
    status = _ENDS.get(last["type"], "")
    told = last.get(f"execution{last['type'].removeprefix('Execution')}EventDetails", {})
    return RecordedRun(
        input=_json(first["executionStartedEventDetails"].get("input", "{}")),
        answers=dict(answers),
        map_runs=frozenset(map_runs),
        status=status,
        output=(_json(told["output"]),) if "output" in told else None,
        error=told.get("error"),
    )


def _answer(event: dict[str, Any]) -> Answer | None:
    kind = event["type"]
    if kind in _SUCCEEDED:
        return Returned(output=_json(event.get(_SUCCEEDED[kind], {}).get("output", "null")))
    if kind in _FAILED:
        told = event.get(_FAILED[kind], {})
        absent = "States.Timeout" if kind.endswith("TimedOut") else None
        cause = told.get("cause")
        return Thrown(
            error=told.get("error", absent), cause=dumps_text(cause) if isinstance(cause, dict) else cause
        )
    return None


def _handed_out(event: dict[str, Any], by_id: dict[int, dict[str, Any]]) -> tuple[str, bytes | None]:
    """The state that an answer is for, and the arguments that it was handed out with."""
    arguments: bytes | None = None
    at = event
    while at["type"] != "TaskStateEntered":
        details = at.get(_SCHEDULED.get(at["type"], ""), {})
        text = details.get("parameters", details.get("input"))
        if text is not None and arguments is None:
            arguments = dumps_canonical(_json(text))
        at = by_id[at["previousEventId"]]
    return at["stateEnteredEventDetails"]["name"], arguments


def _state_of(event: dict[str, Any], by_id: dict[int, dict[str, Any]]) -> str:
    at = event
    while not at["type"].endswith("StateEntered"):
        at = by_id[at["previousEventId"]]
    return str(at["stateEnteredEventDetails"]["name"])


def _of_map(event: dict[str, Any], events: list[dict[str, Any]]) -> Answer:
    """What came of a Distributed Map: of its result the history has only what the state left."""
    if event["type"] == "MapRunFailed":
        told = event.get("mapRunFailedEventDetails", {})
        return Thrown(error=told.get("error"), cause=told.get("cause"))
    for later in events:
        if later["id"] > event["id"] and later["type"] == "MapStateExited":
            return Returned(output=_json(later["stateExitedEventDetails"].get("output", "null")))
    raise ValueError(f"the map run that succeeded with event {event['id']} has no MapStateExited after it")


def _json(value: Any) -> Json:
    """A payload: text as AWS gives it, or a value already (the CLI of others parses it)."""
    return loads(value) if isinstance(value, str) else value
