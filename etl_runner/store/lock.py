"""One process, one store file: two engines over one SQLite file would both hand out the same tasks."""

import fcntl
import os
from pathlib import Path

from etl_runner.errors import StoreUnavailable


class StoreLock:
    """An advisory lock on `FILE.lock`. The system lets go of it when the process ends, however it ends."""

    def __init__(self, store: Path) -> None:
        """Take the lock. Raises StoreUnavailable naming the process that has it."""
        self._path = store.with_name(store.name + ".lock")
        try:
            self._handle = self._path.open("a+")
        except OSError as error:
            raise StoreUnavailable(
                f"the store {store} cannot be used ({error.strerror}); check that its folder exists and that "
                "the service's user may write there"
            ) from error
        try:
            fcntl.flock(self._handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError as error:
            self._handle.seek(0)
            holder = self._handle.read().strip() or "unknown"
            self._handle.close()
            raise StoreUnavailable(
                f"the store {store} is in use by another etl-runner (process {holder}); stop that one, or "
                "give this one a store of its own"
            ) from error
        self._handle.truncate(0)
        self._handle.write(str(os.getpid()))
        self._handle.flush()

    def release(self) -> None:
        """Let go."""
        self._handle.close()
