"""A whole machine, or a path through it, run offline: mocks answer, waits pass at once, nothing is kept."""

import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from msgspec import UNSET

from etl_runner.asl import model
from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json
from etl_runner.machine import stimuli as s
from etl_runner.machine.decide import decide, start
from etl_runner.machine.limits import AWS, Limits
from etl_runner.machine.map_plan import Child, MapItem, batched, select_item
from etl_runner.machine.state import Frame, Machine, OpenMapRun, OpenTask, Status
from etl_runner.offline.answers import Mocks, Returned, Unmocked
from etl_runner.offline.coverage import Coverage
from etl_runner.offline.prepare import prepare
from etl_runner.offline.story import Step, Story

BEGINNING_MS: Final = 1_767_225_600_000
"""2026-01-01T00:00:00Z: where virtual time begins, so that every run is the same."""

THRESHOLD: Final = "States.ExceedToleratedFailureThreshold"
_ARN: Final = "arn:aws:states:us-east-1:123456789012:{}:offline"


@dataclass(slots=True, kw_only=True)
class Ran:
    """What became of a run. `output` is a one-tuple where there is one.

    `stopped` says why it came to no end: work that no mock answers. `status` is "" then.
    """

    status: str = ""
    stopped: str = ""
    output: tuple[Json] | None = None
    error: str | None = None
    cause: str | None = None
    took_ms: int = 0
    steps: list[Step] = field(default_factory=list)
    coverage: Coverage = field(default_factory=Coverage)


def run(
    machine: model.StateMachine,
    given: Json,
    mocks: Mocks,
    *,
    first: str | None = None,
    last: str | None = None,
    seed: int = 0,
    limits: Limits = AWS,
) -> Ran:
    """Run a machine to its end, from the state `first` to the state `last` where they are given.

    Raises NotFound and InvalidInput for states that make no path.
    """
    offline = _Offline(machine, mocks, limits, seed)
    definition, scope = prepare(machine, mocks=mocks, chosen=offline.chosen, first=first, last=last)
    offline.definition = definition
    try:
        ended = offline.execution(given, scope, depth=0, index=None)
    except Unmocked as missing:
        return Ran(
            stopped=str(missing),
            took_ms=offline.now_ms - BEGINNING_MS,
            steps=offline.steps,
            coverage=offline.coverage,
        )
    return Ran(
        status=ended.status.value,
        output=None if ended.output is UNSET else (ended.output,),
        error=ended.error,
        cause=ended.cause,
        took_ms=offline.now_ms - BEGINNING_MS,
        steps=offline.steps,
        coverage=offline.coverage,
    )


