"""The door for starting workflows by name: what the API, the schedules and the event rules go through."""

from collections.abc import Iterable
from concurrent.futures import Future
from typing import Final

from etl_runner.engine.engine import Engine
from etl_runner.engine.knocks import LedgerEntry, Started, StartRequest
from etl_runner.engine.machine_shapes import Target, of_file, target_of
from etl_runner.engine.state_machines import StateMachines
from etl_runner.engine.workflows import Workflows
from etl_runner.errors import InvalidInput, NotFound
from etl_runner.jsontypes import Json, dumps
from etl_runner.machine.limits import AWS, Limits
from etl_runner.store.unit import Row

NAME_LIMIT: Final = 80
_FORBIDDEN: Final = frozenset(' \t\r\n<>{}[]?*"#%\\^|~`$&,;:/')


class Launch:
    """Checks what was asked for and hands it to the engine."""

    def __init__(
        self,
        engine: Engine,
        workflows: Workflows,
        machines: StateMachines | None = None,
        *,
        limits: Limits = AWS,
    ) -> None:
        """`machines` are those that ARNs may name too, with the versions and aliases of each."""
        self._engine = engine
        self._workflows = workflows
        self._machines = machines
        self._limits = limits

    def _target(self, name_or_arn: str) -> Target:
        """Find what to start. Raises NotFound, naming the workflows there are, and InvalidInput."""
        found = self._workflows.get(name_or_arn)
        arn = name_or_arn if found is None else found.arn
        target = None if self._machines is None or not arn.startswith("arn:") else self._machines.resolve(arn)
        if target is None and found is not None:
            target = target_of(of_file(found, 0))
        if target is None:
            names = ", ".join(self._workflows.names()) or "none"
            raise NotFound(f"there is no workflow {name_or_arn!r}; there are: {names}")
        if target.express:
            raise InvalidInput(
                f"{arn} is Express, of which nothing is kept to tell that it was started; start it through "
                "the Step Functions API or from a workflow (states:startExecution), or make it STANDARD"
            )
        return target

    def launch(
        self,
        *,
        workflow: str,
        name: str,
        input: Json,  # noqa: A002 -- StartExecution's own word
        origin: str,
        tick: Row | None = None,
        event_match: Row | None = None,
    ) -> Future[Started]:
        """Start an execution; the future is resolved after the commit (Conflict when the name is taken).

        `workflow` is the name of one, or the ARN of a state machine, a version or an alias. Raises NotFound
        (there is none) and InvalidInput (name or input against AWS's rules, or an Express state machine).
        """
        target = self._target(workflow)
        check_name(name)
        size = len(dumps(input))
        most = self._limits.payload_bytes
        if size > most:
            raise InvalidInput(
                f"the input has {size:,} bytes as JSON, {most:,} are allowed; put the data in S3 and pass "
                "its bucket and key"
            )
        return self._engine.start(
            StartRequest(
                state_machine_arn=target.arn,
                state_machine_name=target.name,
                state_machine_version_arn=target.version_arn,
                state_machine_alias_arn=target.alias_arn,
                definition_id=target.definition_id,
                role_arn=target.role_arn,
                logging=target.logging,
                name=name,
                input=input,
                origin=origin,
                tick=tick,
                event_match=event_match,
            )
        )

    def record(
        self,
        *,
        ticks: Iterable[Row] = (),
        event_matches: Iterable[Row] = (),
        schedule_states: Iterable[Row] = (),
    ) -> Future[bool]:
        """Commit ledger rows with the engine's next turn."""
        return self._engine.record(
            LedgerEntry(
                ticks=tuple(ticks),
                event_matches=tuple(event_matches),
                schedule_states=tuple(schedule_states),
            )
        )


def check_name(name: str) -> None:
    """Hold an execution's name against AWS's rule (StartExecution, `name`). Raises InvalidInput."""
    bad = sorted({char for char in name if char in _FORBIDDEN or ord(char) < 32 or 127 <= ord(char) <= 159})
    if not 1 <= len(name) <= NAME_LIMIT or bad:
        found = f"has the characters {''.join(bad)!r}" if bad else f"has {len(name)} characters"
        raise InvalidInput(
            f"the execution name {name!r} {found}; it must have 1 to {NAME_LIMIT}, without white space, "
            "brackets, quotes, wildcards or any of # % \\ ^ | ~ ` $ & , ; : /"
        )
