"""What reading paths and filters shares: blanks, brackets, escapes, and literals as Jayway takes them."""

import re
from typing import Final

from etl_runner.jsontypes import Json

_NUMBER: Final = re.compile(r"-?(?:[0-9]+\.?[0-9]*|\.[0-9]+)(?:[eE][+-]?[0-9]+)?")
_ESCAPES: Final = {"n": "\n", "t": "\t", "r": "\r", "b": "\b", "f": "\f"}
_ESCAPE: Final = re.compile(r"\\(u[0-9a-fA-F]{4}|.)", re.DOTALL)
_NESTING_MAX: Final = 100


def skip_spaces(text: str, position: int) -> int:
    """The first position from `position` on that holds no blank."""
    while position < len(text) and text[position] == " ":
        position += 1
    return position


def unescape(text: str) -> str:
    """Resolve backslash escapes; an unknown one stands for the character itself."""
    return _ESCAPE.sub(_unescaped, text) if "\\" in text else text


def _unescaped(match: re.Match[str]) -> str:
    body = match[1]
    return chr(int(body[1:], 16)) if len(body) == 5 else _ESCAPES.get(body, body)


def end_of_quoted(text: str, position: int) -> int:
    """Where the quoted text (or /regex/) that begins at `position` ends, -1 if it does not."""
    quote = text[position]
    end = position + 1
    while end < len(text) and text[end] != quote:
        end += 2 if text[end] == "\\" else 1
    return end if end < len(text) else -1


def closing(text: str, position: int, opener: str, closer: str, *, regexes: bool = False) -> int:
    """Where the bracket opened at `position` is closed, -1 if it is not. Quoted text does not count."""
    depth = 0
    while position < len(text):
        character = text[position]
        if character in "'\"" or (regexes and character == "/"):
            position = end_of_quoted(text, position)
            if position < 0:
                return -1
        elif character == opener:
            depth += 1
        elif character == closer:
            depth -= 1
            if depth == 0:
                return position
        position += 1
    return -1


def number(text: str) -> int | float:
    """Read a number literal. Raises ValueError."""
    if not _NUMBER.fullmatch(text):
        raise ValueError(f"{text!r} is not a number")
    return float(text) if set(text) & set(".eE") else int(text)


def read_json(text: str) -> Json:
    """Read a literal: JSON, but single quotes, bare words and a comma at the end are taken too.

    Raises ValueError.
    """
    value, end = _read(text, _blank(text, 0), 0)
    if _blank(text, end) != len(text):
        raise ValueError(f"unexpected {text[end:]!r}")
    return value


def _blank(text: str, position: int) -> int:
    while position < len(text) and text[position] in " \t\r\n":
        position += 1
    return position


def _read(text: str, position: int, depth: int) -> tuple[Json, int]:
    if depth > _NESTING_MAX:
        raise ValueError(f"nested more than {_NESTING_MAX} deep")
    sign = text[position : position + 1]
    if sign == "[":
        return _read_array(text, position, depth)
    if sign == "{":
        return _read_object(text, position, depth)
    if sign in ("'", '"'):
        end = end_of_quoted(text, position)
        if end < 0:
            raise ValueError("a text is not closed")
        return unescape(text[position + 1 : end]), end + 1
    return _read_word(text, position)


def _read_word(text: str, position: int) -> tuple[Json, int]:
    end = position
    while end < len(text) and text[end] not in ",:[]{}":
        end += 1
    word = text[position:end].strip()
    if not word:
        raise ValueError(f"expected a value at {text[position:]!r}")
    if _NUMBER.fullmatch(word):
        return number(word), end
    return {"true": True, "false": False, "null": None}.get(word, word), end


def _read_array(text: str, position: int, depth: int) -> tuple[Json, int]:
    items: list[Json] = []
    position = _blank(text, position + 1)
    while text[position : position + 1] != "]":
        item, position = _read(text, position, depth + 1)
        items.append(item)
        position = _after_item(text, position, "]")
    return items, position + 1


def _read_object(text: str, position: int, depth: int) -> tuple[Json, int]:
    fields: dict[str, Json] = {}
    position = _blank(text, position + 1)
    while text[position : position + 1] != "}":
        key, position = _read(text, position, depth + 1)
        position = _blank(text, position)
        if text[position : position + 1] != ":":
            raise ValueError("expected ':'")
        fields[str(key)], position = _read(text, _blank(text, position + 1), depth + 1)
        position = _after_item(text, position, "}")
    return fields, position + 1


def _after_item(text: str, position: int, closer: str) -> int:
    position = _blank(text, position)
    if text[position : position + 1] == ",":
        return _blank(text, position + 1)
    if text[position : position + 1] != closer:
        raise ValueError(f"expected ',' or {closer!r}")
    return position
