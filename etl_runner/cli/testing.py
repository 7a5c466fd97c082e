"""Test cases of a state machine, run offline: which there are, whether they went well, what they covered."""

from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from etl_runner.asl.model import StateMachine
from etl_runner.asl.parse import parse_definition
from etl_runner.cli import output
from etl_runner.config.files import ASL_FILE
from etl_runner.config.yaml_source import decode
from etl_runner.errors import DefinitionError, Fault, InvalidInput
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.offline.answers import Mocks, NoMocks
from etl_runner.offline.coverage import KINDS, Coverage, Part, parts_of
from etl_runner.offline.mock_config import ANY, Case, MockConfig, Wanted
from etl_runner.offline.recorded import read_history
from etl_runner.offline.run import Ran, run
from etl_runner.offline.story import Step

_YAML: Final = frozenset({".yaml", ".yml"})
_SHOWN: Final = 160
_NARROW: Final = 40
"""Steps are many and short: a table of them is read more easily than blocks, as long as there is one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """What the command line asked for; `wanted` are the options that say how a run is to end."""

    file: Path
    first: str | None = None
    last: str | None = None
    given: tuple[Json] | None = None
    mocks: Path | None = None
    machine: str | None = None
    cases: tuple[str, ...] = ()
    recorded: Path | None = None
    wanted: Wanted = ANY


@dataclass(frozen=True, slots=True, kw_only=True)
class Test:
    """One case to run."""

    name: str
    given: Json
    mocks: Mocks
    wanted: Wanted


@dataclass(frozen=True, slots=True, kw_only=True)
class Tested:
    """One case that was run. `why` says what is not as wanted, "" when all is."""

    name: str
    why: str
    ran: Ran

    @property
    def verdict(self) -> str:
        """For the table."""
        return "failed" if self.why else "passed"


def read_machine(path: Path) -> StateMachine:
    """The state machine of a file. Raises InvalidInput and DefinitionError."""
    text = decode(_bytes(path), str(path))
    if isinstance(text, Fault):
        raise DefinitionError([text])
    return parse_definition(text, file=str(path), yaml=path.suffix in _YAML)


def tests_of(asked: Asked) -> list[Test]:
    """The cases to run. Raises InvalidInput."""
    if asked.recorded is not None:
        if asked.mocks is not None or asked.cases:
            raise InvalidInput("--recorded is a case by itself; leave out --mocks and --case")
        history = read_history(_text(asked.recorded), str(asked.recorded))
        whole = asked.first is None and asked.last is None
        wanted = Wanted(status=history.status or None, output=history.output, error=history.error)
        given = history.input if asked.given is None else asked.given[0]
        own = _over(wanted if whole else ANY, asked.wanted)
        return [Test(name=asked.recorded.name, given=given, mocks=history.mocks(), wanted=own)]
    if asked.mocks is None:
        if asked.cases:
            raise InvalidInput("--case names a test case of --mocks; give that file")
        given = {} if asked.given is None else asked.given[0]
        return [Test(name="(no mocks)", given=given, mocks=NoMocks(), wanted=asked.wanted)]
    return [_of_case(case, asked) for case in _cases(asked, asked.mocks)]


def _of_case(case: Case, asked: Asked) -> Test:
    given = asked.given or case.wanted.input or ({},)
    wanted = _over(case.wanted, asked.wanted)
    return Test(name=case.name, given=given[0], mocks=case.mocks(), wanted=wanted)


def _over(wanted: Wanted, options: Wanted) -> Wanted:
    """What a file wants, with what the command line wants instead."""
    return Wanted(
        status=options.status or wanted.status,
        output=options.output or wanted.output,
        error=options.error or wanted.error,
    )


def _cases(asked: Asked, mocks: Path) -> list[Case]:
    config = MockConfig.read(_text(mocks), str(mocks))
    machines = config.machines
    only = next(iter(machines)) if len(machines) == 1 else ""
    name = asked.machine or _named(asked.file, machines.keys()) or only
    if name not in machines:
        names = ", ".join(sorted(machines)) or "none"
        hint = (
            f"no state machine {name!r}" if name else "several state machines, and none is called as the file"
        )
        raise InvalidInput(f"{mocks} has {hint}; it has {names}: name one with --machine")
    cases = machines[name]
    unknown = [case for case in asked.cases if case not in cases]
    if unknown or not cases:
        names = ", ".join(cases) or "none"
        what = f"no test case {unknown[0]!r}" if unknown else "no test case"
        raise InvalidInput(f"{mocks} has {what} for {name}; it has {names}")
    return [case for case in cases.values() if not asked.cases or case.name in asked.cases]


def _named(file: Path, names: Collection[str]) -> str:
    """The state machine that a file stands for: the workflow's name, or the file's own."""
    match = ASL_FILE.fullmatch(file.name)
    stem = match["stem"] if match else file.name.partition(".")[0]
    folder = file.resolve().parent.name
    candidates = [folder if stem == "workflow" else f"{folder}-{stem}", stem]
    return next((name for name in candidates if name in names), "")


def _bytes(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput(f"{path} cannot be read: {error.strerror}") from None


def _text(path: Path) -> str:
    try:
        return _bytes(path).decode()
    except UnicodeDecodeError as error:
        raise InvalidInput(f"{path} is no UTF-8 text: {error}") from None


# --- running ------------------------------------------------------------------------------------------------


def run_test(machine: StateMachine, test: Test, asked: Asked) -> Tested:
    """Run one case. Raises NotFound and InvalidInput for a path that is none."""
    ran = run(machine, test.given, test.mocks, first=asked.first, last=asked.last)
    return Tested(name=test.name, why=_why(ran, test.wanted, asked.last), ran=ran)


def _why(ran: Ran, wanted: Wanted, last: str | None) -> str:
    """What is not as wanted."""
    if ran.stopped:
        return ran.stopped
    status = wanted.status or ("FAILED" if wanted.error else "SUCCEEDED")
    if ran.status != status:
        told = f" with {ran.error}: {ran.cause}" if ran.error else ""
        return f"it ended {ran.status}{told}, and {status} was wanted"
    if wanted.error is not None and ran.error != wanted.error:
        return f"it failed with {ran.error}, and {wanted.error} was wanted"
    if wanted.output is not None and ran.output != wanted.output:
        found = "nothing" if ran.output is None else dumps_text(ran.output[0])
        return f"its output is {found}, and {dumps_text(wanted.output[0])} was wanted"
    if last is not None and Part("state", last) not in ran.coverage.hit:
        return f"it never came to the state {last!r}"
    return ""


# --- showing ------------------------------------------------------------------------------------------------


def document(file: Path, machine: StateMachine, tested: list[Tested]) -> Json:
    """What --json writes."""
    parts, covered = parts_of(machine), covered_by(tested)
    return {
        "file": str(file),
        "passed": not any(each.why for each in tested),
        "cases": [_case(each) for each in tested],
        "coverage": {
            kind: {"covered": covered_count, "total": total}
            for kind, covered_count, total in _counts(parts, covered)
        },
        "missed": [str(part) for part in covered.missed(parts)],
    }


def _case(tested: Tested) -> Json:
    ran = tested.ran
    return {
        "name": tested.name,
        "passed": not tested.why,
        "why": tested.why or None,
        "status": ran.status or None,
        "output": None if ran.output is None else ran.output[0],
        "error": ran.error,
        "cause": ran.cause,
        "tookSeconds": ran.took_ms / 1000,
        "steps": [_step(step) for step in ran.steps],
    }


def _step(step: Step) -> Json:
    return {
        "atSeconds": step.at_ms / 1000,
        "depth": step.depth,
        "state": step.state,
        "what": step.what,
        "detail": step.detail,
    }


def covered_by(tested: list[Tested]) -> Coverage:
    """What all cases together went through."""
    covered = Coverage()
    for each in tested:
        covered.merge(each.ran.coverage)
    return covered


def show(machine: StateMachine, tested: list[Tested], *, steps: bool) -> None:
    """Write what happened, for people."""
    for each in tested:
        if steps or len(tested) == 1:
            if len(tested) > 1:
                output.say(f"{each.name}:")
            _show_steps(each.ran.steps)
            output.say("")
    output.table(
        [
            output.Column("CASE", wraps=False),
            output.Column("RESULT"),
            output.Column("STATUS"),
            output.Column("VIRTUAL TIME", wraps=False, right=True),
            output.Column("OUTPUT OR ERROR", prose=True),
        ],
        [_row(each) for each in tested],
        empty="no test cases",
        narrow=_NARROW,
    )
    output.say("")
    _show_coverage(machine, covered_by(tested))


def _row(tested: Tested) -> list[object]:
    ran = tested.ran
    told = tested.why or (ran.error if ran.output is None else _short(ran.output[0]))
    return [tested.name, tested.verdict, ran.status, output.lasted(ran.took_ms / 1000), told]


def _show_steps(steps: list[Step]) -> None:
    output.table(
        [
            output.Column("AT", wraps=False, right=True),
            output.Column("STATE", wraps=False),
            output.Column("WHAT", wraps=False),
            output.Column("DETAIL", prose=True),
        ],
        [
            [
                output.lasted(step.at_ms / 1000),
                "  " * step.depth + step.state,
                step.what,
                "" if step.detail is None else _short(step.detail),
            ]
            for step in steps
        ],
        empty="nothing happened",
        narrow=_NARROW,
    )


def _show_coverage(machine: StateMachine, covered: Coverage) -> None:
    parts = parts_of(machine)
    missed = covered.missed(parts)
    output.table(
        [
            output.Column("COVERED", wraps=False),
            output.Column("PARTS", wraps=False, right=True),
            output.Column("MISSED", prose=True),
        ],
        [
            [_PLURALS[kind], f"{count}/{total}", ", ".join(str(part) for part in missed if part.kind == kind)]
            for kind, count, total in _counts(parts, covered)
        ],
        empty="the state machine has no states",
        narrow=_NARROW,
    )


_PLURALS: Final = {
    "state": "states",
    "choice": "choice rules",
    "branch": "branches",
    "catch": "catches",
    "retry": "retries",
}


def _counts(parts: list[Part], covered: Coverage) -> list[tuple[str, int, int]]:
    """Kind, how many were gone through, how many there are; kinds that are not there are left out."""
    found = []
    for kind in KINDS:
        own = [part for part in parts if part.kind == kind]
        if own:
            found.append((kind, len(own) - len(covered.missed(own)), len(own)))
    return found


def _short(value: Json) -> str:
    text = value if isinstance(value, str) else dumps_text(value)
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN]}..."
