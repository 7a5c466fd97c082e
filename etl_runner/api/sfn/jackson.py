"""Why a text is no JSON, in the words of Jackson, the parser whose sentences AWS passes on to its callers.

`read` takes what our own parser takes; only for a text that it refuses is the sentence looked for, by reading
the text again the way Jackson does (2.10 and later, all its leniencies off) up to the first fault.
"""

import re
import unicodedata
from collections.abc import Callable
from typing import Final

from etl_runner.jsontypes import Json, loads

_VALUES: Final = "(JSON String, Number, Array, Object or token 'null', 'true' or 'false')"
_SPACE: Final = " \t\r\n"
_DIGITS: Final = frozenset("0123456789")
_HEX: Final = frozenset("0123456789abcdefABCDEF")
_PLAIN: Final = re.compile(r'[^"\\\x00-\x1f]*')
_BLANK: Final = re.compile(r"[ \t\r\n]*")
_NUMERALS: Final = re.compile(r"[0-9]*")
_ESCAPES: Final = frozenset('"\\/bfnrt')
_SHOWN: Final = 500
_LONGEST_TOKEN: Final = 256
_DEEPEST: Final = 1_000
"""StreamReadConstraints.DEFAULT_MAX_DEPTH."""


class NotJson(ValueError):  # noqa: N818 -- says what the text is
    """A text that is no JSON; the message is Jackson's, empty for a text without any value."""


class _Fault(Exception):  # noqa: N818 -- leaves the reading, and never this module
    pass


def read(text: str) -> Json:
    """Read JSON text. Raises NotJson."""
    try:
        return loads(text)
    except (ValueError, RecursionError):
        raise NotJson(fault_of(text)) from None


def fault_of(text: str) -> str:
    """The first fault of a text as Jackson tells it; empty when it finds none, or no value at all."""
    try:
        _Reading(text).document()
    except _Fault as fault:
        return str(fault)
    return ""


