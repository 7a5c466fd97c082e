"""YAML 1.2 with the place of every value, read from the parser's events.

Values are told apart by the core schema of YAML 1.2 (chapter 10.3), here and not by the library, so that
`NO` is text and a bare date is refused by name instead of becoming an object that JSON does not know.
Aliases are copied out under a bound, since ten lines of them can stand for a billion values.
"""

import re
from collections.abc import Iterator
from typing import Any, Final

from ruamel.yaml import YAML
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import (
    AliasEvent,
    DocumentEndEvent,
    DocumentStartEvent,
    MappingEndEvent,
    MappingStartEvent,
    ScalarEvent,
    SequenceEndEvent,
    SequenceStartEvent,
    StreamStartEvent,
)

from etl_runner.asl.document import MAX_DEPTH, Document, Mark, Node, PathKeys, Source, TextFault
from etl_runner.asl.json_text import duplicate_key, to_number, too_deep
from etl_runner.errors import Fault
from etl_runner.jsontypes import Json

MAX_VALUES: Final = 200_000
"""How many values a YAML text may stand for once its aliases are copied out."""

_CODE: Final = "invalid-yaml"
_NOT_JSON: Final = "not-a-json-value"
_TAGS: Final = "tag:yaml.org,2002:"
_NULL: Final = frozenset({"", "~", "null", "Null", "NULL"})
_TRUE: Final = frozenset({"true", "True", "TRUE"})
_FALSE: Final = frozenset({"false", "False", "FALSE"})
_DECIMAL: Final = re.compile(r"[-+]?[0-9]+")
_OTHER_BASE: Final = re.compile(r"0o[0-7]+|0x[0-9a-fA-F]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_NO_NUMBER: Final = re.compile(r"[-+]?\.(?:inf|Inf|INF)|\.(?:nan|NaN|NAN)")
_DATE: Final = re.compile(r"[0-9]{4}-[0-9]{1,2}-[0-9]{1,2}(?:[Tt \t].*)?")
_MERGE: Final = "<<"


def read_yaml(source: Source) -> Document:
    """Read one YAML document. Never raises for what the text holds; the Document has the faults."""
    reader = _Reader(source)
    try:
        value, mark = reader.whole()
    except TextFault as fault:
        return Document(source, None, (source.fault(fault.at, fault.code, fault.what, fault.remedy),))
    except MarkedYAMLError as error:
        mark = error.problem_mark or error.context_mark
        what = " ".join(str(part) for part in (error.context, error.problem) if part)
        return Document(source, None, (source.fault(mark.index if mark else 0, _CODE, what),))
    except YAMLError as error:  # the reader's: a character that YAML does not allow
        at = getattr(error, "position", 0)
        what = f"the character {source.text[at : at + 1]!r} is not allowed in YAML"
        return Document(source, None, (source.fault(at, _CODE, what, "remove it or write it as an escape"),))
    except Exception as error:  # noqa: BLE001 -- the library's scanner fails in its own ways on odd escapes
        what = f"the YAML cannot be read: {type(error).__name__}: {error}"
        return Document(source, None, (source.fault(0, _CODE, what),))
    return Document(source, Node(source, value, mark), tuple(reader.faults))


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.faults: list[Fault] = []
        self.anchors: dict[str, tuple[Json, Mark, int]] = {}
        self.count = 0
        self.events: Iterator[Any] = iter(())

    def whole(self) -> tuple[Json, Mark]:
        self.events = YAML(typ="safe", pure=True).parse(self.source.text)
        start = self._next(StreamStartEvent)
        start = next(self.events)
        if not isinstance(start, DocumentStartEvent):
            raise TextFault(0, "empty-definition", "the text is empty", "write a YAML mapping here")
        if start.version not in {None, (1, 2)}:
            raise TextFault(
                _at(start),
                _CODE,
                "the %YAML directive asks for another version than 1.2",
                "remove the directive",
            )
        value, mark = self._value(next(self.events), ())
        self._next(DocumentEndEvent)
        after = next(self.events)
        if isinstance(after, DocumentStartEvent):
            raise TextFault(
                _at(after), _CODE, "a second YAML document starts here", "put it in a file of its own"
            )
        return value, mark

    def _next(self, kind: type) -> Any:
        event = next(self.events)
        assert isinstance(event, kind), event
        return event

    def _value(self, event: Any, path: PathKeys) -> tuple[Json, Mark]:
        self._count(1, event)
        if isinstance(event, AliasEvent):
            return self._alias(event, path)
        if len(path) >= MAX_DEPTH and not isinstance(event, ScalarEvent):
            raise too_deep(_at(event))
        before = self.count
        mark = Mark(_at(event))
        value: Json
        if isinstance(event, ScalarEvent):
            value = self._scalar_or_fault(event, path)
        elif isinstance(event, SequenceStartEvent):
            value = self._sequence(event, path, mark)
        else:
            value = self._mapping(event, path, mark)
        if event.anchor:
            self.anchors[event.anchor] = (value, mark, self.count - before + 1)
        return value, mark

    def _count(self, more: int, event: Any) -> None:
        self.count += more
        if self.count > MAX_VALUES:
            raise TextFault(
                _at(event),
                _CODE,
                f"its aliases copied out, this stands for more than {MAX_VALUES:,} values",
                "use fewer aliases of aliases",
            )

    def _alias(self, event: Any, path: PathKeys) -> tuple[Json, Mark]:
        if event.anchor not in self.anchors:
            raise TextFault(
                _at(event),
                _CODE,
                f"the alias *{event.anchor} has no complete anchor before it",
                "define the anchor above, outside of itself",
            )
        value, mark, size = self.anchors[event.anchor]
        self._count(size, event)
        if len(path) + _depth(value) > MAX_DEPTH:
            raise too_deep(_at(event))
        copy = Mark(_at(event))  # this place is the alias's own, what is inside stands at the anchor
        copy.inside = mark.inside
        return value, copy

    def _sequence(self, start: Any, path: PathKeys, mark: Mark) -> list[Json]:
        _check_tag(start, "seq")
        value: list[Json] = []
        inside: list[Mark] = []
        mark.inside = inside
        while not isinstance(event := next(self.events), SequenceEndEvent):
            item, item_mark = self._value(event, (*path, len(value)))
            value.append(item)
            inside.append(item_mark)
        return value

    def _mapping(self, start: Any, path: PathKeys, mark: Mark) -> dict[str, Json]:
        assert isinstance(start, MappingStartEvent)
        _check_tag(start, "map")
        value: dict[str, Json] = {}
        inside: dict[str, Mark] = {}
        mark.inside = inside
        while not isinstance(event := next(self.events), MappingEndEvent):
            key = self._key(event)
            key_at = _at(event)
            of_key = next(self.events)
            item, item_mark = self._value(of_key, (*path, key))
            item_mark.key = key_at
            if of_key.start_mark.index == of_key.end_mark.index:  # nothing stands there, which is null
                item_mark.at = key_at
            if key in inside:
                self.faults.append(duplicate_key(self.source, key, key_at, inside[key].key, (*path, key)))
            value[key] = item
            inside[key] = item_mark
        return value

    def _key(self, event: Any) -> str:
        self._count(1, event)
        key: Json = None
        if isinstance(event, AliasEvent):
            key = self._alias(event, ())[0]
        elif isinstance(event, ScalarEvent):
            if event.value == _MERGE and event.style is None:
                raise TextFault(
                    _at(event),
                    _CODE,
                    "the merge key '<<' is no part of YAML 1.2",
                    "write the fields out, or alias them one by one",
                )
            key = self._scalar(event)
            if event.anchor:
                self.anchors[event.anchor] = (key, Mark(_at(event)), 1)
        if not isinstance(key, str):
            shown = getattr(event, "value", "a collection")
            raise TextFault(_at(event), _NOT_JSON, f"the key {shown!r} is no string", "put it in quotes")
        return key

    def _scalar_or_fault(self, event: Any, path: PathKeys) -> Json:
        """Give the scalar; one that JSON has no form for is a fault, and its text goes on in its place."""
        try:
            return self._scalar(event)
        except TextFault as fault:
            self.faults.append(self.source.fault(fault.at, fault.code, fault.what, fault.remedy, path=path))
            return event.value

    def _scalar(self, event: Any) -> Json:
        text: str = event.value
        if any("\ud800" <= letter <= "\udfff" for letter in text if letter > "\u007f"):
            raise TextFault(
                _at(event), _CODE, "this string has half of a surrogate pair, which no text can hold"
            )
        tag = event.tag
        if tag is not None and str(tag) not in {"!", f"{_TAGS}str"}:
            return _tagged(event, str(tag))
        if tag is not None or event.style is not None:
            return text
        return _plain(text, _at(event))


def _at(event: Any) -> int:
    index: int = event.start_mark.index
    return index


def _depth(value: Json) -> int:
    if isinstance(value, dict):
        return 1 + max(map(_depth, value.values()), default=0)
    if isinstance(value, list):
        return 1 + max(map(_depth, value), default=0)
    return 0


def _check_tag(event: Any, allowed: str) -> None:
    if event.tag is not None and str(event.tag) not in {"!", f"{_TAGS}{allowed}"}:
        raise _unknown_tag(event)


def _unknown_tag(event: Any) -> TextFault:
    tag = str(event.tag).replace(_TAGS, "!!")
    return TextFault(
        _at(event),
        _NOT_JSON,
        f"the tag {tag} makes something that JSON has no form for",
        "write the value itself; CloudFormation's tags have to be resolved before",
    )


def _tagged(event: Any, tag: str) -> Json:
    value = _plain(event.value, _at(event))
    kinds: dict[str, type | tuple[type, ...]] = {
        "int": int,
        "float": (int, float),
        "bool": bool,
        "null": type(None),
    }
    wanted = kinds.get(tag.removeprefix(_TAGS)) if tag.startswith(_TAGS) else None
    if wanted is None or not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        raise _unknown_tag(event)
    return value


def _plain(text: str, at: int) -> Json:
    """Tell what a scalar without quotes is. Raises TextFault for what JSON has no form for."""
    if text in _NULL:
        return None
    if text in _TRUE or text in _FALSE:
        return text in _TRUE
    return _number_or_text(text, at) if text[0] in "0123456789+-." else text


def _number_or_text(text: str, at: int) -> Json:
    if _DECIMAL.fullmatch(text):
        if len(text.lstrip("+-")) > 1 and text.lstrip("+-").startswith("0"):
            raise TextFault(
                at,
                _NOT_JSON,
                f"{text} starts with a zero: YAML 1.1 reads it as octal, YAML 1.2 as decimal",
                "put it in quotes if it is text, or drop the zero",
            )
        return to_number(text, at, whole=True)
    if _OTHER_BASE.fullmatch(text):
        return int(text, 0)
    if _FLOAT.fullmatch(text):
        return to_number(text, at, whole=False)
    if _NO_NUMBER.fullmatch(text):
        raise TextFault(
            at, _NOT_JSON, f"{text} is a number that JSON has no form for", "put it in quotes if it is text"
        )
    if _DATE.fullmatch(text):
        raise TextFault(
            at, _NOT_JSON, f"{text} reads as a date, which JSON has no form for", "put it in quotes"
        )
    return text
