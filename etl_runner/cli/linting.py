"""Finding faults in whatever a path is: a definition, a workflow, a folder of them, or a configuration."""

from collections.abc import Iterator
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Final

from etl_runner.asl.parse import lint as lint_text
from etl_runner.asl.portable import portable as portable_text
from etl_runner.cli.lint_functions import function_notes
from etl_runner.cli.lint_tasks import task_faults
from etl_runner.cli.offline import read_config
from etl_runner.config.files import ASL_FILE, FUNCTIONS_FILE
from etl_runner.config.yaml_source import decode
from etl_runner.errors import ConfigError, Fault, InvalidInput
from etl_runner.settings import FILE_NAME

CONFIG_KINDS: Final = ("schedules", "rules")
_YAML: Final = frozenset({".yaml", ".yml"})
_DEFINITION: Final = frozenset({".json", ".asl"}) | _YAML
_CODE_TOO: Final = (
    f". The functions of it that {FUNCTIONS_FILE} names are looked up when their folder is checked"
)


class Findings:
    """Faults by place, each once, and the files that were looked at.

    `portable` asks whether definitions run unchanged on AWS, in place of whether they run well here.
    """

    def __init__(self, *, portable: bool = False) -> None:
        self.files: set[Path] = set()
        self.portable = portable
        self._faults: dict[tuple[str, int, int, str], Fault] = {}

    def add(self, fault: Fault) -> None:
        """Note a fault; what is known of the same place already stays."""
        self._faults.setdefault((fault.file, fault.line, fault.column, fault.code), fault)

    @property
    def faults(self) -> list[Fault]:
        """All faults, by file and place."""
        return sorted(self._faults.values(), key=lambda fault: (fault.file, fault.line, fault.column))


def lint_paths(paths: list[Path], workflows_dir: Path | None, *, portable: bool = False) -> Findings:
    """Look at all paths; with `portable` at definitions alone.

    A configuration is held against `workflows_dir`, or a workflows folder among them. Raises InvalidInput for
    a path that does not exist, is no file of ours or holds nothing to look at.
    """
    found = Findings(portable=portable)
    given = [path for path in paths if _is_workflows(path)]
    beside = workflows_dir or (given[0] if given else None)
    for path in paths:
        if not path.exists():
            raise InvalidInput(f"there is no file or folder {path}")
        _lint_path(path, beside, found)
    return found


def _lint_path(path: Path, beside: Path | None, into: Findings) -> None:
    if path.is_file():
        _lint_file(path, beside, into)
    elif _is_config(path):
        workflows = beside or _beside(path)
        into.files |= {file for kind in CONFIG_KINDS for file in _yaml_files(path / kind)}
        into.files |= {path / FILE_NAME} & set(path.iterdir())
        _lint_config(path, workflows, into, only=path)
    elif _is_workflow(path):
        _lint_workflows([path], path.resolve().parent, into, only=path)
    elif _is_workflows(path):
        folders = [folder for folder in sorted(path.iterdir()) if _is_workflow(folder)]
        _lint_workflows(folders, path, into, only=path)
    elif _is_project(path):
        for part in ("workflows", "config"):
            _lint_path(path / part, beside, into)
    else:
        raise InvalidInput(
            f"there is nothing to look at in {path}: it is no folder of a workflow (*.asl.json, *.asl.yaml), "
            "of workflows, of a configuration (schedules/, rules/, etl-runner.yaml), or of a project "
            "(workflows/ and config/)"
        )


def _lint_file(path: Path, beside: Path | None, into: Findings) -> None:
    kind = path.resolve().parent
    if path.name == FUNCTIONS_FILE:
        _lint_workflows([], kind.parent, into, only=path)
    elif path.name == FILE_NAME or (kind.name in CONFIG_KINDS and path.suffix in _YAML):
        config = kind if path.name == FILE_NAME else kind.parent
        _lint_config(config, beside or _beside(config), into, only=path)
    elif path.suffix in _DEFINITION:
        _lint_definition(path, into)
    else:
        raise InvalidInput(
            f"{path} is no definition: that is a file *.json, *.asl, *.yaml or *.yml; lint also takes "
            f"{FUNCTIONS_FILE}, {FILE_NAME}, the files of schedules/ and rules/, and folders of all of these"
            f"{_CODE_TOO if path.suffix == '.py' else ''}"
        )
    into.files.add(path)


def _lint_definition(path: Path, into: Findings) -> None:
    """What the language itself has to say of one file, warnings included."""
    into.files.add(path)
    try:
        text = decode(path.read_bytes(), str(path))
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None
    if isinstance(text, Fault):
        into.add(text)
        return
    yaml = path.suffix in _YAML
    if into.portable:
        faults = portable_text(text, file=str(path), yaml=yaml)
        more = list(function_notes(text, path, yaml=yaml))
    else:
        faults = lint_text(text, file=str(path), yaml=yaml)
        more = task_faults(text, str(path), yaml=yaml)
    for fault in [*faults, *more]:
        into.add(fault)


def _lint_workflows(folders: list[Path], workflows_dir: Path, into: Findings, *, only: Path) -> None:
    """Definitions by themselves, then what they and their functions look like to the service."""
    for folder in folders:
        for file in sorted(folder.iterdir()):
            if ASL_FILE.fullmatch(file.name):
                _lint_definition(file, into)
            elif file.name == FUNCTIONS_FILE:
                into.files.add(file)
    with TemporaryDirectory() as nothing:
        _lint_config(Path(nothing), workflows_dir, into, only=only)


def _lint_config(config_dir: Path, workflows_dir: Path, into: Findings, *, only: Path) -> None:
    """The faults of a configuration that lie at or under `only`, named as the user named it."""
    if into.portable:
        return  # it is this service's own, and no part of what goes to AWS
    inside = only.resolve()
    try:
        read_config(config_dir, workflows_dir)
    except ConfigError as error:
        for fault in error.faults:
            place = Path(fault.file).resolve()
            if place == inside or inside in place.parents:
                shown = only if place == inside else only / place.relative_to(inside)
                into.add(_renamed(fault, str(shown)))
            elif place == workflows_dir.resolve():
                into.add(fault)


def _renamed(fault: Fault, file: str) -> Fault:
    return Fault(
        what=fault.what,
        remedy=fault.remedy,
        code=fault.code,
        file=file,
        line=fault.line,
        column=fault.column,
        path=fault.path,
        severity=fault.severity,
    )


def _beside(config_dir: Path) -> Path:
    """Where the workflows of a configuration are unless it is said: the folder beside it."""
    return config_dir.resolve().parent / "workflows"


def _is_config(path: Path) -> bool:
    return path.is_dir() and (
        (path / FILE_NAME).exists() or any((path / kind).is_dir() for kind in CONFIG_KINDS)
    )


def _is_project(path: Path) -> bool:
    return _is_workflows(path / "workflows") and _is_config(path / "config")


def _is_workflow(path: Path) -> bool:
    return path.is_dir() and any(
        ASL_FILE.fullmatch(file.name) or file.name == FUNCTIONS_FILE for file in path.iterdir()
    )


def _is_workflows(path: Path) -> bool:
    return path.is_dir() and not _is_workflow(path) and any(_is_workflow(each) for each in path.iterdir())


def _yaml_files(folder: Path) -> Iterator[Path]:
    if folder.is_dir():
        yield from (path for path in sorted(folder.iterdir()) if path.suffix in _YAML)
