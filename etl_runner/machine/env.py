"""What a state's expressions can see: their input, the context object, and a source of randomness."""

import random
from collections.abc import Mapping

from msgspec import UNSET, UnsetType

from etl_runner.asl import model
from etl_runner.clock import to_iso
from etl_runner.jsontypes import Json
from etl_runner.machine.map_plan import MapItem, item_context
from etl_runner.machine.state import Frame, Machine, visible_variables


class StateEnv:
    """The Env of asl/dataflow.py for one state of one frame. The context object is built when first asked.

    `item` is (index, value) while a Map selects its items; `task_token` is that of the task being handed out,
    when someone else is to answer it. `result` and `error_output` are `$states.result` and
    `$states.errorOutput`, where they exist.
    """

    __slots__ = (
        "_context",
        "_frame",
        "_item",
        "_machine",
        "_state",
        "_task_token",
        "_variables",
        "error_output",
        "input",
        "now_ms",
        "result",
        "rng",
    )

    def __init__(  # noqa: PLR0913 -- called in one place, Decision.env, by name
        self,
        machine: Machine,
        frame: Frame,
        state: model.State,
        data: Json,
        rng: random.Random,
        *,
        now_ms: int = 0,
        item: tuple[int, Json] | None = None,
        task_token: str | None = None,
        result: Json | UnsetType = UNSET,
        error_output: Json | UnsetType = UNSET,
    ) -> None:
        self._machine = machine
        self._frame = frame
        self._state = state
        self._item = item
        self._task_token = task_token
        self._context: Json = None
        self._variables: Mapping[str, Json] | None = None
        self.input = data
        self.rng = rng
        self.now_ms = now_ms
        self.result = result
        self.error_output = error_output

    @property
    def variables(self) -> Mapping[str, Json]:
        """The variables that the state can read. None gets another value before the state is left."""
        if self._variables is None:
            self._variables = visible_variables(self._machine, self._frame)
        return self._variables

    @property
    def states(self) -> Mapping[str, Json]:
        """JSONata's `$states`, without "context"."""
        found = {"input": self._frame.data}
        if self.result is not UNSET:
            found["result"] = self.result
        if self.error_output is not UNSET:
            found["errorOutput"] = self.error_output
        return found

    @property
    def context(self) -> Json:
        """The context object. Source: Step Functions developer guide, "Accessing execution data"."""
        if self._context is None:
            context = context_object(self._machine, self._frame, self._state, self._item)
            if self._task_token is not None:
                context["Task"] = {"Token": self._task_token}
            self._context = context
        return self._context


def context_object(
    machine: Machine, frame: Frame, state: model.State, item: tuple[int, Json] | None = None
) -> dict[str, Json]:
    """Build the context object of a frame's state; `item` is (index, value) while a Map selects its items."""
    start = machine.start
    context: dict[str, Json] = {
        "Execution": {
            "Id": start.execution_arn,
            "Input": start.input,
            "StartTime": to_iso(machine.started_ms),
            "Name": start.name,
            "RoleArn": start.role_arn,
            "RedriveCount": machine.redrives,
        },
        "StateMachine": {"Id": start.state_machine_arn, "Name": start.state_machine_name},
    }
    if machine.redriven_ms is not None:
        context["Execution"]["RedriveTime"] = to_iso(machine.redriven_ms)
    if frame.state is not None:
        context["State"] = {"Name": frame.state, "EnteredTime": to_iso(frame.entered_ms)}
        if isinstance(state, model.WorkState):
            context["State"]["RetryCount"] = frame.attempt - 1
    found = item or _enclosing_item(machine, frame)
    if found is not None:
        context["Map"] = {"Item": item_context(MapItem(*found))}
    return context


def _enclosing_item(machine: Machine, frame: Frame) -> tuple[int, Json] | None:
    """The item of the nearest Map around a frame."""
    at: Frame | None = frame
    while at is not None:
        if at.item is not UNSET:
            return at.index, at.item
        at = None if at.parent is None else machine.frames[at.parent]
    return None
