"""Functions that a definition calls and that are bound here: AWS knows them once they are deployed."""

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from etl_runner.asl.document import Node, Source
from etl_runner.asl.json_text import read_json
from etl_runner.asl.yaml_text import read_yaml
from etl_runner.config.files import FUNCTIONS_FILE
from etl_runner.config.yaml_source import decode, read_config_yaml
from etl_runner.errors import Fault

_NAME: Final = re.compile(r"(?:arn:[a-z-]+:lambda:[^:]*:[^:]*:function:)?([A-Za-z0-9_-]+)(?::[^:]+)?")


def function_notes(text: str, path: Path, *, yaml: bool) -> Iterator[Fault]:
    """A warning for each call of a function that the functions.yaml beside the definition binds."""
    bound = _bound(path.parent / FUNCTIONS_FILE)
    if not bound:
        return
    source = Source(text, str(path))
    root = (read_yaml(source) if yaml else read_json(source)).root
    for node in _strings(root) if root is not None else ():
        match = _NAME.fullmatch(node.value)
        if match is None or match[1] not in bound:
            continue
        what = f"the function {match[1]!r} is bound here in {FUNCTIONS_FILE}, and AWS knows nothing of that"
        remedy = "deploy a Lambda function of this name with the same handler"
        yield source.fault(node.at, "bound-here", what, remedy, path=node.path, severity="warning")


def _bound(file: Path) -> set[str]:
    """The names in a functions.yaml; none where there is no such file, or it cannot be read."""
    if not file.is_file():
        return set()
    text = decode(file.read_bytes(), str(file))
    root = None if isinstance(text, Fault) else read_config_yaml(text, str(file)).root
    functions = None if root is None else root.get("functions")
    return {name for name, _ in functions.members()} if functions is not None else set()


def _strings(node: Node) -> Iterator[Node]:
    """The values of Resource and FunctionName, wherever they are."""
    for key, item in node.members():
        if key in {"Resource", "FunctionName"} and isinstance(item.value, str):
            yield item
        else:
            yield from _strings(item)
    for element in node.elements():
        yield from _strings(element)