class _Offline:
    """The world of one run: virtual time, the mocks, and what was seen."""

    def __init__(self, machine: model.StateMachine, mocks: Mocks, limits: Limits, seed: int) -> None:
        self.definition = machine
        self.now_ms = BEGINNING_MS
        self.steps: list[Step] = []
        self.coverage = Coverage()
        self._states = {name: state for scope in machine.scopes for name, state in scope.states.items()}
        self._mocks = mocks
        self._limits = limits
        self._rng = random.Random(seed)  # noqa: S311 -- the same draws in every run
        self._chosen: dict[str, int] = {}

    def chosen(self, state: str, place: int) -> None:
        """Take note of a choice rule that held."""
        self._chosen[state] = place

    def take_chosen(self, state: str) -> int | None:
        """The place of the rule that held in a Choice, once."""
        return self._chosen.pop(state, None)

    def state_of(self, name: str) -> model.State | None:
        """The state of a name; None for what stands at the end of a path."""
        return self._states.get(name)

    def execution(self, given: Json, scope: int, *, depth: int, index: int | None) -> Machine:
        """Run one execution, the machine's own or a child of a Distributed Map, to its end."""
        stimulus = s.Start(
            execution_arn=_ARN.format("execution") + ":run",
            name="run",
            state_machine_arn=_ARN.format("stateMachine"),
            state_machine_name="offline",
            input=given,
            scope=scope,
            item_index=index,
        )
        machine, facts = start(self.definition, stimulus, self.now_ms, self._rng, self._limits)
        story = Story(self, depth)
        story.tell(facts)
        while machine.status is Status.RUNNING:
            story.tell(
                decide(
                    self.definition, machine, self._next(machine, depth), self.now_ms, self._rng, self._limits
                )
            )
        return machine

    def _next(self, machine: Machine, depth: int) -> s.Stimulus:
        """What knocks next: an answer, or the time of the next timer."""
        for frame, work in machine.open_work():
            within = depth + _branches_around(machine, frame)
            if isinstance(work, OpenTask):
                return self._answer(frame, work, within)
            return self._map_run(frame, work, within)
        due = machine.wake_at_ms()
        assert due is not None, "a machine that runs waits for work or for time"
        self.now_ms = max(self.now_ms, due)
        return s.Wake()

    def _answer(self, frame: Frame, task: OpenTask, depth: int) -> s.Stimulus:
        assert frame.state is not None
        answer = self._mocks.answer(frame.state, task.arguments)
        if isinstance(answer, Returned):
            self.step(depth, frame.state, "answered", answer.output)
            return s.TaskSuccess(token=task.token, output=answer.output)
        self.step(depth, frame.state, "failed", {"Error": answer.error, "Cause": answer.cause})
        return s.TaskFailure(token=task.token, error=answer.error, cause=answer.cause)

    def step(self, depth: int, state: str, what: str, detail: Json = None) -> None:
        """Note a step."""
        at_ms = self.now_ms - BEGINNING_MS
        self.steps.append(Step(at_ms=at_ms, depth=depth, state=state, what=what, detail=detail))

    # --- Distributed Map ----------------------------------------------------------------------------------

    def _map_run(self, frame: Frame, work: OpenMapRun, depth: int) -> s.Stimulus:
        assert frame.state is not None
        state, plan = self._states[frame.state], work.plan
        assert isinstance(state, model.MapState)
        if "reader" in plan:
            raise Unmocked(
                f"the ItemReader of the state {state.name!r} would read; mock the state as a whole"
            )
        try:
            inputs = list(self._inputs(state, plan))
        except StatesError as error:
            return s.MapRunFailure(token=work.token, error=error.error, cause=error.cause)
        children = [
            self.execution(each.input, state.processor, depth=depth + 1, index=index)
            for index, each in enumerate(inputs)
        ]
        failed = sum(
            each.items
            for each, child in zip(inputs, children, strict=True)
            if child.status is not Status.SUCCEEDED
        )
        if _too_many(failed, sum(each.items for each in inputs), plan["tolerated"]):
            cause = "The specified tolerated failure threshold was exceeded"
            return s.MapRunFailure(token=work.token, error=THRESHOLD, cause=cause)
        outputs = [child.output for child in children if child.output is not UNSET]
        if plan.get("writer", {}).get("resource"):
            place = plan["writer"]["parameters"]
            details = {
                "Bucket": place.get("Bucket"),
                "Key": f"{place.get('Prefix', '')}/offline/manifest.json",
            }
            return s.MapRunSuccess(
                token=work.token, output={"MapRunArn": _ARN.format("mapRun"), "ResultWriterDetails": details}
            )
        return s.MapRunSuccess(token=work.token, output=outputs)

    def _inputs(self, state: model.MapState, plan: Json) -> Iterator[Child]:
        items = plan["items"]
        pairs: list[MapItem] = (
            [MapItem(number, value, key) for number, (key, value) in enumerate(items.items())]
            if isinstance(items, dict)
            else [MapItem(number, value) for number, value in enumerate(items)]
        )
        selected = [select_item(state, plan, item, self._rng) for item in pairs]
        return batched(plan, selected)


def _too_many(failed: int, total: int, tolerated: Json) -> bool:
    """Whether so many failed items fail the map run. A bound not set does not count beside one that is."""
    count, percentage = tolerated.get("count"), tolerated.get("percentage", 0)
    if not failed:
        return False
    if count is not None and failed > count:
        return True
    if percentage or count is None:
        return bool(failed * 100 > percentage * total)
    return False


def _branches_around(machine: Machine, frame: Frame) -> int:
    """How many branches and iterations a frame is inside of."""
    count = 0
    while frame.parent is not None:
        frame = machine.frames[frame.parent]
        count += 1
    return count
