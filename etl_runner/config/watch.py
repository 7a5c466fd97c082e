"""Noticing that files have changed, cheaply, and reading them again once they have come to rest."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

from etl_runner.config.configuration import Config
from etl_runner.config.files import find_files
from etl_runner.errors import ConfigError

Stamp: TypeAlias = tuple[tuple[str, int, int, int], ...]

_FIRST_TRIES = 5


class ConfigWatcher:
    """Looks at the files of a configuration whenever it is asked; one caller at a time.

    A change is read when two polls in a row have seen the same state of the files and reading them has not
    been overtaken by another change: editors and copies write in several steps, and the first half of a
    schedules file is a valid schedules file. The last good configuration is `current`.
    """

    def __init__(self, load: Callable[[], Config], config_dir: Path, workflows_dir: Path) -> None:
        self._load = load
        self._folders = (config_dir, workflows_dir)
        self._settled: Stamp | None = None
        self._pending: Stamp | None = None
        self._reported: str | None = None
        self.current: Config | None = None

    def first(self) -> Config:
        """Read the configuration for the first time. Raises ConfigError."""
        for _ in range(_FIRST_TRIES):
            before = self._stamp()
            self.current = self._load()
            self._settled = before
            if self._stamp() == before:
                break
        assert self.current is not None
        return self.current

    def poll(self) -> Config | ConfigError | None:
        """Look once: a new configuration, what is wrong with it (reported once), or None for no news.

        After an error the next good configuration is given even when it is the one before the error.
        """
        stamp = self._stamp()
        if stamp == self._settled:
            self._pending = None
            return None
        if stamp != self._pending:
            self._pending = stamp
            return None
        outcome = self._try()
        if self._stamp() != stamp:
            self._pending = None  # overtaken: what was read may be half of each
            return None
        self._settled, self._pending = stamp, None
        return self._news(outcome)

    def _news(self, outcome: Config | ConfigError) -> Config | ConfigError | None:
        if isinstance(outcome, ConfigError):
            repeated = self._reported == str(outcome)
            self._reported = str(outcome)
            return None if repeated else outcome
        same = self.current is not None and self.current.fingerprint == outcome.fingerprint
        recovered = self._reported is not None
        self.current, self._reported = outcome, None
        return outcome if recovered or not same else None

    def _try(self) -> Config | ConfigError:
        try:
            return self._load()
        except ConfigError as error:
            return error

    def _stamp(self) -> Stamp:
        """What the files look like from outside; the inode changes when one is renamed into place."""
        try:
            files, _ = find_files(*self._folders)
        except OSError:
            return ()
        found = []
        for file in files:
            try:
                status = file.path.stat()
            except OSError:
                continue
            found.append((file.shown, status.st_mtime_ns, status.st_size, status.st_ino))
        return tuple(found)
