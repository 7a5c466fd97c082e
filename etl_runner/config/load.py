"""The way in: two folders to a Config, or everything that is wrong with them."""

from pathlib import Path
from types import MappingProxyType

from etl_runner.arn import DEFAULT_ACCOUNT, DEFAULT_REGION
from etl_runner.asl.bounds import AWS, Bounds
from etl_runner.config.configuration import Config, FunctionBinding, Queue, Rule, Schedule, WorkflowDefinition
from etl_runner.config.files import InputFile, find_files, fingerprint, read_files
from etl_runner.config.gather import (
    CheckExpression,
    CheckPattern,
    CheckResource,
    Checks,
    Gathering,
    TickSample,
)
from etl_runner.config.trigger_files import read_rules, read_schedules
from etl_runner.config.workflow_files import check_resources, folder_of, read_functions, read_workflow
from etl_runner.errors import ConfigError, Fault


def load_config(  # noqa: PLR0913 -- what the rooms above know, each thing by its name
    config_dir: Path,
    workflows_dir: Path,
    *,
    check_expression: CheckExpression,
    check_pattern: CheckPattern,
    check_resource: CheckResource,
    tick_sample: TickSample,
    account: str = DEFAULT_ACCOUNT,
    region: str = DEFAULT_REGION,
    functions_in_aws: bool = False,
    bounds: Bounds = AWS,
) -> Config:
    """Read, check and bind all files; all or nothing.

    `check_expression(text, zone)` and `check_pattern(pattern)` raise InvalidInput; `check_resource(resource)`
    gives a sentence for what nobody can do and is not asked about Lambda functions, which must be bound in a
    functions.yaml unless `functions_in_aws` says that others live in AWS; `tick_sample(name, expression,
    zone)` gives what a schedule's template gets to see; `bounds` are those of definitions.
    Raises ConfigError with every fault of every file, in the order of files and places.
    """
    checks = Checks(
        expression=check_expression, pattern=check_pattern, resource=check_resource, tick_sample=tick_sample
    )
    into = Gathering(checks, account, region, functions_in_aws=functions_in_aws, bounds=bounds)
    try:
        files, faults = find_files(config_dir, workflows_dir)
    except OSError as error:
        what = f"the folder cannot be listed: {error.strerror or error}"
        remedy = "give the service the right to read it"
        fault = Fault(
            what=what, remedy=remedy, code="unreadable-file", file=str(error.filename or config_dir)
        )
        raise ConfigError([fault]) from None
    contents, unreadable = read_files(files)
    into.faults += [*faults, *unreadable]
    workflows, functions = _workflows(contents, workflows_dir, into)
    # A workflow with faults is no unknown one: it has its own faults to show.
    names = {*workflows, *_names_of_broken(contents, workflows)}
    schedules, rules, queues = _triggers(contents, names, into)
    if into.faults:
        raise ConfigError(sorted(into.faults, key=_place))
    return Config(
        workflows=MappingProxyType(workflows),
        functions=MappingProxyType(functions),
        schedules=MappingProxyType(schedules),
        rules=MappingProxyType(rules),
        queues=MappingProxyType(queues),
        fingerprint=fingerprint(contents.items()),
    )


def _workflows(
    contents: dict[InputFile, bytes], workflows_dir: Path, into: Gathering
) -> tuple[dict[str, WorkflowDefinition], dict[str, FunctionBinding]]:
    functions: dict[str, FunctionBinding] = {}
    workflows: dict[str, WorkflowDefinition] = {}
    for file, data in contents.items():
        if file.kind == "functions":
            folder = folder_of(file.folder, workflows_dir, contents)
            found = read_functions(file, data, folder, into)
            functions.update({each.name: each for each in found})
        elif file.kind == "asl":
            workflow = read_workflow(file, data, into)
            if workflow is not None:
                _add(workflow, workflows, into)
    for workflow in workflows.values():
        check_resources(workflow, into)
    return workflows, functions


def _add(workflow: WorkflowDefinition, workflows: dict[str, WorkflowDefinition], into: Gathering) -> None:
    other = workflows.setdefault(workflow.name, workflow)
    if other is not workflow:
        what = f"the workflow {workflow.name!r} is here a second time; the first is {other.file}"
        remedy = "rename or remove one of the two files"
        into.faults.append(Fault(what=what, remedy=remedy, code="duplicate-name", file=workflow.file))


def _names_of_broken(contents: dict[InputFile, bytes], workflows: dict[str, WorkflowDefinition]) -> set[str]:
    read = {workflow.file for workflow in workflows.values()}
    stems = [
        (file.folder, file.path.name.partition(".asl.")[0])
        for file in contents
        if file.kind == "asl" and file.shown not in read
    ]
    return {folder if stem == "workflow" else f"{folder}-{stem}" for folder, stem in stems}


def _triggers(
    contents: dict[InputFile, bytes], workflows: set[str], into: Gathering
) -> tuple[dict[str, Schedule], dict[str, Rule], dict[str, Queue]]:
    schedules: dict[str, Schedule] = {}
    rules: dict[str, Rule] = {}
    queues: dict[str, Queue] = {}
    for file, data in contents.items():
        if file.kind == "schedules":
            schedules.update({each.name: each for each in read_schedules(file, data, workflows, into)})
        elif file.kind == "rules":
            some_rules, some_queues = read_rules(file, data, workflows, into)
            rules.update({each.name: each for each in some_rules})
            queues.update({each.name: each for each in some_queues})
    return schedules, rules, queues


def _place(fault: Fault) -> tuple[str, int, int]:
    return fault.file, fault.line, fault.column
