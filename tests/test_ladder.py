"""Imports go down the ladder, and the pure rooms reach for nothing of the outside world.

Every import statement counts: at the top of a module, inside a function, under TYPE_CHECKING, and calls of
`importlib.import_module` with a literal name. The drawing of the same ladder in ARCHITECTURE.md is held
against this table by test_project.py.
"""

import ast
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pytest

ROOT = Path(__file__).resolve().parents[1]
PACKAGE = "etl_runner"

FLOORS: dict[str, int] = {
    "settings": 6, "log": 6, "listening": 6, "ending": 6, "daemon": 6, "cli": 6, "demo": 6,
    "api": 5, "console": 5,
    "engine": 4, "schedule": 4,
    "store": 3, "tasks": 3, "s3": 3, "config": 3, "offline": 3,
    "machine": 2, "aws": 2,
    "asl": 1,
    "arn": 0, "clock": 0, "errors": 0, "jsontypes": 0, "lineage": 0,
}  # fmt: skip

SIDEWAYS: dict[tuple[str, str], str] = {
    # What may be imported from the same floor, each with its reason. (importer, imported)
    ("arn", "errors"): "an ARN that does not parse is the user's mistake; errors itself imports nothing",
    ("lineage", "jsontypes"): "receipts are JSON; jsontypes itself imports nothing of ours",
    ("daemon", "settings"): "the daemon is built from the settings, which know nothing of it",
    ("daemon", "listening"): "the daemon takes its address first, which knows nothing of it",
    ("listening", "settings"): "the address is a setting, and the settings know nothing of sockets",
    ("daemon", "ending"): "the daemon waits to be asked to end, and is not known for that",
    ("daemon", "log"): "the daemon sets up logging, which knows nothing of it",
    ("cli", "settings"): "the command line turns options into settings",
    ("cli", "log"): "the command line sets up logging for its own commands",
    ("cli", "daemon"): "`etl-runner serve` runs the daemon, which knows nothing of the command line",
    ("demo", "settings"): "the demo writes settings for the daemon it starts",
    ("demo", "log"): "the demo shows the daemon's log lines",
    ("demo", "daemon"): "the demo starts the daemon, which knows nothing of it",
    ("console", "api"): "pages are drawn from the operations of the API, so that they show what it says",
}

WORKFLOWS_SEE = {"s3", "aws", "arn", "errors", "jsontypes"}
"""What the code under workflows/ may import: a workflow is a guest, not a part of the service."""


class Import(NamedTuple):
    line: int
    module: str  # the dotted name of what is asked for, as far as one can see
    name: str = ""  # X in `from module import X`


def imports_of(tree: ast.AST, module: str) -> Iterator[Import]:
    """Every import in a module's syntax tree, wherever it stands; relative ones resolved against `module`."""
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                yield from (Import(node.lineno, alias.name) for alias in names)
            case ast.ImportFrom(module=source, names=names, level=level):
                base = module.split(".")[:-level] if level else []
                full = ".".join([*base, *([source] if source else [])])
                yield from (Import(node.lineno, full, alias.name) for alias in names)
            case ast.Call(
                func=ast.Name(id="import_module" | "__import__")
                | ast.Attribute(attr="import_module" | "__import__"),
                args=[ast.Constant(value=str(source)), *_],
            ):
                yield Import(node.lineno, source)
            case _:
                pass


def room_of(imported: Import) -> str | None:
    """The top-level module of ours that an import reaches, None for others' modules and the bare package."""
    parts = imported.module.split(".")
    if parts[0] != PACKAGE:
        return None
    if len(parts) > 1:
        return parts[1]
    return imported.name if imported.name in FLOORS else None  # `from etl_runner import asl, __version__`


def parse_module(path: Path) -> ast.Module:
    """The syntax tree of a file."""
    return ast.parse(path.read_text(encoding="utf-8"), str(path))


def ladder_faults(source: str, module: str) -> list[str]:
    """What a module's imports do against the ladder, one sentence each."""
    own = module.split(".")[1]
    if own not in FLOORS and own != "__init__":
        return [f"{module} has no floor: give {own} one in tests/test_ladder.py and ARCHITECTURE.md"]
    reached = [(found.line, room_of(found)) for found in imports_of(ast.parse(source), module)]
    return [
        f"{module}:{line} {fault}"
        for line, room in reached
        if room is not None and (fault := _step_fault(own, room)) is not None
    ]


