"""The workflows by name: which ARN they have and which definition a new execution begins with."""

from collections.abc import Iterable
from dataclasses import dataclass
from threading import Lock

from etl_runner.clock import Clock
from etl_runner.store.store import Store


@dataclass(frozen=True, slots=True, kw_only=True)
class Workflow:
    """One workflow as it stands now. `text` is its definition, `file` where it came from."""

    name: str
    arn: str
    definition_id: int
    text: str
    yaml: bool
    file: str


class Workflows:
    """All workflows; replaced as a whole when the configuration changes. Reads from any thread."""

    def __init__(self, store: Store, clock: Clock) -> None:
        self._store = store
        self._clock = clock
        self._lock = Lock()
        self._by_name: dict[str, Workflow] = {}

    def apply(self, definitions: Iterable[tuple[str, str, str, bool, str]]) -> None:
        """Take `(name, arn, text, yaml, file)` of all workflows. Running executions keep what they have.

        Raises StoreUnavailable; then nothing has changed.
        """
        now_ms = self._clock.now_ms()
        fresh = {
            name: Workflow(
                name=name,
                arn=arn,
                definition_id=self._store.put_definition(text, yaml=yaml, now_ms=now_ms),
                text=text,
                yaml=yaml,
                file=file,
            )
            for name, arn, text, yaml, file in definitions
        }
        with self._lock:
            self._by_name = fresh

    def get(self, name_or_arn: str) -> Workflow | None:
        """Find a workflow by its name or its state machine's ARN."""
        with self._lock:
            name = name_or_arn.rpartition(":")[2] if name_or_arn.startswith("arn:") else name_or_arn
            found = self._by_name.get(name)
        return found if found is None or name_or_arn in {found.name, found.arn} else None

    def all(self) -> list[Workflow]:
        """All workflows."""
        with self._lock:
            return list(self._by_name.values())

    def names(self) -> list[str]:
        """All names, sorted."""
        with self._lock:
            return sorted(self._by_name)
