"""What reading needs to know and what it gathers on the way: checks, faults, and names already taken."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TypeAlias

from etl_runner.asl.bounds import AWS, Bounds
from etl_runner.asl.document import Node
from etl_runner.config.faults import fault_at
from etl_runner.errors import Fault, InvalidInput
from etl_runner.jsontypes import Json

CheckExpression: TypeAlias = Callable[[str, str], object]
"""Takes an expression and a zone; raises InvalidInput."""
CheckPattern: TypeAlias = Callable[[Json], object]
"""Takes a pattern as a value or as JSON text; raises InvalidInput, with `path` where it knows the place."""
CheckResource: TypeAlias = Callable[[str], str | None]
"""Takes the resource of a Task, ItemReader or ResultWriter; a sentence when nobody can do it."""

TickSample: TypeAlias = Callable[[str, str, str], Json]
"""Takes a schedule's name, expression and zone, both good; what its template gets to see at a tick."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Checks:
    """What the rooms above know: whether expressions, patterns and resources can be used, what a tick is."""

    expression: CheckExpression
    pattern: CheckPattern
    resource: CheckResource
    tick_sample: TickSample


@dataclass(slots=True)
class Gathering:
    """Faults so far, the names of all functions, and where each name was first used.

    `functions_in_aws`: a function that is bound nowhere lives in AWS. `bounds` are those of definitions.
    """

    checks: Checks
    account: str
    region: str
    faults: list[Fault] = field(default_factory=list)
    functions: set[str] = field(default_factory=set)
    functions_unread: bool = False
    functions_in_aws: bool = False
    bounds: Bounds = AWS
    _taken: dict[tuple[str, str], str] = field(default_factory=dict)

    def refuse(self, node: Node, what: str, remedy: str, code: str, *, at_key: bool = False) -> None:
        """Add a fault at a node, unless one stands there already: the first says what to mend first."""
        fault = fault_at(node, what, remedy, code, at_key=at_key)
        here = (fault.file, fault.line, fault.column)
        if here not in ((each.file, each.line, each.column) for each in self.faults):
            self.faults.append(fault)

    def take(self, kind: str, name: str, node: Node, *, at_key: bool = False) -> bool:
        """Take a name for a thing of a kind; a second time is a fault that names both places."""
        place = node.key_place if at_key else node.place
        here = f"{node.source.file}:{place.line}:{place.column}"
        first = self._taken.setdefault((kind, name), here)
        if first != here:
            what = f"the {kind} {name!r} is here a second time; the first is at {first}"
            self.refuse(node, what, "give one of the two another name", "duplicate-name", at_key=at_key)
        return first == here

    def ask(self, check: Callable[[], object], node: Node, code: str, *, at_key: bool = False) -> bool:
        """Run a check of a value; what it refuses becomes a fault at the node, or further inside it."""
        try:
            check()
        except InvalidInput as error:
            for key in getattr(error, "path", ()):
                elements = list(node.elements())
                in_list = isinstance(key, int) and key < len(elements)
                node = elements[key] if in_list else node.get(str(key)) or node
            self.refuse(node, str(error), "", code, at_key=at_key)
            return False
        return True
