"""What a definition's tasks look like to those who would do their work: resources and names of arguments."""

import re
from collections.abc import Iterator
from functools import cache
from typing import Final

from etl_runner.asl.document import Node, Source
from etl_runner.asl.json_text import read_json
from etl_runner.asl.yaml_text import read_yaml
from etl_runner.aws import AwsAccess
from etl_runner.errors import Fault
from etl_runner.tasks.lambda_calls import INVOKE
from etl_runner.tasks.python_functions import refused_form
from etl_runner.tasks.services import Services

_NAMED: Final = re.compile(r"parameter '([^']+)'")
_LAMBDA: Final = re.compile(r"arn:[a-z-]+:lambda:")
_INTEGRATION: Final = re.compile(r"arn:[a-z-]+:states:::")


@cache
def _services() -> Services:
    return Services(AwsAccess(), threads=1)


def task_faults(text: str, file: str, *, yaml: bool) -> list[Fault]:
    """The faults of all tasks of a definition that is right as far as the language goes."""
    source = Source(text, file)
    root = (read_yaml(source) if yaml else read_json(source)).root
    return [] if root is None else [fault for task in _tasks(root) for fault in _faults(task, source)]


def _tasks(node: Node) -> Iterator[Node]:
    """Every Task state, however deep."""
    for scope in _scopes(node):
        states = scope.get("States")
        for _, state in states.members() if states is not None else ():
            kind = state.get("Type")
            if kind is not None and kind.value == "Task":
                yield state
            yield from _tasks(state)


def _scopes(node: Node) -> Iterator[Node]:
    if node.get("States") is not None:
        yield node
        return
    branches = node.get("Branches")
    yield from branches.elements() if branches is not None else ()
    yield from (scope for key in ("ItemProcessor", "Iterator") if (scope := node.get(key)) is not None)


def _faults(task: Node, source: Source) -> Iterator[Fault]:
    resource = task.get("Resource")
    name = resource.value if resource is not None else None
    if resource is None or not isinstance(name, str) or "${" in name or not _INTEGRATION.match(name):
        return  # functions and activities are somebody else's, and need not exist yet
    refusal = refused_form(name) if name.startswith(INVOKE) else _services().accepts(name)
    if refusal is not None:
        yield source.fault(resource.at, "unknown-resource", refusal, path=resource.path)
        return
    given = task.get("Parameters") or task.get("Arguments")
    if given is None or not isinstance(given.value, dict):
        return  # the state's input, or an expression, gives them when it runs
    for sentence in _services().check_arguments(name, given.value):
        at = _place(sentence, given)
        yield source.fault(at.key_at, "invalid-argument", sentence, path=at.path)


def _place(sentence: str, given: Node) -> Node:
    """The argument that a sentence names; all of them where it is not there."""
    named = _NAMED.search(sentence)
    if named is None:
        return given
    return given.get(named[1]) or given.get(f"{named[1]}.$") or given
