"""The smallest shell around the machine: a virtual clock, answers by the name of the state, and checks."""

import json
import random
from collections.abc import Sequence
from typing import Any

from etl_runner.asl.model import StateMachine
from etl_runner.asl.parse import parse_definition
from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.aws_history import project
from etl_runner.machine.codec import FORMAT, decode_page, encode_page
from etl_runner.machine.decide import decide, start
from etl_runner.machine.decision import Tired
from etl_runner.machine.history_lint import lint
from etl_runner.machine.state import Frame, Machine, OpenTask, Status, fold

BEGUN_MS = 1_700_000_000_000
FUNCTION = "arn:aws:lambda:us-east-1:123456789012:function:work"
TASK = {"Type": "Task", "Resource": FUNCTION, "End": True}
PASS = {"Type": "Pass", "End": True}


def start_of(given: Json = None) -> s.Start:
    return s.Start(
        execution_arn="arn:aws:states:us-east-1:123456789012:execution:machine:run",
        name="run",
        state_machine_arn="arn:aws:states:us-east-1:123456789012:stateMachine:machine",
        state_machine_name="machine",
        input={} if given is None else given,
        role_arn="arn:aws:iam::123456789012:role/any",
    )


def compiled(definition: dict[str, Any]) -> StateMachine:
    return parse_definition(json.dumps(definition))


def single(state: dict[str, Any], **others: dict[str, Any]) -> dict[str, Any]:
    """A machine that starts at the state `Only`; further states by name."""
    return {"StartAt": "Only", "States": {"Only": state, **others}}


def scope(name: str, state: dict[str, Any], **others: dict[str, Any]) -> dict[str, Any]:
    """A branch or processor that starts at the state `name`; names count for the whole machine."""
    return {"StartAt": name, "States": {name: state, **others}}


class Run:
    """One execution. Every decision is followed by a check of all that must always hold."""

    def __init__(
        self, definition: dict[str, Any], given: Json = None, *, seed: int = 1, checked: bool = True
    ) -> None:
        self.raw = definition
        self.definition = compiled(definition)
        self.rng = random.Random(seed)
        self.now_ms = BEGUN_MS
        self.checked = checked
        self.reloaded = False
        self.tired: Tired | None = None
        self.machine: Machine
        self.machine, first = start(self.definition, start_of(given), self.now_ms, self.rng)
        self.pages: list[tuple[int, list[f.Fact]]] = [(self.now_ms, first)]
        self.check()

    @classmethod
    def loaded(cls, definition: dict[str, Any], pages: list[tuple[int, list[f.Fact]]]) -> "Run":
        """Go on with an execution from its facts alone, at the time of the last of them."""
        run = cls.__new__(cls)
        run.raw, run.definition = definition, compiled(definition)
        run.rng = random.Random(1)
        run.checked = True
        run.reloaded = False
        run.tired = None
        run.pages = list(pages)
        run.now_ms = pages[-1][0]
        run.machine = fold(pages)
        run.check()
        return run

    def check(self) -> None:
        if self.checked:
            self.check_now()

    def check_now(self) -> None:
        assert lint(self.pages) == []
        assert fold(self.kept()) == self.machine
        assert [event["id"] for event in self.events()] == list(range(1, self.machine.events + 1))

    def kept(self) -> list[tuple[int, list[f.Fact]]]:
        """The pages as they come back from where they are kept."""
        return [(at_ms, decode_page(encode_page(page), page_format=FORMAT)) for at_ms, page in self.pages]

    def decide(self, stimulus: s.Stimulus) -> list[f.Fact]:
        made = decide(self.definition, self.machine, stimulus, self.now_ms, self.rng, tired=self.tired)
        if made:
            self.pages.append((self.now_ms, made))
        if self.reloaded:
            self.pages = self.kept()
            self.machine = fold(self.pages)
        self.check()
        return made

    def task(self, state: str = "Only", index: int | None = None) -> tuple[Frame, OpenTask]:
        """The open task of a state, in the branch or iteration `index` if more than one has it."""
        for frame, work in self.machine.open_work():
            if frame.state == state and index in {None, frame.index} and isinstance(work, OpenTask):
                return frame, work
        raise AssertionError(f"no task of {state} is open")

    def succeed(self, output: Json = None, state: str = "Only", index: int | None = None) -> list[f.Fact]:
        return self.decide(s.TaskSuccess(token=self.task(state, index)[1].token, output=output))

    def fail(
        self, error: str, cause: str = "", state: str = "Only", index: int | None = None
    ) -> list[f.Fact]:
        token = self.task(state, index)[1].token
        return self.decide(s.TaskFailure(token=token, error=error, cause=cause))

    def wake(self) -> int:
        """Move on to when the next timer is due; gives how many milliseconds that took."""
        due = self.machine.wake_at_ms()
        assert due is not None
        before, self.now_ms = self.now_ms, max(due, self.now_ms)
        self.decide(s.Wake())
        later = self.machine.wake_at_ms()
        assert later is None or later > self.now_ms
        return self.now_ms - before

    def facts(self, *kinds: type[f.Fact]) -> list[Any]:
        return [fact for _, page in self.pages for fact in page if not kinds or isinstance(fact, kinds)]

    def events(self) -> list[dict[str, Any]]:
        return list(project(self.definition, self.pages, region="us-east-1"))

    def types(self) -> list[str]:
        return [event["type"] for event in self.events()]

    @property
    def status(self) -> Status:
        return self.machine.status

    @property
    def output(self) -> Json:
        assert self.machine.status is Status.SUCCEEDED, (self.machine.error, self.machine.cause)
        return self.machine.output

    @property
    def error(self) -> tuple[str | None, str | None]:
        assert self.machine.status is Status.FAILED
        return self.machine.error, self.machine.cause


def outcome(definition: dict[str, Any], given: Json = None) -> Json:
    """The output of a machine that needs nobody else."""
    return Run(definition, given).output


def names_of(facts: Sequence[f.Fact]) -> list[str]:
    return [type(fact).__name__ for fact in facts]