def _step_fault(own: str, room: str) -> str | None:
    if room not in FLOORS:
        return f"imports {room}, which has no floor"
    if own == "__init__":
        return f"imports {room}: the package itself stands under everything"
    if room == own or (own, room) in SIDEWAYS or FLOORS[room] < FLOORS[own]:
        return None
    way = "sideways" if FLOORS[room] == FLOORS[own] else "up"
    return f"imports {way}: {own} (floor {FLOORS[own]}) -> {room} (floor {FLOORS[room]})"


def modules(folder: str = PACKAGE) -> list[tuple[str, Path]]:
    """Every module of a folder as (dotted name, path); a package's __init__ keeps that last part."""
    found = sorted((ROOT / folder).rglob("*.py"))
    return [(".".join(path.relative_to(ROOT).with_suffix("").parts), path) for path in found]


@pytest.mark.parametrize(("module", "path"), [pytest.param(*found, id=found[0]) for found in modules()])
def test_imports_only_go_down(module: str, path: Path) -> None:
    assert ladder_faults(path.read_text(encoding="utf-8"), module) == []


PLANTED = {
    "up": ("etl_runner.asl.parse", "from etl_runner.machine.decide import decide"),
    "up, bare": ("etl_runner.store.unit", "import etl_runner.engine"),
    "up, from the package": ("etl_runner.store.unit", "from etl_runner import engine"),
    "up, relative": ("etl_runner.store.unit", "from ..engine import turn"),
    "up, in a function": ("etl_runner.store.unit", "def late():\n    from etl_runner.engine import turn"),
    "up, for types only": (
        "etl_runner.store.unit",
        "from typing import TYPE_CHECKING\nif TYPE_CHECKING:\n    from etl_runner.api import app",
    ),
    "up, by name": ("etl_runner.store.unit", "import importlib\nimportlib.import_module('etl_runner.cli')"),
    "sideways": ("etl_runner.tasks.pool", "from etl_runner.store import unit"),
    "machine and aws are siblings": ("etl_runner.machine.decide", "from etl_runner.aws import AwsAccess"),
    "a room nobody knows": ("etl_runner.cli", "from etl_runner.misc import helper"),
    "from a room nobody knows": ("etl_runner.misc", "import json"),
    "the package imports a room": ("etl_runner.__init__", "from etl_runner.cli import main"),
}


@pytest.mark.parametrize(
    ("module", "source"), [pytest.param(*case, id=name) for name, case in PLANTED.items()]
)
def test_a_planted_import_against_the_ladder_is_caught(module: str, source: str) -> None:
    assert len(ladder_faults(source, module)) == 1


def test_what_the_ladder_allows_is_not_caught() -> None:
    source = "from etl_runner import __version__\nfrom etl_runner.asl import model\nfrom . import facts"

    assert ladder_faults(source, "etl_runner.machine.decide") == []


def test_every_exception_is_between_siblings_and_goes_one_way() -> None:
    wrong = [pair for pair in SIDEWAYS if FLOORS[pair[0]] != FLOORS[pair[1]] or pair[::-1] in SIDEWAYS]

    assert wrong == []


@pytest.mark.parametrize(
    ("module", "path"), [pytest.param(*found, id=found[0]) for found in modules("workflows")]
)
def test_workflows_import_only_what_task_code_is_offered(module: str, path: Path) -> None:
    rooms = {room_of(found) for found in imports_of(ast.parse(path.read_text(encoding="utf-8")), module)}

    assert rooms - WORKFLOWS_SEE - {None} == set()


PACKAGES = sorted({path.parent.relative_to(ROOT).as_posix() for path in (ROOT / PACKAGE).rglob("*.py")})


@pytest.mark.parametrize("folder", PACKAGES)
def test_every_package_says_what_it_is_for(folder: str) -> None:
    assert ast.get_docstring(ast.parse((ROOT / folder / "__init__.py").read_text(encoding="utf-8")))


# ---------------------------------------------------------------------------------------------- purity

PURE_ROOMS = frozenset({"arn", "asl", "errors", "jsontypes", "lineage", "machine"})
"""Rooms that get time, randomness and ids as arguments. Of their floors, clock and aws do touch the world."""

OUTSIDE_WORLD = frozenset(
    # Whatever reads a clock, a random source, the environment, a file or the network, or runs by itself.
    {"_thread", "asyncio", "atexit", "codecs", "concurrent", "ctypes", "fileinput", "getpass", "glob", "http",
     "importlib", "io", "locale", "logging", "mmap", "multiprocessing", "os", "pathlib", "pickle", "pkgutil",
     "platform", "queue", "random", "runpy", "sched", "secrets", "select", "selectors", "shelve", "shutil",
     "signal", "socket", "socketserver", "sqlite3", "ssl", "subprocess", "sys", "tempfile", "threading",
     "time", "urllib", "uuid", "webbrowser", "zipfile", "zoneinfo"}
)  # fmt: skip

