"""How the process is asked to end."""

import os
import signal
from queue import SimpleQueue

import structlog

_log = structlog.get_logger("service")


class Ending:
    """Ctrl-C and SIGTERM: the first asks for the drain, the second ends the process at once.

    For the main thread. What is committed stays so however the process ends; what ran is handed out again.
    """

    def __init__(self) -> None:
        # The one queue whose `put` a signal handler may call in the midst of the `get` that it interrupts.
        self._news: SimpleQueue[None] = SimpleQueue()
        self.asked = False

    def watch(self) -> None:
        """Take the signals over, for the rest of the process's life."""
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, self._on_signal)

    def ask(self) -> None:
        """Ask for the end."""
        self.asked = True
        self._news.put(None)

    def wait(self) -> None:
        """Wait until the end is asked for."""
        self._news.get()

    def _on_signal(self, number: int, _frame: object) -> None:
        if not self.asked:
            self.ask()
            return
        try:
            _log.warning("ended at once, as asked; what ran is handed out again at the next start")
        finally:
            os._exit(128 + number)
