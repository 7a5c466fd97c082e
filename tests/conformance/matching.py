"""Is an answer the recorded one? Placeholders stand for one value each, everything else has to be the same.

What is not compared, since nobody can know it: stack traces of functions, the HTTP headers of the services
behind an integration (where the recording marks them lenient), moments, and request ids.
"""

import json
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from itertools import zip_longest
from typing import Any, Final

Json = Any

_TIME_WORD: Final = re.compile(r"<?(?:timestamp|datetime|date|time|[a-z]+-(?:time|date))>?")
_ISO: Final = re.compile(
    r"\d\d-\d\d-\d{4}T[0-9:]+Z?|\d{4}-\d\d-\d\dT\d\d:\d\d(?::\d\d(?:\.\d+)?)?(?:Z|[+-]\d\d:?\d\d)?"
)
_TOKEN: Final = re.compile(r"<[A-Za-z_][\w:\-]*>")
_FREE: Final = frozenset(
    {"<request-id>", "<request_id>", "<extended_request_id>", "<omitted>", "<partition>"}
)
_WORDS: Final = {
    "RequestId",
    "x-amzn-RequestId",
    "X-Amzn-Trace-Id",
    "a_task_token",
    "a_message_id",
    "map_run_arn",
    "bytes",
}
"""Placeholders without brackets: each stands for any text."""

_UNKNOWABLE: Final = re.compile(
    r"SdkHttpMetadata|SdkResponseMetadata|AllHttpHeaders|HttpHeaders|Checksum\w+|billingDetails|ContentType"
)
"""Lenient paths that are followed. The others are of what a peer lacks."""

_STAND_IN: Final = frozenset({"SignatureVersion", "account"})
"""What moto writes in its own way into messages that it delivers; no answer of ours has them at its top."""

_MISSING: Final = object()


@dataclass(slots=True)
class Difference:
    """Where an answer is not the recorded one."""

    path: str
    expected: Json
    actual: Json

    def __str__(self) -> str:
        missing = {True: "(nothing)"}
        wanted, found = (
            missing.get(value is _MISSING) or json.dumps(value, default=str)[:1500]
            for value in (self.expected, self.actual)
        )
        return f"{self.path}\n      AWS  {wanted}\n      ours {found}"


@dataclass(slots=True)
class Matcher:
    """Compares answers of one scenario; `known` is what each placeholder stands for so far."""

    lenient_paths: Sequence[str] = ()
    known: dict[str, str] = field(default_factory=dict)
    _lenient: set[str] = field(default_factory=set, init=False)

    def __post_init__(self) -> None:
        names = {path.rpartition(".")[2] for path in self.lenient_paths}
        self._lenient = {name for name in names if _UNKNOWABLE.fullmatch(name)}

    def differences(self, expected: Json, actual: Json) -> list[Difference]:
        """Everything that is not as recorded."""
        return list(self._compare(expected, actual, "$", told=False))

    def _compare(self, expected: Json, actual: Json, path: str, *, told: bool) -> Iterator[Difference]:
        """`told`: inside a JSON text, where strings are no more read as JSON."""
        if isinstance(expected, dict | list) and isinstance(actual, str) and not told:
            actual = _read(actual, default=actual)
            told = True
        if isinstance(expected, dict) and isinstance(actual, dict):
            yield from self._compare_objects(expected, actual, path, told=told)
        elif isinstance(expected, list) and isinstance(actual, list):
            for place, (wanted, found) in enumerate(zip_longest(expected, actual, fillvalue=_MISSING)):
                yield from self._compare(wanted, found, f"{path}[{place}]", told=told)
        elif isinstance(expected, str) and isinstance(actual, str):
            if not self._same_text(expected, actual):
                yield Difference(path, expected, actual)
        elif actual is None and isinstance(expected, str) and expected == "stop-date":
            return  # blanked before the end, too
        elif not _same_value(expected, actual):
            yield Difference(path, expected, actual)

    def _compare_objects(
        self, expected: Json, actual: Json, path: str, *, told: bool
    ) -> Iterator[Difference]:
        for key in {**expected, **actual}:
            at = f"{path}.{key}"
            if key == "stackTrace" and key in expected and key in actual:
                continue
            if key == "ChecksumType" and key not in actual:
                continue  # moto's S3 says nothing of it
            if key in _STAND_IN and at.removeprefix("$").count(".") == 1:
                continue
            if key in self._lenient and (
                key in actual or key == "billingDetails" or key.startswith("Checksum")
            ):
                continue
            if key not in expected or key not in actual:
                yield Difference(at, expected.get(key, _MISSING), actual.get(key, _MISSING))
            else:
                yield from self._compare(expected[key], actual[key], at, told=told)

    def _same_text(self, expected: str, actual: str) -> bool:
        expected = expected.replace("<<task_token>:1>", "<task_token:1>")
        if expected == actual or expected in _WORDS or "{short_uid()}" in expected:
            return True
        if _TIME_WORD.fullmatch(expected) and (_ISO.fullmatch(actual) or actual.replace(".", "").isdigit()):
            return True
        if expected[:1] in {"{", "["} and (wanted := _read(_quoted(expected))) is not None:
            found = _read(actual)
            if isinstance(found, type(wanted)):
                return not list(self._compare(wanted, found, "", told=True))
        return self._same_pattern(expected, actual)

    def _same_pattern(self, expected: str, actual: str) -> bool:
        """Whether the text is the same with each placeholder standing for what it stood for before."""
        names: list[str] = []
        pattern = ""
        end = 0
        for token in _TOKEN.finditer(expected):
            pattern += _with_times(expected[end : token.start()])
            end = token.end()
            name = token[0]
            if name in self.known:
                pattern += re.escape(self.known[name])
            elif name in _FREE or _TIME_WORD.fullmatch(name):
                pattern += ".*?"
            elif name in names:
                pattern += f"(?P=g{names.index(name)})"
            else:
                pattern += f"(?P<g{len(names)}>.+?)"
                names.append(name)
        pattern += _with_times(expected[end:])
        found = re.fullmatch(pattern, actual, re.DOTALL)
        if found is None:
            return False
        for place, name in enumerate(names):
            self.known[name] = found[f"g{place}"]
        return True


def _with_times(text: str) -> str:
    """A literal in a pattern; the word `date` may stand for a moment."""
    return re.escape(text).replace("date", rf"(?:date|{_ISO.pattern})")


def _quoted(text: str) -> str:
    """Some placeholders stand in the place of a JSON string with its quotes."""
    return re.sub(r':(<[\w-]+>)"', r':"\1"', text)


def _read(text: str, default: Json = None) -> Json:
    try:
        found = json.loads(text)
    except ValueError:
        return default
    return found if isinstance(found, dict | list) else default


def _same_value(expected: Json, actual: Json) -> bool:
    if expected is _MISSING or actual is _MISSING:
        return False
    if isinstance(expected, str) and _TIME_WORD.fullmatch(expected):
        return isinstance(actual, datetime | int | float)
    if isinstance(expected, bool) or isinstance(actual, bool):
        return expected is actual
    if isinstance(expected, str) and isinstance(actual, bytes):
        return expected == actual.decode(errors="replace")
    return bool(expected == actual)
