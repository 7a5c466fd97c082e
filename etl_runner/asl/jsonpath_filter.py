"""The filters of a path, `[?(...)]`: from their text to a predicate, with Jayway's grammar."""

import re
from collections.abc import Callable
from typing import Final, Protocol, TypeAlias

from etl_runner.asl.jsonpath_compare import MISSING, OPERATORS, Comparison
from etl_runner.asl.jsonpath_regex import Regex, RegexError, compile_regex
from etl_runner.asl.jsonpath_steps import PathNotFound, PathRefused, PathSyntaxError, Predicate
from etl_runner.asl.jsonpath_text import closing, end_of_quoted, number, read_json, skip_spaces, unescape
from etl_runner.jsontypes import Json

_Operand: TypeAlias = Callable[[Json, Json], Json]
"""(item, root) -> the operand's value; MISSING where its path leads nowhere."""

_RELATION: Final = frozenset("<>=~!")
_BARE_WORD: Final = re.compile(r"[^\W\d][\w-]*")
_AFTER_OPERAND: Final = ("", ")", "&", "|")
_WORDS: Final = {"true": True, "false": False, "null": None}
_NESTING_MAX: Final = 50


class InnerPath(Protocol):
    """A compiled path inside the filter."""

    @property
    def from_root(self) -> bool:
        """Whether it starts with `$`."""
        ...

    def evaluate(self, document: Json, root: Json | None = None) -> Json:
        """Give its value. Raises PathNotFound."""
        ...

    def walk(self, document: Json, root: Json, *, strict: bool = False) -> Json:
        """Give its value, step by step. Raises PathNotFound."""
        ...


def compile_filter(text: str, start: int, end: int, compile_path: Callable[[str], InnerPath]) -> Predicate:
    """Compile the expression in `text[start:end]`, what stands between `[?(` and `)]`.

    Raises PathSyntaxError with an offset into `text`.
    """
    parser = _Parser(text, start, end, compile_path)
    predicate = parser.either()
    parser.skip()
    if parser.position < end:
        raise parser.fault("expected '&&', '||' or the end of the filter")
    return predicate