HARMLESS = {
    # The parts of those that are plain values.
    "io": {"StringIO"},  # memory, no file
    "random": {"Random"},  # as a type, or seeded: whoever calls passes one in
    "sys": {"getrecursionlimit", "intern", "maxsize"},
    "uuid": {"UUID"},  # uuid1 and uuid4 draw
}

PURE_THIRD_PARTY = frozenset({"jlens", "msgspec", "ruamel"})
"""What the pure rooms may use of others: readers and writers of text, which do nothing by themselves."""


def purity_faults(source: str, module: str) -> list[str]:
    """What a module of the pure rooms does with the outside world, one sentence each."""
    tree = ast.parse(source)
    faults = [
        f"{module}:{found.line} {fault}"
        for found in imports_of(tree, module)
        if (fault := _import_fault(found, tree)) is not None
    ]
    calls = [node for node in ast.walk(tree) if isinstance(node, ast.Call)]
    return faults + [f"{module}:{call.lineno} {fault}" for call in calls if (fault := _call_fault(call))]


def _import_fault(found: Import, tree: ast.AST) -> str | None:
    root = found.module.split(".")[0]
    if root in OUTSIDE_WORLD:
        # `import random` is judged by what follows the dot; with another name (`as r`) nothing can be seen.
        used = {found.name} if found.name else _attributes_of(root, tree) or {root}
        extra = sorted(used - HARMLESS.get(root, set()))
        return f"takes {', '.join(extra)} from {root}" if extra else None
    if room_of(found) == "clock" and found.name in {"", "clock", "SystemClock", "ManualClock"}:
        return "takes a clock; the time is an argument here"
    if root not in sys.stdlib_module_names | PURE_THIRD_PARTY | {PACKAGE, ""}:
        return f"imports {root}, which is not known to be harmless"
    return None


def _attributes_of(name: str, tree: ast.AST) -> set[str]:
    return {
        node.attr
        for node in ast.walk(tree)
        if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id == name
    }


def _call_fault(call: ast.Call) -> str | None:
    match call:
        case ast.Call(func=ast.Name(id="breakpoint" | "eval" | "exec" | "input" | "open" | "print" as name)):
            return f"calls {name}()"
        case ast.Call(
            func=ast.Attribute(
                value=ast.Name(id="date" | "datetime") | ast.Attribute(attr="date" | "datetime"),
                attr="now" | "today" | "utcnow" as name,
            )
        ):
            return f"reads the clock with {name}()"
        case ast.Call(func=ast.Name(id="Random") | ast.Attribute(attr="Random"), args=[], keywords=[]):
            return "seeds a random source from the machine"
        case _:
            return None


PURE_MODULES = [found for found in modules() if found[0].split(".")[1] in PURE_ROOMS]


@pytest.mark.parametrize(("module", "path"), [pytest.param(*found, id=found[0]) for found in PURE_MODULES])
def test_pure_rooms_touch_nothing_outside(module: str, path: Path) -> None:
    assert purity_faults(path.read_text(encoding="utf-8"), module) == []


@pytest.mark.parametrize(
    "source",
    [
        "import time",
        "from time import monotonic",
        "import os.path",
        "import random\nx = random.random()",
        "import random as dice\nx = dice.random()",
        "from random import randint",
        "import random\nx = random.Random()",
        "from uuid import uuid4",
        "def late():\n    import socket",
        "import boto3",
        "import requests",
        "from datetime import datetime, UTC\nx = datetime.now(UTC)",
        "import datetime\nx = datetime.date.today()",
        "x = open('file')",
        "from etl_runner.clock import SystemClock",
        "from etl_runner import clock",
        "import importlib\nx = importlib.import_module('json')",
    ],
)
def test_a_planted_touch_of_the_outside_world_is_caught(source: str) -> None:
    assert purity_faults(source, "etl_runner.machine.decide") != []


@pytest.mark.parametrize(
    "source",
    [
        "import random\ndef roll(rng: random.Random) -> float:\n    return rng.random()",
        "from random import Random\nx = Random(7)",
        "import uuid\nx = uuid.UUID(int=7, version=4)",
        "from datetime import UTC, datetime\nx = datetime.fromisoformat('2026-01-31T00:00:00Z')",
        "import re, base64, hashlib, msgspec",
        "from etl_runner.clock import to_iso",
        "from . import facts",
    ],
)
def test_a_pure_module_is_left_in_peace(source: str) -> None:
    assert purity_faults(source, "etl_runner.machine.decide") == []
