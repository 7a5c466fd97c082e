"""What in a definition does not run unchanged on AWS: extensions of this project, and a newer JSONata.

A definition that parse_definition takes is otherwise one that AWS takes: there are no more differences in
the file itself. Settings may lift limits of AWS (the size of payloads ...); those are not in the file.
"""

import re
from collections.abc import Iterator
from typing import Final

from etl_runner.asl.document import Node, Source
from etl_runner.asl.json_text import read_json
from etl_runner.asl.jsonata import is_jsonata
from etl_runner.asl.not_yet import CODE as NOT_YET
from etl_runner.asl.parse import lint
from etl_runner.asl.yaml_text import read_yaml
from etl_runner.errors import Fault

_QUOTED: Final = re.compile(r"\"(?:\\.|[^\"\\])*\"|'(?:\\.|[^'\\])*'|`[^`]*`|/\*.*?\*/", re.DOTALL)
_NEWER: Final = re.compile(r"\?\?|(?<!\()\?:")
"""`??` and `?:`; after a bracket the latter is part of a regular expression."""

_UNREADABLE: Final = frozenset({"definition-too-large", "invalid-text"})


def portable(text: str, *, file: str = "", yaml: bool = False, express: bool = False) -> list[Fault]:
    """Give what keeps a definition from running unchanged on AWS, in the order of the text.

    First of all that are its errors, as lint gives them, but for what only this release cannot run. The
    rest has severity "error" too where AWS would refuse the file or answer otherwise, and "warning" for YAML,
    which only has to be written as JSON.
    """
    errors = [
        fault
        for fault in lint(text, file=file, yaml=yaml, express=express)
        if fault.severity == "error" and fault.code != NOT_YET
    ]
    source = Source(text, file)
    if any(fault.code in _UNREADABLE for fault in errors):
        return errors
    document = read_yaml(source) if yaml else read_json(source)
    found = list(errors)
    if document.root is not None:
        if yaml:
            what = "AWS takes definitions in JSON, and this one is in YAML"
            remedy = "write it as JSON before it goes there; no value changes"
            found.append(source.fault(0, "yaml", what, remedy, severity="warning"))
        found.extend(_differences(document.root, source))
    return sorted(found, key=lambda fault: (fault.line, fault.column))


def _differences(node: Node, source: Source) -> Iterator[Fault]:
    for key, item in node.members():
        if key == "ChunkBytes" and node.name == "ReaderConfig":
            what = "ReaderConfig.ChunkBytes is an extension, which AWS refuses as an unknown field"
            remedy = "remove it; each item is then one row"
            yield source.fault(item.key_at, "extension", what, remedy, path=item.path)
        yield from _differences(item, source)
    for element in node.elements():
        yield from _differences(element, source)
    if is_jsonata(node.value):
        for operator in sorted(set(_NEWER.findall(_QUOTED.sub('""', node.value)))):
            what = f"the JSONata operator {operator} is newer than the JSONata 2.0 that AWS runs"
            remedy = "write it with $exists and ? :" if operator == "??" else "write it with ? :"
            yield source.fault(node.at, "newer-jsonata", what, remedy, path=node.path)
