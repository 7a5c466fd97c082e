"""MockConfigFile.json: test cases and mocked responses, in the format of Step Functions Local.

Source: Step Functions developer guide, "Mocked service integrations in Step Functions Local". One part is our
own: `Expectations`, with the input and the wanted end of a case, which Step Functions Local passes over.
"""

import re
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Self

from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json, loads
from etl_runner.offline.answers import Answer, Returned, Thrown, Unmocked

_RANGE: Final = re.compile(r"(\d+)(?:-(\d+))?")
_NOTHING: Final = object()
STATUSES: Final = ("SUCCEEDED", "FAILED", "TIMED_OUT")


@dataclass(frozen=True, slots=True)
class Response:
    """A mocked response: for which numbers of a state's hand-outs (from 0) it has which answer."""

    name: str
    answers: tuple[tuple[int, int, Answer], ...]

    def at(self, number: int) -> Answer | None:
        """The answer for one hand-out."""
        return next((answer for first, last, answer in self.answers if first <= number <= last), None)


@dataclass(frozen=True, slots=True, kw_only=True)
class Wanted:
    """How a case is to be started and to end. `input` is a one-tuple where the case says one."""

    input: tuple[Json] | None = None
    status: str | None = None
    output: tuple[Json] | None = None
    error: str | None = None


ANY: Final = Wanted()
"""Nothing in particular: to succeed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """One test case of one state machine."""

    name: str
    responses: Mapping[str, Response]
    wanted: Wanted = ANY

    def mocks(self) -> "CaseMocks":
        """Who answers in one run of the case."""
        return CaseMocks(self)


@dataclass(slots=True)
class CaseMocks:
    """The answers of one run."""

    case: Case
    _asked: Counter[str] = field(default_factory=Counter)

    def has(self, state: str) -> bool:
        """Whether the case mocks this state."""
        return state in self.case.responses

    def as_left(self, state: str) -> bool:  # noqa: ARG002 -- for any state
        """A mocked response is what the work gives."""
        return False

    def answer(self, state: str, arguments: Json) -> Answer:  # noqa: ARG002 -- responses go by number alone
        """The answer for the next hand-out of a state. Raises Unmocked."""
        response = self.case.responses.get(state)
        if response is None:
            names = ", ".join(sorted(self.case.responses)) or "none"
            raise Unmocked(f"the test case {self.case.name!r} mocks no state {state!r}; it mocks {names}")
        number = self._asked[state]
        self._asked[state] += 1
        answer = response.at(number)
        if answer is None:
            raise Unmocked(
                f"the mocked response {response.name!r} of the state {state!r} has no answer for hand-out "
                f"number {number} (the first is 0); add one"
            )
        return answer


@dataclass(frozen=True, slots=True)
class MockConfig:
    """A whole file: the test cases of each state machine."""

    machines: Mapping[str, Mapping[str, Case]]

    @classmethod
    def read(cls, text: str, file: str) -> Self:
        """Read the text of a file. Raises InvalidInput, naming the place."""
        try:
            document = loads(text)
        except ValueError as error:
            raise InvalidInput(f"{file} is no JSON: {error}") from None
        reader = _Reader(file)
        return cls(reader.machines(document))


class _Reader:
    """Checks the file as it goes through it."""

    def __init__(self, file: str) -> None:
        self._file = file

    def machines(self, document: Json) -> dict[str, dict[str, Case]]:
        top = self._object(document, "", {"StateMachines", "MockedResponses", "Expectations"})
        responses = {
            name: self._response(name, each)
            for name, each in self._object(top.get("MockedResponses", {}), "/MockedResponses").items()
        }
        wanted = self._object(top.get("Expectations", {}), "/Expectations")
        found = {}
        for name, each in self._object(top.get("StateMachines"), "/StateMachines").items():
            place = f"/StateMachines/{name}"
            cases = self._object(
                self._object(each, place, {"TestCases"}).get("TestCases", {}), f"{place}/TestCases"
            )
            ends = self._object(wanted.get(name, {}), f"/Expectations/{name}")
            if unknown := sorted(ends.keys() - cases.keys()):
                raise self._fault(
                    f"/Expectations/{name}", f"names the test case {unknown[0]!r}, which is not there"
                )
            found[name] = {
                case: self._case(case, states, ends.get(case, {}), responses, f"{place}/TestCases/{case}")
                for case, states in cases.items()
            }
        return found

    def _case(
        self, name: str, states: Json, wanted: Json, responses: Mapping[str, Response], place: str
    ) -> Case:
        mocked = {}
        for state, response in self._object(states, place).items():
            if response not in responses:
                raise self._fault(
                    f"{place}/{state}", f"names the mocked response {response!r}, which is not there"
                )
            mocked[state] = responses[response]
        return Case(name=name, responses=mocked, wanted=self._wanted(wanted, f"{place} in Expectations"))

    def _wanted(self, given: Json, place: str) -> Wanted:
        told = self._object(given, place, {"Input", "Status", "Output", "Error"})
        status = told.get("Status")
        if status is not None and status not in STATUSES:
            raise self._fault(f"{place}/Status", f"has to be one of {', '.join(STATUSES)}")
        return Wanted(
            input=(told["Input"],) if "Input" in told else None,
            status=status,
            output=(told["Output"],) if "Output" in told else None,
            error=told.get("Error"),
        )

    def _response(self, name: str, given: Json) -> Response:
        place = f"/MockedResponses/{name}"
        answers: list[tuple[int, int, Answer]] = []
        for numbers, answer in self._object(given, place).items():
            match = _RANGE.fullmatch(numbers)
            if match is None or int(match[2] or match[1]) < int(match[1]):
                raise self._fault(f"{place}/{numbers}", "is no number and no range such as 1-3")
            first, last = int(match[1]), int(match[2] or match[1])
            taken = next((n for low, high, _ in answers for n in (first, last) if low <= n <= high), None)
            if taken is not None:
                raise self._fault(
                    f"{place}/{numbers}", f"answers number {taken}, which another entry answers too"
                )
            answers.append((first, last, self._answer(answer, f"{place}/{numbers}")))
        if not answers:
            raise self._fault(place, 'has no answer; give one under "0"')
        return Response(name, tuple(answers))

    def _answer(self, given: Json, place: str) -> Answer:
        told = self._object(given, place, {"Return", "Throw"})
        returned, thrown = told.get("Return", _NOTHING), told.get("Throw", _NOTHING)
        if (returned is _NOTHING) == (thrown is _NOTHING):
            raise self._fault(place, "has to have either Return or Throw")
        if returned is not _NOTHING:
            return Returned(output=returned)
        error = self._object(thrown, f"{place}/Throw", {"Error", "Cause"})
        if not isinstance(error.get("Error"), str) or not isinstance(error.get("Cause", ""), str):
            raise self._fault(f"{place}/Throw", "has to have Error, and may have Cause, both strings")
        return Thrown(error=error["Error"], cause=error.get("Cause"))

    def _object(self, value: Any, place: str, known: set[str] | None = None) -> dict[str, Json]:
        if not isinstance(value, dict):
            raise self._fault(place, "has to be an object")
        if known is not None and (unknown := sorted(value.keys() - known)):
            names = ", ".join(sorted(known))
            raise self._fault(place, f"has the field {unknown[0]!r}; it may have {names}")
        return value

    def _fault(self, place: str, what: str) -> InvalidInput:
        return InvalidInput(f"{self._file}: {place or 'the whole'} {what}")
