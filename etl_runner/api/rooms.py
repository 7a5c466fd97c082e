"""What the operations need of the running service, which is built above them."""

from collections.abc import Sequence
from typing import Protocol

from etl_runner.api.sfn.histories import Histories
from etl_runner.clock import Clock
from etl_runner.config.configuration import Config
from etl_runner.engine.engine import Engine
from etl_runner.engine.launch import Launch
from etl_runner.engine.state_machines import StateMachines
from etl_runner.errors import Fault
from etl_runner.machine.limits import Limits
from etl_runner.schedule.events import EventService
from etl_runner.schedule.service import ScheduleService
from etl_runner.store.store import Store
from etl_runner.tasks.contract import Invoker


class Tasks(Invoker, Protocol):
    """Who does the work of tasks, and what it says of a resource in a state machine made through the API."""

    def invokable(self, resource: str) -> str | None:
        """None when AWS would take the resource, else a sentence saying why not."""
        ...


class Rooms(Protocol):
    """The parts of one service; the daemon's Service has them."""

    @property
    def store(self) -> Store: ...  # noqa: D102 -- named by what they are

    @property
    def engine(self) -> Engine: ...  # noqa: D102 -- the same

    @property
    def state_machines(self) -> StateMachines: ...  # noqa: D102 -- the same

    @property
    def histories(self) -> Histories: ...  # noqa: D102 -- the same

    @property
    def launch(self) -> Launch: ...  # noqa: D102 -- the same

    @property
    def schedules(self) -> ScheduleService: ...  # noqa: D102 -- the same

    @property
    def events(self) -> EventService: ...  # noqa: D102 -- the same

    @property
    def router(self) -> Tasks: ...  # noqa: D102 -- the same

    @property
    def clock(self) -> Clock: ...  # noqa: D102 -- the same

    @property
    def limits(self) -> Limits: ...  # noqa: D102 -- the same

    @property
    def config(self) -> Config:
        """The configuration in force: the last good one."""
        ...

    @property
    def faults(self) -> Sequence[Fault]:
        """What is wrong with the files as they are now, when they were not taken over."""
        ...
