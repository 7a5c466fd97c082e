"""Finding what a person names: workflows and executions, and what comes close when there is none."""

from collections.abc import Iterable
from difflib import get_close_matches
from typing import Final

from etl_runner.api import views
from etl_runner.api.rooms import Rooms
from etl_runner.errors import InvalidInput, NotFound
from etl_runner.store.reads import ExecutionQuery, ExecutionSummary, Reads

MOST_MADE: Final = 1_000
"""How many state machines of the API are listed with the workflows; ListStateMachines gives them in pages."""

_MOST_HINTED: Final = 20


class Finder:
    """Turns names into what they name, over one service."""

    def __init__(self, rooms: Rooms, reads: Reads) -> None:
        self._rooms = rooms
        self._reads = reads

    def machine(self, name_or_arn: str, *, running: bool = False) -> str:
        """The ARN of a workflow, given by name or ARN. Raises NotFound and InvalidInput.

        It may also be a state machine made through the API: by its name, or by its ARN, where it is to run
        also by that of a version or alias. Unless it is to run, one that is gone will do.
        """
        workflows = self._rooms.config.workflows
        for name, each in workflows.items():
            if name_or_arn in {name, each.arn}:
                return each.arn
        if not running:
            for arn in self._reads.machines():
                if name_or_arn in {arn, views.workflow_of(arn)}:
                    return arn
        machines = self._rooms.state_machines
        if name_or_arn.startswith("arn:"):
            found = machines.resolve(name_or_arn) if running else machines.find(name_or_arn)
            made = [] if found is None else [name_or_arn]
        else:
            made = machines.named(name_or_arn)
        if len(made) > 1:
            raise InvalidInput(f"several state machines are named {name_or_arn!r}: say {' or '.join(made)}")
        if made:
            return made[0]
        known = {*workflows, *(each.machine.name for each in machines.made(limit=MOST_MADE))}
        raise NotFound(f"there is no workflow {name_or_arn!r}; {hint(name_or_arn, known)}")

    def map_run(self, arn: str) -> int:
        """The id of a map run. Raises NotFound."""
        found = self._reads.map_run(arn)
        if found is None:
            raise NotFound(f"there is no map run {arn!r}; `executions show` lists those of an execution")
        return found.id

    def execution(self, execution: str) -> ExecutionSummary:
        """An execution by ARN, WORKFLOW/NAME or unique name. Raises NotFound and InvalidInput."""
        if execution.startswith("arn:"):
            found = [row for row in [self._reads.by_arn(execution)] if row is not None]
        elif "/" in execution:
            workflow, _, name = execution.rpartition("/")
            rows = self._reads.named(name, [self.machine(workflow.partition("/")[0])])
            found = [row for row in rows if views.workflow_of(row.state_machine_arn).startswith(workflow)]
        else:
            found = self._reads.named(execution, self._reads.machines())
        if len(found) > 1:
            all_of = " and ".join(f"{views.workflow_of(row.state_machine_arn)}/{row.name}" for row in found)
            raise InvalidInput(f"several executions are named {execution!r}: say {all_of}")
        if not found:
            raise NotFound(f"there is no execution {execution!r}; {self._near(execution)}")
        return found[0]

    def _near(self, execution: str) -> str:
        machine = execution.rpartition("/")[0]
        if ":express:" in execution or self._is_express(machine):
            return (
                "nothing is kept of Express executions; a loggingConfiguration of the state machine sends "
                "what happens in them to CloudWatch Logs"
            )
        recent = {row.name for row in self._reads.executions(ExecutionQuery(), limit=200).rows}
        close = get_close_matches(execution.rpartition(":")[2].rpartition("/")[2], recent, n=3)
        if close:
            return f"did you mean {' or '.join(close)}?"
        if execution in self._rooms.config.workflows or self._rooms.state_machines.named(execution):
            return f"it is a workflow; `etl-runner executions list --workflow {execution}` shows its runs"
        return "`etl-runner executions list` shows those there are"

    def _is_express(self, name: str) -> bool:
        machines = self._rooms.state_machines
        found = [machines.find(arn) for arn in machines.named(name)]
        return any(each is not None and each.machine.type == "EXPRESS" for each in found)


def hint(name: str, known: Iterable[str]) -> str:
    """What comes close to a name, or all there are."""
    known = sorted(known)
    close = get_close_matches(name, known, n=3)
    if close:
        return f"did you mean {' or '.join(close)}?"
    more = f" and {len(known) - _MOST_HINTED:,} more" if len(known) > _MOST_HINTED else ""
    return f"there are: {', '.join(known[:_MOST_HINTED]) or 'none'}{more}"