class _Reading:
    """One pass over a text.

    `open` holds, for each open object or array, its kind, where it began, and whether it is still empty.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self.at = 0
        self.open: list[tuple[str, int, bool]] = []

    # --- the grammar --------------------------------------------------------------------------------------

    def document(self) -> None:
        if not self.space():
            return
        self.value(self.here)
        while self.open:
            self.entry()
        if self.space():
            self.value(self.here)  # a fault in it is told first
            raise _Fault("Trailing token found after value: not allowed")

    def entry(self) -> None:
        """What stands between two values of the innermost object or array: a comma, a name, its end."""
        kind, began, first = self.open[-1]
        if not self.space():
            raise _Fault(
                f"Unexpected end-of-input: expected close marker for {kind} "
                f"(start marker at {self.place(began)})"
            )
        if self.here in "]}":
            return self.close(kind, began)
        if first:
            self.open[-1] = (kind, began, False)
        else:
            self.expect(",", f"was expecting comma to separate {kind} entries")
            if not self.space():
                raise _Fault(f"Unexpected end-of-input within/between {kind} entries")
        if kind == "Object":
            self.name()
        return self.value(self.here)

    def close(self, kind: str, began: int) -> None:
        wanted = "}" if kind == "Object" else "]"
        if self.here != wanted:
            raise _Fault(
                f"Unexpected close marker '{self.here}': expected '{wanted}' "
                f"(for {kind} starting at {self.place(began)})"
            )
        self.at += 1
        self.open.pop()

    def name(self) -> None:
        if self.here != '"':
            raise self.unexpected("was expecting double-quote to start field name")
        self.string(" in field name", "name")
        self.between()
        self.expect(":", "was expecting a colon to separate field name and value")
        self.between()

    def between(self) -> None:
        if not self.space():
            raise _Fault("Unexpected end-of-input within/between Object entries")

    def value(self, first: str) -> None:
        match first:
            case '"':
                self.string(": was expecting closing quote for a string value", "string value")
            case "{" | "[":
                self.open.append(("Object" if first == "{" else "Array", self.at, True))
                self.at += 1
                if len(self.open) > _DEEPEST:
                    raise _Fault(
                        f"Document nesting depth ({len(self.open)}) exceeds the maximum allowed "
                        f"({_DEEPEST}, from `StreamReadConstraints.getMaxNestingDepth()`)"
                    )
            case "t" | "f" | "n":
                self.literal({"t": "true", "f": "false", "n": "null"}[first])
            case "-":
                self.number()
            case _ if first in _DIGITS:
                self.number()
            case _:
                self.odd(first)

    def odd(self, first: str) -> None:
        if first == "}":
            raise self.unexpected("expected a value")
        if first == "]" and not self.open:
            raise _Fault(
                f"Unexpected close marker ']': expected '}}' (for root starting at {self.place(-1)})"
            )
        for token in ("NaN", "Infinity"):
            if first == token[0]:
                self.literal(token)
                allowing = "enable `JsonReadFeature.ALLOW_NON_NUMERIC_NUMBERS` to allow"
                raise _Fault(f"Non-standard token '{token}': {allowing}")
        if _begins_identifier(first):
            raise self.unrecognized(self.at)
        raise self.unexpected(f"expected a valid value {_VALUES}")

    def literal(self, token: str) -> None:
        began = self.at
        for char in token:
            if self.here != char:
                raise self.unrecognized(began)
            self.at += 1
        if self.here and self.here >= "0" and self.here not in "]}" and _goes_on_identifier(self.here):
            raise self.unrecognized(began)

    # --- strings and numbers ------------------------------------------------------------------------------

    def string(self, cut_off: str, what: str) -> None:
        self.at += 1
        while self.here != '"':
            if not self.here:
                raise _Fault(f"Unexpected end-of-input{cut_off}")
            if self.here == "\\":
                self.escape()
            elif self.here < " ":
                raise _Fault(
                    f"Illegal unquoted character ({_described(self.here)}): has to be escaped using "
                    f"backslash to be included in {what}"
                )
            else:
                self.skip(_PLAIN)
        self.at += 1

    def escape(self) -> None:
        self.at += 1
        kind = self.here
        self.at += 1
        if not kind:
            raise _Fault("Unexpected end-of-input in character escape sequence")
        if kind in _ESCAPES:
            return
        if kind != "u":
            raise _Fault(f"Unrecognized character escape {_described(kind)}")
        for _ in range(4):
            if not self.here:
                raise _Fault("Unexpected end-of-input in character escape sequence")
            if self.here not in _HEX:
                raise self.unexpected("expected a hex-digit for character escape sequence")
            self.at += 1

    def number(self) -> None:
        if self.here == "-":
            self.at += 1
            self.need_digit("expected digit (0-9) to follow minus sign, for valid numeric value")
        if self.here == "0":
            self.at += 1
            if self.here and self.here in _DIGITS:
                raise _Fault("Invalid numeric value: Leading zeroes not allowed")
        self.digits()
        if self.here == ".":
            self.at += 1
            self.need_digit("Decimal point not followed by a digit")
            self.digits()
        if self.here and self.here in "eE":
            self.at += 1
            if self.here and self.here in "+-":
                self.at += 1
            self.need_digit("Exponent indicator not followed by a digit")
            self.digits()
        if not self.open and self.here and self.here not in _SPACE:
            raise self.unexpected("Expected space separating root-level values")

    def digits(self) -> None:
        self.skip(_NUMERALS)

    def need_digit(self, otherwise: str) -> None:
        if not self.here:
            raise _Fault("Unexpected end-of-input in a Number value")
        if self.here not in _DIGITS:
            raise _Fault(f"Unexpected character ({_described(self.here)}) in numeric value: {otherwise}")

    # --- characters ---------------------------------------------------------------------------------------

    @property
    def here(self) -> str:
        """The character to be read next; empty at the end."""
        return self.text[self.at : self.at + 1]

    def skip(self, run: re.Pattern[str]) -> None:
        """Pass over a run of characters, at once: a text may have hundreds of thousands."""
        found = run.match(self.text, self.at)
        assert found is not None
        self.at = found.end()

    def space(self) -> bool:
        """Pass over white space. False at the end of the text."""
        self.skip(_BLANK)
        if self.here == "/":
            raise self.unexpected(
                "maybe a (non-standard) comment? (not recognized as one since Feature 'ALLOW_COMMENTS' not "
                "enabled for parser)"
            )
        if self.here and self.here < " ":
            raise _Fault(
                f"Illegal character ({_described(self.here)}): only regular white space (\\r, \\n, \\t) is "
                "allowed between tokens"
            )
        return self.here != ""

    def expect(self, char: str, otherwise: str) -> None:
        if self.here != char:
            raise self.unexpected(otherwise)
        self.at += 1

    def unexpected(self, comment: str) -> _Fault:
        return _Fault(f"Unexpected character ({_described(self.here)}): {comment}")

    def unrecognized(self, began: int) -> _Fault:
        end = max(self.at, began + 1)
        while end < len(self.text) and end - began < _LONGEST_TOKEN and _goes_on_identifier(self.text[end]):
            end += 1
        return _Fault(f"Unrecognized token '{self.text[began:end]}': was expecting {_VALUES}")

    def place(self, at: int) -> str:
        """A place as Jackson names it, with the beginning of the text."""
        shown = f'"{self.text[:_SHOWN]}"'
        if len(self.text) > _SHOWN:
            shown += f"[truncated {len(self.text) - _SHOWN} chars]"
        line_began = self.text.rfind("\n", 0, max(at, 0)) + 1
        line = self.text.count("\n", 0, max(at, 0)) + 1
        return f"[Source: (String){shown}; line: {line}, column: {at - line_began + 1}]"


def _described(char: str) -> str:
    code = ord(char)
    if unicodedata.category(char) == "Cc":
        return f"(CTRL-CHAR, code {code})"
    return f"'{char}' (code {code} / 0x{code:x})" if code > 255 else f"'{char}' (code {code})"


def _of_categories(*categories: str) -> Callable[[str], bool]:
    wanted = frozenset(categories)
    return lambda char: unicodedata.category(char) in wanted


_STARTS: Final = ("Lu", "Ll", "Lt", "Lm", "Lo", "Nl", "Sc", "Pc")
_begins_identifier: Final = _of_categories(*_STARTS)
_goes_on_identifier: Final = _of_categories(*_STARTS, "Nd", "Mn", "Mc", "Cf")
"""Java's rules for identifiers, by the categories of Unicode."""
