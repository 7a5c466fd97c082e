"""The files of workflows/: state machines and the functions they call."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from re import fullmatch

from etl_runner.arn import state_machine_arn
from etl_runner.asl.document import Node
from etl_runner.asl.model import MapState, Place, State, TaskState
from etl_runner.asl.parse import parse_definition, resources
from etl_runner.asl.validate import is_map_resource
from etl_runner.config.configuration import FunctionBinding, WorkflowDefinition
from etl_runner.config.faults import shape_faults, sound_entries
from etl_runner.config.files import ASL_FILE, InputFile, fingerprint
from etl_runner.config.function_refs import check_invocations, function_problem, is_function
from etl_runner.config.gather import Gathering
from etl_runner.config.handlers import check_handler
from etl_runner.config.models import NAME_PATTERN, FunctionEntry, FunctionsFile
from etl_runner.config.yaml_source import LIMIT_BYTES, decode, read_config_yaml
from etl_runner.errors import DefinitionError, Fault


@dataclass(frozen=True, slots=True)
class _Problem:
    """Why a state cannot be run, and what to do."""

    what: str
    remedy: str = ""
    code: str = "unknown-resource"


_LONGEST_MACHINE_NAME = 80  # CreateStateMachine's own bound


@dataclass(frozen=True, slots=True)
class Folder:
    """One workflow's folder: its Python files by their path in it, and their common hash."""

    name: str
    path: Path
    code: Mapping[str, bytes]
    code_sha256: str


def folder_of(name: str, workflows_dir: Path, contents: Mapping[InputFile, bytes]) -> Folder:
    """Collect the code of one folder."""
    code = [(file, data) for file, data in contents.items() if file.kind == "code" and file.folder == name]
    by_path = {file.inner.removeprefix(f"{name}/"): data for file, data in code}
    return Folder(name, workflows_dir / name, by_path, fingerprint(code))


def read_functions(file: InputFile, data: bytes, folder: Folder, into: Gathering) -> list[FunctionBinding]:
    """Read a functions.yaml; faults go to `into`, and entries without fault are given.

    Every name goes to `into.functions`, of broken entries too: a workflow that names one is right.
    """
    text = decode(data, file.shown)
    if isinstance(text, Fault):
        into.faults.append(text)
        into.functions_unread = True
        return []
    document = read_config_yaml(text, file.shown)
    into.faults += shape_faults(FunctionsFile, document)
    into.functions_unread |= document.root is None
    functions = document.root.get("functions") if document.root is not None else None
    members = list(functions.members()) if functions is not None else []
    into.functions.update(name for name, _ in members)
    found = []
    for entry, node in sound_entries(FunctionEntry, (node for _, node in members)):
        fresh = into.take("function", node.name, node, at_key=True)
        _check_entry(entry, node, folder, into)
        if fresh:
            found.append(_binding(node.name, entry, node, folder, into))
    return found


def _check_entry(entry: FunctionEntry, node: Node, folder: Folder, into: Gathering) -> None:
    if entry.run_in == "thread" and entry.environment:
        what = "a function in a thread shares the service's environment and can have none of its own"
        place, remedy = node.get("environment") or node, "take run_in: process or remove it"
        into.refuse(place, what, remedy, "thread-environment", at_key=True)
    problem = check_handler(entry.handler, folder.code, str(folder.path))
    if problem is None:
        return
    if not problem.line:
        into.refuse(node.get("handler") or node, problem.what, problem.remedy, "unknown-handler")
        return
    fault = Fault(
        what=problem.what,
        remedy=problem.remedy,
        code="unusable-handler",
        file=str(folder.path / problem.file),
        line=problem.line,
        column=problem.column,
    )
    if fault not in into.faults:  # several handlers may live in the same broken module
        into.faults.append(fault)


