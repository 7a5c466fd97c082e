"""Run a command for as long as whoever started it lives: `python guard.py COMMAND ARG...`.

The starter holds the other end of standard input. When that closes, because the starter said so or
because it died in any way at all, the command is killed. No server outlives a killed test run.
"""

import os
import subprocess
import sys
import threading


def main(command: list[str]) -> int:
    """Start `command`, wait for its end or for the end of standard input; give its exit code."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 -- our starter's own command

    def end_with_the_starter() -> None:
        while os.read(0, 1024):
            pass
        child.kill()

    threading.Thread(target=end_with_the_starter, daemon=True).start()
    return child.wait()


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
