"""YAML files of the configuration, read into plain values that remember where they stood.

The reading itself is asl's (YAML 1.2's own values, so `NO` is text and 010 is refused; duplicate keys, tabs,
dates and other things JSON does not know are faults with their place). Here is what a *file* adds: bytes that
are no text, a file that is not there any more, a file that holds nothing.
"""

from dataclasses import replace
from typing import Final

from etl_runner.asl.document import Document, Node, Source
from etl_runner.asl.yaml_text import read_yaml
from etl_runner.errors import Fault

LIMIT_BYTES: Final = 1_048_576
"""The most that one file of the configuration may have; the largest sensible one is a tenth of it."""


def decode(data: bytes, file: str, *, most: float = LIMIT_BYTES) -> str | Fault:
    """Turn a file's bytes, at most so many, into text, or say what keeps them from being text."""
    if len(data) > most:
        return Fault(
            what=f"the file has {len(data):,} bytes, and {most:,} are allowed",
            remedy="split it",
            code="file-too-large",
            file=file,
        )
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        column = error.start - data.rfind(b"\n", 0, error.start)
        return Fault(
            what=f"the byte 0x{data[error.start]:02X} here is not UTF-8",
            remedy="save the file as UTF-8",
            code="invalid-text",
            file=file,
            line=line,
            column=column,
        )


def read_config_yaml(text: str, file: str) -> Document:
    """Read one YAML file whose top is a mapping. Never raises: the Document has the faults."""
    document = read_yaml(Source(text, file))
    faults = tuple(_in_words_of_config(fault) for fault in document.faults)
    root = document.root
    if root is not None and not isinstance(root.value, dict):
        what = "the file must hold a mapping at its top"
        remedy = "begin with the field that its folder asks for, as in 'schedules:'"
        wrong = document.source.fault(root.at, "invalid-type", what, remedy)
        return Document(document.source, None, (*faults, wrong))
    return Document(document.source, root, faults)


def node_at(root: Node, path: tuple[str | int, ...]) -> Node:
    """The node that a way of keys and indexes leads to, or the last one on the way that is there."""
    node = root
    for key in path:
        if isinstance(key, int):
            elements = list(node.elements())
            inner = elements[key] if key < len(elements) else None
        else:
            inner = node.get(key)
        if inner is None:
            return node
        node = inner
    return node


def _in_words_of_config(fault: Fault) -> Fault:
    if fault.code == "empty-definition":
        return replace(
            fault,
            code="empty-file",
            what="the file is empty",
            remedy="write an empty list such as 'schedules: []', or remove the file",
        )
    if "\\t" in fault.what:
        return replace(fault, remedy="indent with spaces; YAML allows no tabs there")
    return fault
