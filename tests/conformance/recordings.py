"""The recorded scenarios, as data: definitions, calls, and what AWS answered."""

import json
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

Json = Any


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One call of a client. `error` is the code of a failure that was expected, "" where there was none."""

    service: str
    operation: str
    parameters: dict[str, Json]
    error: str
    recorded_as: tuple[str, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Recording:
    """One scenario. `lambdas` are (name, behaviour in words); `month` of the recording is YYYY-MM."""

    name: str
    area: str
    definitions: tuple[Json, ...]
    inputs: tuple[Json, ...]
    lambdas: tuple[tuple[str, str], ...]
    calls: tuple[Call, ...]
    expected: dict[str, Json]
    lenient_paths: tuple[str, ...]
    month: str


def read(path: Path) -> Recording:
    """Read one file."""
    told = json.loads(path.read_text())
    calls = [
        Call(
            service=call["service"],
            operation=call["operation"],
            parameters=call["parameters"],
            error=call.get("error", ""),
            recorded_as=tuple(call.get("recorded_as", ())),
        )
        for call in told["calls"]
    ]
    return Recording(
        name=f"{path.parent.name}/{path.stem.rpartition('.')[0] or path.stem}#{path.stem.rpartition('.')[2]}",
        area=path.parent.name,
        definitions=tuple(told["definitions"]),
        inputs=tuple(told["inputs"]),
        lambdas=tuple((each["name"], each["behaviour"]) for each in told["lambdas"]),
        calls=_named(_wanted(calls, told), told["expected"]),
        expected=told["expected"],
        lenient_paths=tuple(told["lenient_paths"]),
        month="-".join(reversed(told["recorded"][:10].split("-")[1:])),
    )


def read_all(folder: Path) -> list[Recording]:
    """All recordings under a folder, in the order of their paths."""
    return [read(path) for path in sorted(folder.glob("*/*.json"))]


def _wanted(calls: list[Call], told: Json) -> list[Call]:
    """The calls, with a StartExecution where a recording stops short of it but holds the history."""
    histories = [
        name for name, entry in told["expected"].items() if isinstance(entry, dict) and "events" in entry
    ]
    asked = {name for call in calls for name in call.recorded_as}
    if not histories or asked & set(histories) or not calls:
        return calls
    calls = [replace(call, error="") for call in calls]
    operations = [call.operation for call in calls]
    arn = "arn:aws:states:<region>:111111111111:{}:{}"
    machine = next(
        (call.parameters["name"] for call in calls if call.operation == "CreateStateMachine"), None
    )
    if machine is None:
        return calls
    added = []
    if "StartExecution" not in operations:
        start = {
            "stateMachineArn": arn.format("stateMachine", machine),
            "input": _first_input(told, histories[0]),
        }
        added.append(
            Call(
                service="stepfunctions",
                operation="StartExecution",
                parameters=start,
                error="",
                recorded_as=(),
            )
        )
    asks = {"executionArn": arn.format("execution", f"{machine}:<the-execution>")}
    if "GetExecutionHistory" in operations:
        calls = [call for call in calls if call.operation != "GetExecutionHistory"]
    added.append(
        Call(
            service="stepfunctions",
            operation="GetExecutionHistory",
            parameters=asks,
            error="",
            recorded_as=(histories[0],),
        )
    )
    return [*calls, *added]


def _first_input(told: Json, history: str) -> str:
    details = told["expected"][history]["events"][0]["executionStartedEventDetails"]
    given = told["inputs"][0] if told["inputs"] else details.get("input", {})
    return given if isinstance(given, str) else json.dumps(given)


def _named(calls: list[Call], expected: dict[str, Json]) -> tuple[Call, ...]:
    """The calls, those of expected failures with the entry that holds the failure, by their order.

    A call that answers with an error in `expected` although the recording does not mark it is taken by the
    order too: there is one such entry for one unmarked call.
    """
    named = {name for call in calls for name in call.recorded_as}
    errors = [name for name, entry in expected.items() if name not in named and is_error(entry)]
    made: list[Call] = []
    failing = [place for place, call in enumerate(calls) if call.error and not call.recorded_as]
    if errors and not failing:
        plain = [
            place
            for place, call in enumerate(calls)
            if not call.recorded_as and call.service == "stepfunctions"
        ]
        failing = plain[-len(errors) :]
    by_place = dict(zip(failing, errors, strict=False))
    for place, call in enumerate(calls):
        name = by_place.get(place)
        made.append(
            call
            if name is None
            else Call(
                service=call.service,
                operation=call.operation,
                parameters=call.parameters,
                error=call.error or "any",
                recorded_as=(name,),
            )
        )
    return tuple(made)


def is_error(entry: Json) -> bool:
    """Whether an entry of `expected` is a failed call."""
    if isinstance(entry, str):
        return True
    return isinstance(entry, dict) and (
        "exception_typename" in entry or (isinstance(entry.get("Error"), dict) and "Code" in entry["Error"])
    )
