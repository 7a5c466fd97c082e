"""Random machines under a shell that reorders, doubles, delays and forgets answers."""

import random
from typing import get_args

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from etl_runner.machine import decide as decide_module
from etl_runner.machine import facts as f
from etl_runner.machine import stimuli as s
from etl_runner.machine.decision import Decision
from etl_runner.machine.history_lint import lint
from etl_runner.machine.redrive import redrive_refusal
from etl_runner.machine.state import Frame, Machine, OpenMapRun, OpenTask, OpenTimer, Status
from tests.machine.builders import ERRORS, INPUT, MachineBuilder
from tests.machine.shell import PASS, TASK, Run, scope, single

_SETTINGS = settings(
    max_examples=150, deadline=None, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)
_SEEDS = st.integers(0, 2**64)


def random_run(seed: int, *, checked: bool) -> Run:
    return Run(MachineBuilder(random.Random(seed)).machine(), INPUT, seed=seed, checked=checked)


class Adversary:
    """Answers what is open, late or twice or never, in an order of its own, while the clock moves on."""

    def __init__(self, run: Run, seed: int) -> None:
        self.run = run
        self.rng = random.Random(seed)
        self.said: list[s.Stimulus] = []
        run.tired = lambda: self.rng.random() < 0.1

    def play(self, steps: int) -> None:
        for _ in range(steps):
            if self.run.status is Status.RUNNING:
                self.step()
            elif not self.redrive():
                break
        for stimulus in self.said:
            if self.run.status is not Status.RUNNING:
                assert self.run.decide(stimulus) == []
        self.run.tired = None

    def step(self) -> None:
        rng, run = self.rng, self.run
        move = rng.random()
        if move < 0.5 and run.machine.open_work():
            self.say(self.answer(rng.choice(run.machine.open_work())[1]))
        elif move < 0.65 and self.said:
            run.decide(rng.choice(self.said))
        elif move < 0.75:
            run.now_ms += rng.choice([1, 500, 5000])
            self.wake()
        elif move < 0.99:
            run.now_ms = max(run.now_ms, run.machine.wake_at_ms() or run.now_ms)
            self.wake()
        else:
            self.say(s.Stop(error="Stopped"))

    def redrive(self) -> bool:
        """Let what ended without success go on, two times in three."""
        refused = redrive_refusal(self.run.machine) is not None
        made = self.run.decide(s.Redrive()) if self.rng.random() < 0.67 else []
        assert not (refused and made)
        return bool(made)

    def wake(self) -> None:
        self.run.decide(s.Wake())
        due = self.run.machine.wake_at_ms()
        assert due is None or due > self.run.now_ms or self.paused()

    def paused(self) -> bool:
        works = [frame.open for frame in self.run.machine.frames.values()]
        return any(isinstance(work, OpenTimer) and work.paused for work in works)

    def say(self, stimulus: s.Stimulus) -> None:
        self.said.append(stimulus)
        self.run.decide(stimulus)

    def answer(self, work: OpenTask | OpenMapRun) -> s.Stimulus:
        if isinstance(work, OpenMapRun):
            output: list[s.Stimulus] = [s.MapRunSuccess(token=work.token, output=[1])]
            return self.rng.choice([*output, s.MapRunFailure(token=work.token, error="A", cause="why")])
        if work.awaits_worker and self.rng.random() < 0.8:
            return s.ActivityFetch(token=work.token, worker="w")
        answers: list[s.Stimulus] = [
            s.TaskSuccess(token=work.token, output=self.rng.choice([None, {"a": 1}, [1, 2]])),
            s.TaskFailure(token=work.token, error=self.rng.choice(ERRORS), cause="why"),
            s.TaskSubmission(token=work.token, output={}),
            s.HeartbeatLoss(token=work.token),
        ]
        return self.rng.choices(answers, weights=[6, 3, 1, 1])[0]


