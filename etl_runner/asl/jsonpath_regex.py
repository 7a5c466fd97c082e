"""Regular expressions in path filters: Java's, as far as Python's are the same."""

import re


class RegexError(ValueError):
    """A regular expression that cannot be used."""


class Regex:
    """A compiled regular expression; it matches a text as a whole."""

    __slots__ = ("_pattern",)

    def __init__(self, pattern: re.Pattern[str]) -> None:
        self._pattern = pattern

    def matches(self, text: str) -> bool:
        """Whether the whole text matches."""
        return self._pattern.fullmatch(text) is not None


_FLAGS = {"i": re.IGNORECASE, "m": re.MULTILINE, "s": re.DOTALL, "x": re.VERBOSE}


def compile_regex(body: str, flags: str) -> Regex:
    """Compile it. Raises RegexError."""
    options = re.RegexFlag(0)
    for flag in flags:
        options |= _FLAGS.get(flag, re.RegexFlag(0))
    try:
        return Regex(re.compile(body, options))
    except re.error as error:
        raise RegexError(f"is not valid: {error}") from None
