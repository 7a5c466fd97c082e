"""Play recordings by hand: `python -m tests.conformance [AREA or part of a name ...]`."""

import argparse
import sys
import tempfile
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

from tests.conformance.matching import Difference
from tests.conformance.recordings import Recording, read_all
from tests.conformance.script import play
from tests.conformance.world import world
from tests.shared_data import SHARED

SIDE_BY_SIDE = 12


def say(line: str) -> None:
    """Write a line."""
    sys.stdout.write(line + "\n")


def main() -> int:
    """Print each recording that fails with its differences, and how many pass."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("parts", nargs="*", help="parts of names; all recordings without")
    parser.add_argument("--most", type=int, default=6, help="differences shown for each recording")
    parser.add_argument("--brief", action="store_true", help="only names and the first difference's path")
    options = parser.parse_args()
    if SHARED is None:
        say("the recordings are not beside this checkout")
        return 2
    recordings = [
        each
        for each in read_all(SHARED / "conformance")
        if not options.parts or any(part in each.name for part in options.parts)
    ]
    begun = time.monotonic()
    with tempfile.TemporaryDirectory() as folder, world(Path(folder), recordings) as place:
        with ThreadPoolExecutor(SIDE_BY_SIDE) as pool:
            results = list(pool.map(lambda each: _played(each, place), recordings))
        log = (Path(folder) / "service.log").read_text(errors="replace")
    failed = 0
    for recording, differences in zip(recordings, results, strict=True):
        if not differences:
            continue
        failed += 1
        say(f"FAIL {recording.name}")
        for difference in differences[: 0 if options.brief else options.most]:
            say(f"   {difference}")
        if options.brief:
            say(f"   {differences[0].path}")
    for line in [line for line in log.splitlines() if "rror" in line and "traceback" in line.lower()][:3]:
        say(f"service: {line[:600]}")
    say(f"{len(recordings) - failed} of {len(recordings)} pass, {time.monotonic() - begun:.0f} s")
    return 1 if failed else 0


def _played(recording: Recording, place: object) -> list[Difference]:
    try:
        return play(recording, place)  # type: ignore[arg-type]
    except Exception as error:  # noqa: BLE001 -- one scenario that breaks must not keep the others from playing
        return [
            Difference(f"broke: {type(error).__name__}", "a scenario that can be played", str(error)[:600])
        ]


if __name__ == "__main__":
    sys.exit(main())
