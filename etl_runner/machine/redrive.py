"""Going on with an execution that ended without success: what had not succeeded starts again, nothing else.

A state starts again with the input it was entered with, its retriers' counts anew. A Parallel or inline Map
keeps the results of the branches and iterations that had succeeded and revives the others where they stood; a
Distributed Map takes up its map run. One whose results were too large starts from its beginning, as there is
nothing else that could come out better. Source: developer guide, "Restarting state machine executions with
redrive".
"""

from etl_runner.asl import model
from etl_runner.machine import facts as f
from etl_runner.machine.decision import RESTART, Decision
from etl_runner.machine.flow import DATA_LIMIT
from etl_runner.machine.groups import open_children
from etl_runner.machine.limits import AWS, Limits
from etl_runner.machine.state import ROOT, Frame, Group, Machine, OpenMapRun, Status


def redrive_refusal(machine: Machine, limits: Limits = AWS) -> str | None:
    """Why an execution cannot be redriven, in AWS's words where they are known; None when it can be."""
    if machine.status in {Status.RUNNING, Status.SUCCEEDED}:
        return f"Execution is {machine.status.value} and cannot be redriven"
    full = machine.events >= limits.most_events(express=machine.start.express) - 1
    if full or any(frame.state is None for frame in _ended(machine)):
        return "Execution event history limit exceeded"
    return None


def _ended(machine: Machine) -> list[Frame]:
    """The root and every frame that a redrive would revive."""
    found = [machine.frames[ROOT]]
    for frame in found:
        group = _group_of(frame)
        if group is not None:
            found.extend(group.lost.values())
    return found


def _group_of(frame: Frame) -> Group | None:
    group = frame.open or frame.left
    return group if isinstance(group, Group) else None


def redrive(decision: Decision) -> None:
    """Let an execution that has ended go on; nothing where `redrive_refusal` has something to say."""
    machine = decision.machine
    if redrive_refusal(machine, decision.limits) is not None:
        return
    too_large = machine.error == DATA_LIMIT
    seconds = decision.definition.timeout_seconds if machine.start.scope == ROOT else None
    seconds = decision.limits.execution_seconds(seconds, express=machine.start.express)
    decision.emit(
        f.ExecutionRedriven(
            count=machine.redrives + 1,
            deadline_ms=None if seconds is None else decision.now_ms + seconds * 1000,
            anew=too_large,
        )
    )
    decision.ready.append((ROOT, RESTART))


def resumed(decision: Decision, frame: Frame) -> bool:
    """Let a state that starts again go on from what its work had come to; False where nothing is left."""
    group = _group_of(frame)
    if group is not None and (group.lost or group.opened < group.size):
        if group is frame.left:
            decision.emit(f.GroupRedriven(frame=frame.id))
        open_children(decision, frame, group)
        return True
    state = decision.state_of(frame)
    left = frame.left
    if isinstance(left, OpenMapRun) and isinstance(state, model.MapState):
        decision.emit(
            f.MapRunRedriven(
                frame=frame.id,
                token=decision.machine.next_token,
                run=left.run,
                plan=left.plan,
                count=left.redrives + 1,
            )
        )
        return True
    return False
