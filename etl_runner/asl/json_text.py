"""JSON (RFC 8259) with the place of every value; duplicate keys are faults, not a silent choice."""

import json
import math
import re
from typing import Final

from etl_runner.asl.document import MAX_DEPTH, Document, Mark, Node, PathKeys, Source, TextFault
from etl_runner.errors import Fault
from etl_runner.jsontypes import Json

_SPACE: Final = re.compile(r"[ \t\n\r]*")
_PLAIN_STRING: Final = re.compile(r'"([^"\\\x00-\x1f]*)"')
_STRING: Final = re.compile(r'"[^"\\\x00-\x1f]*+(?:\\(?:["\\/bfnrt]|u[0-9a-fA-F]{4})[^"\\\x00-\x1f]*+)*+"')
_STRING_PREFIX: Final = re.compile(_STRING.pattern[:-1])
_NUMBER: Final = re.compile(r"-?(?:0|[1-9][0-9]*)(\.[0-9]+)?([eE][+-]?[0-9]+)?")
_WORD: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
_WORDS: Final = {"true": True, "false": False, "null": None}
_CODE: Final = "invalid-json"


def read_json(source: Source) -> Document:
    """Read one JSON text. Never raises for what the text holds; the Document has the faults."""
    reader = _Reader(source)
    try:
        value, mark = reader.whole()
    except TextFault as fault:
        return Document(source, None, (source.fault(fault.at, fault.code, fault.what, fault.remedy),))
    return Document(source, Node(source, value, mark), tuple(reader.faults))


