"""Which files make up a configuration, and their bytes."""

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from hashlib import sha256
from pathlib import Path
from typing import Final, Literal, TypeAlias

from etl_runner.errors import Fault

FileKind: TypeAlias = Literal["schedules", "rules", "functions", "asl", "code"]

FUNCTIONS_FILE: Final = "functions.yaml"
ASL_FILE: Final = re.compile(r"(?P<stem>.+)\.asl\.(?P<language>json|yaml|yml)")
_CONFIG_KINDS: Final[tuple[FileKind, ...]] = ("schedules", "rules")
_YAML: Final = frozenset({".yaml", ".yml"})


@dataclass(frozen=True, slots=True)
class InputFile:
    """One file that matters. `shown` is how people see it, `inner` its path below its own root folder.

    `folder` is the workflow's folder that it belongs to, empty for the files of config/.
    """

    kind: FileKind
    path: Path
    shown: str
    inner: str
    folder: str = ""


def find_files(config_dir: Path, workflows_dir: Path) -> tuple[list[InputFile], list[Fault]]:
    """Look for all files of a configuration, in a fixed order; folders that are missing are faults.

    Raises OSError when a folder cannot be listed.
    """
    faults = [
        Fault(
            what=f"there is no folder {folder}",
            remedy=f"create it (it may be empty) or name another one with {option}",
            code="missing-folder",
            file=str(folder),
        )
        for folder, option in ((config_dir, "--config"), (workflows_dir, "--workflows"))
        if not folder.is_dir()
    ]
    found: list[InputFile] = []
    if config_dir.is_dir():
        faults += _misnamed(config_dir)
        for kind in _CONFIG_KINDS:
            found += _yaml_files(kind, config_dir)
    if workflows_dir.is_dir():
        for folder in _listed(workflows_dir):
            if folder.is_dir() and not folder.name.startswith("_"):
                found += _workflow_files(folder, workflows_dir)
    return found, faults


def read_files(files: Iterable[InputFile]) -> tuple[dict[InputFile, bytes], list[Fault]]:
    """Read all of them. What cannot be read is a fault, a file gone since included."""
    contents: dict[InputFile, bytes] = {}
    faults: list[Fault] = []
    for file in files:
        try:
            contents[file] = file.path.read_bytes()
        except OSError as error:
            faults.append(
                Fault(
                    what=f"the file cannot be read: {error.strerror or error}",
                    remedy="give the service the right to read it, or remove it",
                    code="unreadable-file",
                    file=file.shown,
                )
            )
    return contents, faults


def fingerprint(contents: Iterable[tuple[InputFile, bytes]]) -> str:
    """The SHA-256 over names and bytes, the same wherever the folders are."""
    digest = sha256()
    for file, data in sorted(contents, key=lambda item: (item[0].kind, item[0].inner)):
        digest.update(f"{file.kind}\0{file.inner}\0{sha256(data).hexdigest()}\n".encode())
    return digest.hexdigest()


def _listed(folder: Path) -> list[Path]:
    # Names with a dot in front are editors' and version control's.
    return sorted(each for each in folder.iterdir() if not each.name.startswith("."))


def _yaml_files(kind: FileKind, config_dir: Path) -> Iterator[InputFile]:
    folder = config_dir / kind
    if folder.is_dir():
        for path in _listed(folder):
            if path.suffix in _YAML:
                yield InputFile(kind, path, str(path), path.relative_to(config_dir).as_posix())


def _workflow_files(folder: Path, workflows_dir: Path) -> list[InputFile]:
    found: list[InputFile] = []
    for path in _listed(folder):
        inner = path.relative_to(workflows_dir).as_posix()
        if path.name == FUNCTIONS_FILE:
            found.append(InputFile("functions", path, str(path), inner, folder.name))
        elif ASL_FILE.fullmatch(path.name):
            found.append(InputFile("asl", path, str(path), inner, folder.name))
    if any(file.kind == "functions" for file in found):
        found += _code_files(folder, workflows_dir, folder.name)
    return found


def _code_files(folder: Path, workflows_dir: Path, name: str) -> Iterator[InputFile]:
    for path in _listed(folder):
        if path.is_dir() and path.name != "__pycache__" and not path.is_symlink():
            yield from _code_files(path, workflows_dir, name)
        elif path.suffix == ".py":
            yield InputFile("code", path, str(path), path.relative_to(workflows_dir).as_posix(), name)


def _misnamed(config_dir: Path) -> list[Fault]:
    """A folder `schedule` beside none called `schedules` would be passed over in silence."""
    faults = []
    for path in _listed(config_dir):
        close = get_close_matches(path.name.lower(), _CONFIG_KINDS, n=1, cutoff=0.75)
        if path.is_dir() and close and path.name not in _CONFIG_KINDS:
            faults.append(
                Fault(
                    what=f"the folder {path.name!r} is not read",
                    remedy=f"rename it to {close[0]!r}",
                    code="unknown-folder",
                    file=str(path),
                )
            )
    return faults
