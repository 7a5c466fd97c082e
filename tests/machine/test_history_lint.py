"""Each law of a history, broken once."""

import pytest

from etl_runner.machine import facts as f
from etl_runner.machine.history_lint import lint

START = f.ExecutionStarted(
    execution_arn="a", name="n", state_machine_arn="m", state_machine_name="m", input={}
)
ENTER = f.StateEntered(frame=0, state="S")
EXIT = f.StateExited(frame=0)
TASK = f.TaskScheduled(frame=0, token=1, arguments={})
DONE = f.TaskSucceeded(token=1, output=1)
END = f.ExecutionSucceeded()
GROUP = f.ParallelStarted(frame=0, branches=1, input={})
OPEN = f.FrameOpened(frame=1, parent=0, scope=1, index=0)
INNER = f.StateEntered(frame=1, state="T")
INNER_EXIT = f.StateExited(frame=1)
CLOSE = f.FrameSucceeded(frame=1)
GROUP_DONE = f.ParallelSucceeded(frame=0)
AGAIN = f.ExecutionRedriven(count=1)
LOST: list[f.Fact] = [
    *(START, ENTER, GROUP, OPEN, INNER, f.FrameFailed(frame=1)),
    *(f.ParallelFailed(frame=0), f.ExecutionFailed()),
]


def test_a_redriven_group_goes_on_with_what_it_had_lost() -> None:
    revived: list[f.Fact] = [AGAIN, f.GroupRedriven(frame=0), f.FrameRedriven(frame=1, parent=0)]

    assert lint([(1, [*LOST, *revived, INNER_EXIT, CLOSE, GROUP_DONE, EXIT, END])]) == []


def test_a_sound_history_has_no_fault() -> None:
    page: list[f.Fact] = [START, ENTER, TASK, DONE, EXIT, ENTER, GROUP, OPEN, INNER, INNER_EXIT, CLOSE]

    assert lint([(1, page), (1, [GROUP_DONE, EXIT]), (2, [END])]) == []


def test_a_history_that_has_not_ended_may_have_work_open() -> None:
    assert lint([(1, [START, ENTER, TASK])]) == []


def test_a_retried_group_begins_again() -> None:
    retry = f.RetryScheduled(frame=0, token=1, retrier=0, until_ms=5)
    failed = f.FrameFailed(frame=1)

    assert lint([(1, [START, ENTER, GROUP, OPEN, failed, retry, f.TimerFired(token=1), GROUP])]) == []


@pytest.mark.parametrize(
    ("facts", "fault"),
    [
        ([ENTER], "1: StateEntered is fact 1; ExecutionStarted is the first and no other"),
        ([START, START], "2: ExecutionStarted is fact 2; ExecutionStarted is the first and no other"),
        ([START, END, ENTER], "3: StateEntered comes after ExecutionSucceeded"),
        ([START, ENTER, TASK, DONE, TASK], "5: TaskScheduled opens token 1 a second time"),
        ([START, ENTER, TASK, DONE, DONE], "5: TaskSucceeded closes token 1, which is not open"),
        (
            [START, ENTER, TASK, f.TimerFired(token=1)],
            "4: TimerFired closes token 1, which TaskScheduled opened",
        ),
        ([START, TASK], "2: TaskScheduled opens token 1 in frame 0, which is in no state"),
        ([START, ENTER, GROUP, TASK], "4: TaskScheduled opens token 1 in frame 0, which has work open"),
        ([START, ENTER, TASK, EXIT], "4: StateExited is about frame 0, which has work open"),
        ([START, ENTER, TASK, GROUP], "4: ParallelStarted is about frame 0, which has work open"),
        ([START, ENTER, ENTER], "3: frame 0 enters 'S' while it is in 'S'"),
        ([START, EXIT], "2: StateExited is about frame 0, which is in no state"),
        ([START, ENTER, END], "3: ExecutionSucceeded comes while the execution is in the state 'S'"),
        (
            [START, ENTER, TASK, f.ExecutionFailed()],
            "4: ExecutionFailed leaves token 1 of frame 0 open (TaskScheduled)",
        ),
        ([START, ENTER, GROUP, OPEN, f.ExecutionFailed()], "5: ExecutionFailed leaves frame 1 open"),
        ([START, ENTER, GROUP, OPEN, CLOSE, OPEN], "6: FrameOpened opens frame 1 a second time"),
        ([START, ENTER, OPEN], "3: FrameOpened opens frame 1 below 0, which has no group open"),
        ([START, ENTER, GROUP, OPEN, CLOSE, INNER], "6: StateEntered is about frame 1, which is not alive"),
        (
            [START, ENTER, GROUP, OPEN, INNER, CLOSE],
            "6: FrameSucceeded closes frame 1, which is in the state 'T'",
        ),
        (
            [START, ENTER, GROUP, OPEN, GROUP_DONE],
            "5: ParallelSucceeded is about frame 0, which has work open",
        ),
        ([START, ENTER, GROUP_DONE], "3: ParallelSucceeded is about frame 0, which has no group open"),
        ([START, ENTER, GROUP, GROUP], "4: ParallelStarted opens a group in frame 0, which has one open"),
        (
            [START, ENTER, f.TaskSubmitted(token=3, output=1)],
            "3: TaskSubmitted is about token 3, which is no open task",
        ),
        ([START, AGAIN], "2: ExecutionRedriven comes after no end"),
        ([START, END, AGAIN], "3: ExecutionRedriven comes after ExecutionSucceeded"),
        (
            [*LOST, AGAIN, f.GroupRedriven(frame=0), f.FrameRedriven(frame=9, parent=0)],
            "11: FrameRedriven revives frame 9, which neither failed nor was aborted",
        ),
        (
            [*LOST, AGAIN, f.FrameRedriven(frame=1, parent=0)],
            "10: FrameRedriven revives frame 1 below 0, not its open group",
        ),
        (
            [START, ENTER, GROUP, f.GroupRedriven(frame=0)],
            "4: GroupRedriven is about frame 0, which has a group open",
        ),
        (
            [START, f.StateEvaluationFailed(frame=0, cause="c")],
            "2: StateEvaluationFailed is about frame 0, which is in no state",
        ),
        (
            [START, ENTER, f.MapRunRedriven(frame=0, token=2, run=1, plan={}, count=1), END],
            "4: ExecutionSucceeded leaves token 2 of frame 0 open (MapRunRedriven)",
        ),
        ([START, f.FrameAborted(frame=0)], "2: FrameAborted closes the execution's own frame"),
    ],
)
def test_a_broken_law_is_told_with_the_number_of_the_fact(facts: list[f.Fact], fault: str) -> None:
    assert lint([(1, facts)])[0] == fault


def test_time_does_not_go_back() -> None:
    assert lint([(2, [START]), (1, [ENTER])]) == ["1: a page of 1 ms follows one of 2 ms: time went back"]


def test_a_history_without_facts_is_none() -> None:
    assert lint([]) == ["0: a history without facts is no execution"]