class _Reader:
    def __init__(self, source: Source) -> None:
        self.source = source
        self.text = source.text
        self.at = 0
        self.faults: list[Fault] = []

    def whole(self) -> tuple[Json, Mark]:
        if self.text.startswith(
            "\ufeff"
        ):  # a byte order mark; RFC 8259 section 8.1 lets a reader pass over it
            self.at = 1
        self._skip()
        if self.at == len(self.text):
            raise TextFault(0, "empty-definition", "the text is empty", "write a JSON object here")
        value = self._value(())
        self._skip()
        if self.at < len(self.text):
            raise self._expected("the end of the text, since the JSON value is complete")
        return value

    def _skip(self) -> None:
        found = _SPACE.match(self.text, self.at)
        if found:
            self.at = found.end()

    def _next(self) -> str:
        """Give the next character that is no space, without passing it; empty at the end."""
        self._skip()
        return self.text[self.at : self.at + 1]

    def _expected(self, what: str) -> TextFault:
        found = self.text[self.at : self.at + 1]
        seen = f"found {found!r}" if found else "found the end of the text"
        hint = {
            "/": "JSON has no comments; use the Comment field",
            "#": "JSON has no comments; use the Comment field",
            "'": "JSON strings take double quotes",
        }
        return TextFault(self.at, _CODE, f"expected {what}, {seen}", hint.get(found, ""))

    def _value(self, path: PathKeys) -> tuple[Json, Mark]:
        start = self.at
        mark = Mark(start)
        match self.text[start : start + 1]:
            case "{":
                return self._object(path, mark), mark
            case "[":
                return self._array(path, mark), mark
            case '"':
                return self._string("a string"), mark
            case _:
                return self._scalar(), mark

    def _object(self, path: PathKeys, mark: Mark) -> dict[str, Json]:
        self._open(path)
        value: dict[str, Json] = {}
        inside: dict[str, Mark] = {}
        mark.inside = inside
        if self._next() == "}":
            self.at += 1
            return value
        while True:
            self._skip()
            key_at = self.at
            key = self._string("a field name in double quotes")
            if self._next() != ":":
                raise self._expected(f"':' after the field name {key!r}")
            self.at += 1
            self._skip()
            item, item_mark = self._value((*path, key))
            item_mark.key = key_at
            if key in inside:
                self.faults.append(duplicate_key(self.source, key, key_at, inside[key].key, (*path, key)))
            value[key] = item
            inside[key] = item_mark
            if self._more("}"):
                return value

    def _array(self, path: PathKeys, mark: Mark) -> list[Json]:
        self._open(path)
        value: list[Json] = []
        inside: list[Mark] = []
        mark.inside = inside
        if self._next() == "]":
            self.at += 1
            return value
        while True:
            self._skip()
            item, item_mark = self._value((*path, len(value)))
            value.append(item)
            inside.append(item_mark)
            if self._more("]"):
                return value

    def _open(self, path: PathKeys) -> None:
        if len(path) >= MAX_DEPTH:
            raise too_deep(self.at)
        self.at += 1

    def _more(self, close: str) -> bool:
        """Pass a comma or the closing bracket; True when it was the bracket."""
        found = self._next()
        if found not in {",", close} or not found:
            raise self._expected(f"',' or {close!r}")
        self.at += 1
        if found == close:
            return True
        if self._next() == close:
            raise TextFault(
                self.at, _CODE, f"expected a value after ',', found {close!r}", "remove the comma"
            )
        return False

    def _string(self, what: str) -> str:
        plain = _PLAIN_STRING.match(self.text, self.at)
        if plain:
            self.at = plain.end()
            return plain[1]
        found = _STRING.match(self.text, self.at)
        if found is None:
            raise self._bad_string(what)
        value: str = json.loads(found[0])
        if not value.isascii() and any("\ud800" <= letter <= "\udfff" for letter in value):
            raise TextFault(
                self.at,
                _CODE,
                "this string has half of a surrogate pair, which no text can hold",
                "write both halves, \\ud83d\\ude00, or the character itself",
            )
        self.at = found.end()
        return value

    def _bad_string(self, what: str) -> TextFault:
        prefix = _STRING_PREFIX.match(self.text, self.at)
        if prefix is None:
            return self._expected(what)
        start, self.at = self.at, prefix.end()
        letter = self.text[self.at : self.at + 1]
        if not letter:
            return TextFault(start, _CODE, "this string has no closing quote", "close it with '\"'")
        if letter == "\\":
            return TextFault(
                self.at,
                _CODE,
                f"{self.text[self.at : self.at + 2]!r} is no JSON escape",
                'use one of \\" \\\\ \\/ \\b \\f \\n \\r \\t \\uXXXX',
            )
        return TextFault(
            self.at,
            _CODE,
            f"the control character {letter!r} stands in a string as it is",
            f"write it as \\u{ord(letter):04x}, or close the string before it",
        )

    def _scalar(self) -> Json:
        found = _NUMBER.match(self.text, self.at)
        if found:
            return self._number(found)
        word = _WORD.match(self.text, self.at)
        if word and word[0] in _WORDS:
            self.at = word.end()
            return _WORDS[word[0]]
        if word:
            raise TextFault(
                self.at,
                _CODE,
                f"{word[0]!r} is no JSON value",
                "put text in double quotes; only true, false and null stay bare",
            )
        raise self._expected("a value")

    def _number(self, found: re.Match[str]) -> int | float:
        after = self.text[found.end() : found.end() + 1]
        if after.isalnum() or after == ".":
            raise TextFault(
                self.at,
                _CODE,
                f"{found[0] + after!r} is no JSON number",
                "a number has no leading zero or unit",
            )
        value = to_number(found[0], self.at, whole=found[1] is None and found[2] is None)
        self.at = found.end()
        return value


def to_number(digits: str, at: int, *, whole: bool) -> int | float:
    """Turn the text of a number into its value, integers in full length. Raises TextFault out of range."""
    try:
        value = int(digits) if whole else float(digits)
    except ValueError:  # Python reads integers of up to 4,300 digits
        raise TextFault(
            at, "number-out-of-range", f"this number has {len(digits)} digits", "shorten it"
        ) from None
    if math.isinf(value):
        raise TextFault(
            at,
            "number-out-of-range",
            f"the number {digits[:40]} is beyond what a double can hold",
            "shorten it",
        )
    return value


def too_deep(at: int) -> TextFault:
    """Say that objects and arrays nest deeper than MAX_DEPTH."""
    return TextFault(
        at,
        "too-deeply-nested",
        f"objects and arrays nest more than {MAX_DEPTH} deep here",
        "move the inner part to a state machine of its own",
    )


def duplicate_key(source: Source, key: str, at: int, before: int, path: PathKeys) -> Fault:
    """Say that a key is there twice, with both places."""
    first = source.place(before)
    return source.fault(
        at,
        "duplicate-key",
        f"the field {key!r} is here a second time; the first is at {first.line}:{first.column}",
        "keep one of the two: which of them would count differs from reader to reader",
        path=path,
    )
