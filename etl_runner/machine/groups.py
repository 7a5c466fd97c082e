"""Branches of a Parallel and iterations of an inline Map: opening them, and what follows when one ends."""

from msgspec import UNSET, UnsetType

from etl_runner.asl import model
from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json
from etl_runner.machine import facts as f
from etl_runner.machine.decision import RESTART, Decision
from etl_runner.machine.failure import fail_evaluation
from etl_runner.machine.flow import effective_input, finish_work
from etl_runner.machine.state import Frame, Group


def finish_frame(decision: Decision, frame: Frame) -> None:
    """A scope came to its end: the execution succeeded, or a branch or iteration did."""
    if frame.parent is None:
        decision.emit(f.ExecutionSucceeded())
        return
    parent = decision.machine.frames[frame.parent]
    decision.emit(f.FrameSucceeded(frame=frame.id))
    group = parent.open
    assert isinstance(group, Group)
    if group.succeeded < group.size:
        try:
            open_children(decision, parent, group)
        except StatesError as error:
            fail_evaluation(decision, parent, error)
        return
    results = group.results
    if group.items is None:
        decision.emit(f.ParallelSucceeded(frame=parent.id))
    else:
        decision.emit(f.MapSucceeded(frame=parent.id))
    state = decision.state_of(parent)
    assert isinstance(state, model.ParallelState | model.MapState)
    guarded_finish(decision, parent, state, results)


def guarded_finish(decision: Decision, frame: Frame, state: model.WorkState, result: Json) -> None:
    """`finish_work`, with an error on the way out treated as the state's own."""
    try:
        finish_work(decision, frame, state, result)
    except StatesError as error:
        fail_evaluation(decision, frame, error)


def open_children(decision: Decision, parent: Frame, group: Group) -> None:
    """Open as many further branches or iterations as the group's concurrency allows.

    Those that a redrive is to revive come first.
    """
    state = decision.state_of(parent)
    while len(group.children) < group.concurrency:
        if group.lost:
            child = group.lost[min(group.lost)]
            decision.emit(f.FrameRedriven(frame=child.id, parent=parent.id))
            decision.ready.append((child.id, RESTART))
            continue
        index = group.opened
        if index >= group.size:
            return
        given: Json | UnsetType = UNSET
        if isinstance(state, model.ParallelState):
            scope = state.branches[index]
        else:
            assert isinstance(state, model.MapState)
            scope = state.processor
            if state.item_selector is not None:
                given = _selected_item(decision, parent, state, index)
        frame_id = decision.machine.next_frame
        decision.emit(f.FrameOpened(frame=frame_id, parent=parent.id, scope=scope, index=index, input=given))
        decision.enter_scope(decision.machine.frames[frame_id])


def _selected_item(decision: Decision, parent: Frame, state: model.MapState, index: int) -> Json:
    group = parent.open
    assert isinstance(group, Group)
    assert group.items is not None
    assert state.item_selector is not None
    data = effective_input(decision, parent, state)
    return state.item_selector.evaluate(decision.env(parent, data, item=(index, group.items[index])))
