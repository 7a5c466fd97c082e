"""Which functions a workflow names, and whether they are bound here."""

import re
from collections.abc import Iterator
from difflib import get_close_matches
from typing import Final

from etl_runner.asl.document import Node, Source
from etl_runner.asl.json_text import read_json
from etl_runner.asl.yaml_text import read_yaml
from etl_runner.config.gather import Gathering

_INVOKE: Final = "arn:aws:states:::lambda:invoke"
# What Lambda's Invoke takes as FunctionName: a name, or an ARN in whole or in part, with a qualifier or not.
_REFERENCE: Final = re.compile(
    r"(?:arn:aws[a-z-]*:lambda:(?P<region>[a-z0-9-]+):)?(?:(?P<account>\d{12}):)?(?:function:)?"
    r"(?P<name>[A-Za-z0-9_-]+)(?::(?:\$LATEST|[A-Za-z0-9_-]+))?"
)


def is_function(resource: str) -> bool:
    """Whether a Resource is a Lambda function's own ARN."""
    return re.match(r"arn:aws[a-z-]*:lambda:", resource) is not None


def function_problem(reference: str, into: Gathering) -> tuple[str, str] | None:
    """What is wrong with a reference to a function, and the remedy; None when it is bound."""
    match = _REFERENCE.fullmatch(reference)
    if match is None:
        return f"{reference!r} names no function", "write arn:aws:lambda:REGION:ACCOUNT:function:NAME"
    name = match["name"]
    if into.functions_in_aws:
        return None
    if name not in into.functions:
        if into.functions_unread:
            return None  # it may stand in the file that could not be read
        close = get_close_matches(name, sorted(into.functions), n=2)
        hint = f"did you mean {' or '.join(close)}? If not, " if close else ""
        return f"no function {name!r} is bound", f"{hint}add it to a functions.yaml"
    if match["account"] not in {None, into.account} or match["region"] not in {None, into.region}:
        here = f"account {into.account}, region {into.region}"
        return (
            f"the function {name!r} is bound in {here}, not {reference}",
            "correct the ARN, or the service's account and region",
        )
    return None


def check_invocations(text: str, file: str, into: Gathering, *, yaml: bool) -> None:
    """Look at the FunctionName of each `lambda:invoke` of a definition that has been found right.

    Names given by a path (`FunctionName.$`) are known only when the state runs.
    """
    if _INVOKE not in text:
        return
    source = Source(text, file)
    root = (read_yaml(source) if yaml else read_json(source)).root
    for node in _objects(root) if root is not None else ():
        resource, parameters = node.get("Resource"), node.get("Parameters")
        if resource is None or parameters is None or not str(resource.value).startswith(_INVOKE):
            continue
        name = parameters.get("FunctionName")
        if name is not None and isinstance(name.value, str):
            problem = function_problem(name.value, into)
            if problem is not None:
                what, remedy = problem
                into.refuse(
                    name, f"the state {node.name!r} cannot be run: {what}", remedy, "unknown-resource"
                )


def _objects(node: Node) -> Iterator[Node]:
    if isinstance(node.value, dict):
        yield node
        for _, inner in node.members():
            yield from _objects(inner)
    for inner in node.elements():
        yield from _objects(inner)