def _binding(name: str, entry: FunctionEntry, node: Node, folder: Folder, into: Gathering) -> FunctionBinding:
    module, _, function = entry.handler.rpartition(".")
    root = folder.path.absolute().parent
    return FunctionBinding(
        name=name,
        arn=f"arn:aws:lambda:{into.region}:{into.account}:function:{name}",
        module=f"{root.name}.{folder.name}.{module}",
        function=function,
        search_path=str(root.parent),
        run_in=entry.run_in,
        timeout_s=entry.timeout_seconds,
        environment=dict(entry.environment),
        description=entry.description,
        code_sha256=folder.code_sha256,
        file=node.source.file,
        place=node.key_place,
    )


def read_workflow(file: InputFile, data: bytes, into: Gathering) -> WorkflowDefinition | None:
    """Read one ASL file; None when it has faults, which go to `into`."""
    match = ASL_FILE.fullmatch(file.path.name)
    assert match is not None  # find_files takes no other
    stem = match["stem"]
    name = file.folder if stem == "workflow" else f"{file.folder}-{stem}"
    yaml = match["language"] != "json"
    if not fullmatch(NAME_PATTERN, file.folder) or len(name) > _LONGEST_MACHINE_NAME or not _is_name(stem):
        what = f"the workflow would be called {name!r}, which is no name for a state machine"
        remedy = f"rename folder or file: letters, digits, . _ and -, {_LONGEST_MACHINE_NAME} at most"
        into.faults.append(Fault(what=what, remedy=remedy, code="invalid-name", file=file.shown))
        return None
    text = decode(data, file.shown, most=max(LIMIT_BYTES, into.bounds.definition_bytes))
    if isinstance(text, Fault):
        into.faults.append(text)
        return None
    try:
        machine = parse_definition(text, file=file.shown, yaml=yaml, bounds=into.bounds)
    except DefinitionError as error:
        into.faults += error.faults
        return None
    return WorkflowDefinition(
        name=name,
        arn=state_machine_arn(name, account=into.account, region=into.region),
        file=file.shown,
        text=text,
        yaml=yaml,
        machine=machine,
        description=machine.comment,
    )


def _is_name(stem: str) -> bool:
    return fullmatch(r"[A-Za-z0-9._-]+", stem) is not None


def check_resources(workflow: WorkflowDefinition, into: Gathering) -> None:
    """Every resource of a workflow has someone to do it: a bound function, or what the checker knows.

    The checker is asked about Tasks only; what ItemReader and ResultWriter may name is the language's rule.
    """
    for resource, scope, name, place in resources(workflow.machine):
        state = workflow.machine.scopes[scope].states[name]
        problem = (
            _task_problem(resource, into) if isinstance(state, TaskState) else _map_problem(state, resource)
        )
        if problem is not None:
            into.faults.append(_at_state(workflow, name, place, problem))
    check_invocations(workflow.text, workflow.file, into, yaml=workflow.yaml)


def _task_problem(resource: str, into: Gathering) -> _Problem | None:
    if is_function(resource):
        found = function_problem(resource, into)
        return None if found is None else _Problem(*found)
    if any(is_map_resource(resource, action) for action in ("getObject", "putObject", "listObjectsV2")):
        action = resource.rpartition(":")[2]
        return _Problem(
            f"{resource} is for ItemReader and ResultWriter of a Map, not for a Task",
            f"use arn:aws:states:::aws-sdk:s3:{action}",
        )
    sentence = into.checks.resource(resource)
    return None if sentence is None else _Problem(sentence)


def _map_problem(state: State, resource: str) -> _Problem | None:
    if "${" not in resource:
        return None  # parse_definition has looked
    reader = state.item_reader if isinstance(state, MapState) else None
    part = "ItemReader" if reader is not None and reader.resource == resource else "ResultWriter"
    return _Problem(
        f"the Resource {resource} of its {part} is still a placeholder", "put the value in before this runs"
    )


def _at_state(workflow: WorkflowDefinition, state: str, place: Place, problem: _Problem) -> Fault:
    return Fault(
        what=f"the state {state!r} cannot be run: {problem.what}",
        remedy=problem.remedy,
        code=problem.code,
        file=workflow.file,
        line=place.line,
        column=place.column,
    )
