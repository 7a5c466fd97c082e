"""An AWS history in the making: the fold of the facts so far, and which event the next one follows."""

from etl_runner.asl import model
from etl_runner.machine import facts as f
from etl_runner.machine.aws_events import STATE_TYPES, Details, HistoryEvent, TaskShape, data
from etl_runner.machine.state import ROOT, Frame, Group, Machine


class Projection:
    """The fold of the facts so far, and for each frame the event that its next one follows.

    `after` is what a group's ...Succeeded follows, once a child has succeeded. `struck` is the event at which
    a failure arose, while what it takes along is being closed. `before` is what a frame's ...StateEntered
    followed, while nothing has followed that. `as_given` is the start input's own text, while the execution's
    data is still that input.
    """

    def __init__(
        self, definition: model.StateMachine, machine: Machine, region: str, *, include_data: bool
    ) -> None:
        self.definition = definition
        self.machine = machine
        self.region = region
        self.include_data = include_data
        self.count = 0
        self.at_ms = 0
        self.heads: dict[f.FrameId, int] = {ROOT: 0}
        self.after: dict[f.FrameId, int] = {}
        self.before: dict[f.FrameId, int] = {}
        self.struck: int | None = None
        self.as_given = machine.start.input_text
        self.made: list[HistoryEvent] = []

    def begun(self, at_ms: int) -> HistoryEvent:
        """Give the event that every history begins with."""
        start = self.machine.start
        self.at_ms = at_ms
        details = {
            **data("input", start.input, include=self.include_data, text=start.input_text),
            "roleArn": start.role_arn,
        }
        if start.state_machine_alias_arn is not None:
            details["stateMachineAliasArn"] = start.state_machine_alias_arn
        if start.state_machine_version_arn is not None:
            details["stateMachineVersionArn"] = start.state_machine_version_arn
        self.event("ExecutionStarted", 0, "executionStarted", details)
        return self.made.pop()

    def event(self, kind: str, previous: int, key: str = "", details: Details | None = None) -> int:
        """Write an event; gives its id."""
        self.count += 1
        made: HistoryEvent = {
            "id": self.count,
            "previousEventId": previous,
            "timestamp": self.at_ms,
            "type": kind,
        }
        if key:
            made[f"{key}EventDetails"] = details or {}
        self.made.append(made)
        return self.count

    def chain(self, frame_id: f.FrameId, kind: str, key: str = "", details: Details | None = None) -> None:
        """Write an event that the frame's next one follows."""
        self.before.pop(frame_id, None)
        self.heads[frame_id] = self.event(kind, self.heads[frame_id], key, details)

    def holder(self, token: f.Token) -> Frame:
        """Give the frame that a token was opened for."""
        return self.machine.frames[self.machine.tokens[token]]

    def state(self, frame: Frame) -> model.State:
        """Give the state that a frame is in."""
        assert frame.state is not None
        return self.definition.scopes[frame.scope].states[frame.state]

    def state_type(self, frame: Frame) -> str:
        """Give its type as events name it."""
        return STATE_TYPES[type(self.state(frame))]

    def task_shape(self, frame: Frame) -> TaskShape:
        """Tell how the events of the task of a frame look."""
        state = self.state(frame)
        assert isinstance(state, model.TaskState)
        return TaskShape.of(state.resource)

    def iteration(self, frame: Frame) -> Details | None:
        """The details of a MapIteration... event of a frame; None when it is a branch of a Parallel."""
        assert frame.parent is not None
        parent = self.machine.frames[frame.parent]
        assert isinstance(parent.open, Group)
        return None if parent.open.items is None else {"name": parent.state, "index": frame.index}
