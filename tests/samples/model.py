"""What the table of samples says of each: what it needs, what it is given, and what shows that it ran."""

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

Json = Any
Function = Callable[[Json, Any], Json]
"""As AWS Lambda calls it: (event, context). Those of functions.py run inside of the served program."""


@dataclass(frozen=True, slots=True)
class Table:
    """A DynamoDB table with keys of strings, the second for sorting, and what is in it before."""

    name: str
    key: str
    items: tuple[Json, ...] = ()
    sort: str = ""


@dataclass(frozen=True, slots=True)
class Queue:
    """An SQS queue."""

    name: str


@dataclass(frozen=True, slots=True)
class Topic:
    """An SNS topic; what is published comes to a queue that the test reads."""

    name: str


@dataclass(frozen=True, slots=True)
class Bus:
    """An EventBridge bus; every event comes to a queue that the test reads."""

    name: str


@dataclass(frozen=True, slots=True)
class Bucket:
    """An S3 bucket and what is in it before: the text of each key."""

    name: str
    objects: Mapping[str, str] = field(default_factory=dict)


Resource = Table | Queue | Topic | Bus | Bucket


@dataclass(frozen=True, slots=True, kw_only=True)
class Machine:
    """Another state machine that a sample starts: a sample's file, or a definition written for it."""

    file: str = ""
    definition: Json = None
    express: bool = False


@dataclass(frozen=True, slots=True)
class Refusal:
    """SendTaskFailure instead of SendTaskSuccess."""

    error: str
    cause: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Sample:
    """One run of one published definition.

    Names (of functions, resources and machines) are given as the definition has them. So that samples can run
    side by side in one account, each run gives them names of its own, in the definition and in the input.

    `file`: its name in the corpus, without `.asl.json`. `case`: tells two runs of one file apart.
    `functions`: what a function answers, or the function. `makes`: what is there before. `edits`: texts of
    the definition that stand for something, and what is put there. `seconds`: Wait states that wait shorter
    than published. `before`: how often the sample runs before the run that counts.
    `answers`: for a queue or topic, what is sent back for the task tokens in its messages, in their order.
    `status`, `error`, `cause`, `output`: the end. `passes`: the states entered, in their order.
    `leaves`: for a resource what it then holds: items, messages, events or objects (by key).
    In `cause`, `output` and `leaves` `...` is like anything, a type like its values, a pattern like a text in
    which it is found, and an object like one that has more fields.
    """

    file: str
    case: str = ""
    express: bool = False
    input: Json = field(default_factory=dict)
    functions: Mapping[str, Json | Function] = field(default_factory=dict)
    makes: tuple[Resource, ...] = ()
    machines: Mapping[str, Machine] = field(default_factory=dict)
    edits: Mapping[str, str] = field(default_factory=dict)
    seconds: Mapping[str, int] = field(default_factory=dict)
    before: int = 0
    answers: Mapping[str, tuple[Json | Refusal, ...]] = field(default_factory=dict)
    status: str = "SUCCEEDED"
    error: str | None = None
    cause: Json = ...
    output: Json = ...
    passes: tuple[str, ...] = ()
    leaves: Mapping[str, Json] = field(default_factory=dict)

    @property
    def id(self) -> str:
        """What the test of this run is called."""
        return f"{self.file}-{self.case}" if self.case else self.file


def differences(expected: Json, actual: Json, place: str = "") -> list[str]:
    """Where `actual` is not like `expected`, as sentences; none where it is."""
    if expected is ...:
        return []
    if isinstance(expected, re.Pattern):
        return [] if expected.search(str(actual)) else [f"{place}: no {expected.pattern!r} in {actual!r}"]
    if isinstance(expected, type):
        return [] if isinstance(actual, expected) else [f"{place}: {actual!r} is no {expected.__name__}"]
    if isinstance(expected, dict) and isinstance(actual, dict):
        found = [f"{place}: no field {name!r}" for name in expected if name not in actual]
        for name in expected.keys() & actual.keys():
            found += differences(expected[name], actual[name], f"{place}.{name}")
        return found
    if isinstance(expected, list) and isinstance(actual, list) and len(expected) == len(actual):
        pairs = enumerate(zip(expected, actual, strict=True))
        return [each for at, (one, other) in pairs for each in differences(one, other, f"{place}[{at}]")]
    return [] if expected == actual else [f"{place}: {actual!r} instead of {expected!r}"]


def missing(expected: list[Json], actual: list[Json]) -> list[str]:
    """Compare two collections in any order; sentences say what is too few or too many."""
    rest, absent = list(actual), []
    for each in expected:
        found = next((one for one in rest if not differences(each, one)), None)
        if found is None:
            absent.append(f"nothing is like {each!r}")
        else:
            rest.remove(found)
    return absent + [f"unexpected: {each!r}" for each in rest]