@_SETTINGS
@given(seed=_SEEDS)
def test_every_law_holds_after_every_decision(seed: int) -> None:
    run = random_run(seed, checked=True)

    Adversary(run, seed).play(40)

    if run.status is Status.RUNNING:
        assert run.machine.tokens
    else:
        assert run.machine.tokens == {}
        assert run.machine.wake_at_ms() is None


@_SETTINGS
@given(seed=_SEEDS)
def test_a_shell_that_answers_everything_brings_every_machine_to_its_end(seed: int) -> None:
    run = random_run(seed, checked=False)
    for _ in range(500):
        if run.status is not Status.RUNNING:
            break
        work = run.machine.open_work()
        if work and isinstance(work[0][1], OpenMapRun):
            run.decide(s.MapRunSuccess(token=work[0][1].token, output=[1]))
        elif work:
            run.decide(s.TaskSuccess(token=work[0][1].token, output=[1]))
        else:
            run.wake()

    assert run.status is not Status.RUNNING
    run.check_now()


@_SETTINGS
@given(seed=_SEEDS)
def test_the_same_story_told_twice_gives_the_same_facts(seed: int) -> None:
    told = []
    for _ in range(2):
        run = random_run(seed, checked=False)
        Adversary(run, seed).play(15)
        told.append(run.pages)

    assert told[0] == told[1]


@_SETTINGS
@given(seed=_SEEDS)
def test_a_machine_that_is_reloaded_after_every_turn_goes_on_as_if_it_had_not_been(seed: int) -> None:
    told = []
    for reloaded in (False, True):
        run = random_run(seed, checked=False)
        run.reloaded = reloaded
        Adversary(run, seed).play(25)
        told.append((run.events(), run.machine))

    assert told[0] == told[1]


def test_the_stories_have_every_kind_of_fact_that_they_can_have() -> None:
    told: set[type[f.Fact]] = set()
    for seed in range(250):
        run = random_run(seed, checked=False)
        Adversary(run, seed).play(40)
        told |= {type(fact) for fact in run.facts()}

    assert told == set(get_args(f.Fact)) - {f.MapRunRefused}


def _holder_of_any_frame(
    decision: Decision, token: f.Token, kind: type[OpenTask | OpenMapRun]
) -> Frame | None:
    """`_holder` without its check: whoever answers is believed, and some open frame takes the answer."""
    del token
    return next((x for x in decision.machine.frames.values() if isinstance(x.open, kind)), None)


def _late_answer() -> list[tuple[int, list[f.Fact]]]:
    """A task times out, is retried, and then its first attempt answers after all."""
    run = Run(single(TASK | {"TimeoutSeconds": 2, "Retry": [{"ErrorEquals": ["States.ALL"]}]}), checked=False)
    first = run.task()[1].token
    run.wake()
    run.wake()
    made = decide_module.decide(
        run.definition, run.machine, s.TaskSuccess(token=first, output=1), run.now_ms, run.rng
    )
    return [*run.pages, (run.now_ms, made)]


def test_without_the_token_check_a_late_answer_would_break_the_history(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    assert lint(_late_answer()) == []

    monkeypatch.setattr(decide_module, "_holder", _holder_of_any_frame)
    with pytest.raises(KeyError):  # evolve itself refuses a token that is not open
        _late_answer()


def test_without_the_token_check_and_with_a_lenient_fold_the_lint_would_tell(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(decide_module, "_holder", _holder_of_any_frame)
    monkeypatch.setattr("etl_runner.machine.state._close", _close_leniently)

    assert any("closes token 1, which is not open" in fault for fault in lint(_late_answer()))


def _close_leniently(machine: Machine, token: f.Token) -> Frame:
    frame = machine.frames[machine.tokens.pop(token, 0)]
    frame.open = None
    return frame


def test_a_branch_that_was_aborted_while_it_stood_in_the_queue_is_not_entered() -> None:
    fail = {"Type": "Fail", "Error": "E"}
    group = {"Type": "Parallel", "Branches": [scope("A", fail), scope("B", PASS)], "End": True}

    run = Run(single(group))

    assert run.error[0] == "E"
    assert "PassStateEntered" not in run.types()