class _Parser:
    """Reads one filter, left to right: || binds weaker than &&, ! stands before ( or a path."""

    def __init__(self, text: str, start: int, end: int, compile_path: Callable[[str], InnerPath]) -> None:
        self.text = text
        self.start = start
        self.end = end
        self.position = start
        self.depth = 0
        self.compile_path = compile_path

    def fault(self, reason: str, position: int | None = None) -> PathSyntaxError:
        return PathSyntaxError(
            f"{reason}, in a filter", self.text, self.position if position is None else position
        )

    def skip(self) -> str:
        """Go past blanks; give the next character, "" at the end."""
        self.position = min(skip_spaces(self.text, self.position), self.end)
        return self.text[self.position] if self.position < self.end else ""

    def taken(self, sign: str) -> bool:
        self.skip()
        if not self.text.startswith(sign, self.position, self.end):
            return False
        self.position += len(sign)
        return True

    def either(self) -> Predicate:
        parts = [self.both()]
        while self.taken("||"):
            parts.append(self.both())
        return parts[0] if len(parts) == 1 else _any_of(parts)

    def both(self) -> Predicate:
        parts = [self.operand()]
        while self.taken("&&"):
            parts.append(self.operand())
        return parts[0] if len(parts) == 1 else _all_of(parts)

    def operand(self) -> Predicate:
        self.depth += 1
        if self.depth > _NESTING_MAX:
            raise self.fault(f"brackets are nested more than {_NESTING_MAX} deep")
        try:
            sign = self.skip()
            if sign == "!" and self.text[skip_spaces(self.text, self.position + 1)] not in "$@":
                self.position += 1
                return _not(self.operand())
            if sign == "(":
                self.position += 1
                inner = self.either()
                if not self.taken(")"):
                    raise self.fault("expected ')'")
                return inner
            return self.comparison()
        finally:
            self.depth -= 1

    def comparison(self) -> Predicate:
        left_start = self.position
        left, path, wanted = self.value()
        after_left = self.position
        try:
            start = self.position
            compare = self.operator()
            right = self.bare_word() if self.text[start : self.position].strip() == "==" else None
            if right is None:
                right, _, _ = self.value()
        except PathSyntaxError:
            # Not a comparison: then what was read so far asks whether the path is there.
            self.position = after_left
            if path is None or self.skip() not in _AFTER_OPERAND:
                raise
            return _exists(path, wanted=wanted)
        if left_start == after_left:
            raise self.fault("expected a value")
        return _comparison(left, compare, right)

    def operator(self) -> Comparison:
        sign = self.skip()
        start = self.position
        relation = sign in _RELATION
        while self.position < self.end:
            character = self.text[self.position]
            if (character not in _RELATION) if relation else character == " ":
                break
            self.position += 1
        name = self.text[start : self.position].upper()
        compare = OPERATORS.get(name)
        if compare is None:
            raise self.fault(f"there is no operator {name!r}", start)
        return compare

    def value(self) -> tuple[_Operand, InnerPath | None, bool]:
        """An operand; if it is a path, the path too, and whether it stands without a `!`."""
        sign = self.skip()
        if not sign:
            raise self.fault("expected a value")
        wanted = True
        if sign == "!":
            self.position += 1
            sign, wanted = self.skip(), False
            if sign not in ("$", "@"):
                raise self.fault("expected a path after '!'")
        if sign in "$@":
            path = self.compile_path(self.path_text())
            return _path_value(path), path, wanted
        return _constant(self.literal(sign)), None, wanted

    def path_text(self) -> str:
        start = self.position
        self.position += 1
        while self.position < self.end:
            character = self.text[self.position]
            if character == "[":
                close = closing(self.text, self.position, "[", "]")
                if close < 0 or close >= self.end:
                    raise self.fault("the bracket is not closed")
                self.position = close + 1
                continue
            if character in _RELATION or character == " " or (character == ")" and not self.ends_call(start)):
                break
            self.position += 1
        return self.text[start : self.position]

    def ends_call(self, start: int) -> bool:
        """Whether the `)` here closes the `()` of a function in the path that began at `start`."""
        return self.text[self.position - 1] == "(" and "." in self.text[start + 1 : self.position - 1]

    def literal(self, sign: str) -> Json | Regex:
        if sign in "'\"/":
            close = end_of_quoted(self.text, self.position)
            if close < 0 or close >= self.end:
                raise self.fault(f"the closing {sign} is missing")
            body = self.text[self.position + 1 : close]
            start, self.position = self.position, close + 1
            return self.regex(body, start) if sign == "/" else unescape(body)
        if sign in "[{":
            close = closing(self.text, self.position, sign, "]" if sign == "[" else "}")
            if close < 0 or close >= self.end:
                raise self.fault("the bracket is not closed")
            body, start = self.text[self.position : close + 1], self.position
            self.position = close + 1
            try:
                return read_json(body)
            except ValueError as error:
                raise self.fault(str(error), start) from None
        for word, constant in _WORDS.items():
            if self.text.startswith(word, self.position, self.end):
                self.position += len(word)
                return constant
        return self.number()

    def bare_word(self) -> _Operand | None:
        """Text without quotes after `==`: beyond Jayway, but deployed workflows have `@.status==Failed`."""
        self.skip()
        found = _BARE_WORD.match(self.text, self.position, self.end)
        if found is None or found[0] in _WORDS:
            return None
        self.position = found.end()
        return _constant(found[0])

    def regex(self, body: str, start: int) -> Regex:
        flags = self.position
        while self.position < self.end and self.text[self.position] in "idmsuxU":
            self.position += 1
        try:
            return compile_regex(body, self.text[flags : self.position])
        except RegexError as error:
            raise self.fault(f"the regular expression /{body}/ {error}", start) from None

    def number(self) -> Json:
        start = self.position
        while self.position < self.end and self.text[self.position] in "0123456789.-eE":
            self.position += 1
        try:
            return number(self.text[start : self.position])
        except ValueError:
            raise self.fault("expected a path, text, number, list, true, false or null", start) from None


def _any_of(parts: list[Predicate]) -> Predicate:
    return lambda item, root: any(part(item, root) for part in parts)


def _all_of(parts: list[Predicate]) -> Predicate:
    return lambda item, root: all(part(item, root) for part in parts)


def _not(part: Predicate) -> Predicate:
    return lambda item, root: not part(item, root)


def _exists(path: InnerPath, *, wanted: bool) -> Predicate:
    def there(item: Json, root: Json) -> bool:
        try:
            # From the item even for `$...`: Jayway asks so.
            path.walk(item, root, strict=True)
        except PathRefused:
            raise
        except PathNotFound:
            return not wanted
        return wanted

    return there


def _path_value(path: InnerPath) -> _Operand:
    def value(item: Json, root: Json) -> Json:
        try:
            return path.evaluate(root if path.from_root else item, root)
        except PathRefused:
            raise
        except PathNotFound:
            return MISSING

    return value


def _constant(constant: Json) -> _Operand:
    return lambda _item, _root: constant


def _comparison(left: _Operand, compare: Comparison, right: _Operand) -> Predicate:
    return lambda item, root: compare(left(item, root), right(item, root))
