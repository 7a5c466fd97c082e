"""Run a server for as long as whoever started it lives: `python guard.py GRACE_S FOLDER COMMAND ARG...`.

The starter holds the other end of standard input. When that closes, because the starter said so or
because it died in any way at all, the command is ended and the server's folder removed: nothing outlives
a killed test run. With a GRACE_S of 0 it is killed, else it has so many seconds after SIGTERM.
"""

import os
import shutil
import subprocess
import sys
import threading
from contextlib import suppress


def main(grace_s: float, folder: str, command: list[str]) -> int:
    """Start `command`, wait for its end or for the end of standard input; give its exit code."""
    child = subprocess.Popen(command, stdin=subprocess.DEVNULL)  # noqa: S603 -- our starter's own command
    starter_gone = threading.Event()

    def end_with_the_starter() -> None:
        while os.read(0, 1024):
            pass
        starter_gone.set()
        if grace_s:
            child.terminate()
            with suppress(subprocess.TimeoutExpired):
                child.wait(grace_s)
        child.kill()

    threading.Thread(target=end_with_the_starter, daemon=True).start()
    code = child.wait()
    if starter_gone.is_set():  # else the starter wants to read why the server ended
        shutil.rmtree(folder, ignore_errors=True)
    return code


if __name__ == "__main__":
    sys.exit(main(float(sys.argv[1]), sys.argv[2], sys.argv[3:]))
