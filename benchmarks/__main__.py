"""Run the benchmarks, each in a process of its own so that one's memory is not counted as another's.

    python -m benchmarks [NAME...] [-- OPTION...]

Without names all of them run. What follows `--` is passed on to each. A benchmark is a file of this folder
that can be run by itself. Ends with 1 when one of them failed.
"""

import subprocess
import sys
from pathlib import Path

FOLDER = Path(__file__).resolve().parent


def benchmarks() -> dict[str, Path]:
    """The files that can be run, by name."""
    files = sorted(path for path in FOLDER.glob("*.py") if not path.name.startswith("_"))
    return {path.stem: path for path in files if '__name__ == "__main__"' in path.read_text(encoding="utf-8")}


def main(arguments: list[str]) -> int:
    """Run those named, or all; give the exit code."""
    cut = arguments.index("--") if "--" in arguments else len(arguments)
    known = benchmarks()
    names = arguments[:cut] or list(known)
    if unknown := [name for name in names if name not in known]:
        print(f"no benchmark is called {', '.join(unknown)}; there are {', '.join(known)}", file=sys.stderr)
        return 2
    failed = []
    for name in names:
        print(f"== {name}", file=sys.stderr, flush=True)
        command = [sys.executable, "-m", f"benchmarks.{name}", *arguments[cut + 1 :]]
        if subprocess.run(command, cwd=FOLDER.parent, check=False).returncode:
            failed.append(name)
    if failed:
        print(f"failed: {', '.join(failed)}", file=sys.stderr)
    return 1 if failed else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
