"""Do the paths of an input template lead somewhere? Asked when a file is read, not when the template is due.

What a schedule's template looks at has the same shape at every tick, so it is evaluated over one of them. Of
what a rule's template looks at only the first step is known: events are whatever their senders make of them.
"""

import random
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from etl_runner.asl.dataflow import Expression, PathNotFound, compile_expression
from etl_runner.asl.document import Node
from etl_runner.asl.intrinsics import IntrinsicCall
from etl_runner.asl.selector import PlainEnv, Selector
from etl_runner.config.faults import near
from etl_runner.config.gather import Gathering
from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json

_CODE = "invalid-input"


@dataclass(frozen=True, slots=True)
class _SampleEnv(PlainEnv):
    """What a template is tried on. The context object is empty, as it is when a tick or an event is due."""

    input: Json
    context: Json = field(default_factory=dict)
    rng: random.Random = field(default_factory=lambda: random.Random(0))  # noqa: S311 -- guards nothing


def check_tick_paths(template: Node, sample: Json, into: Gathering) -> None:
    """Evaluate the fields of a schedule's template, which compiles, over the values of a sample tick."""
    env = _SampleEnv(sample)
    for node, expression in _fields(template):
        found = [fault for each in _selectors(expression) if (fault := _nowhere(each, sample)) is not None]
        if found:
            into.refuse(node, *found[0], _CODE)
            continue
        try:
            if isinstance(expression, IntrinsicCall) or expression.definite:
                expression.evaluate(env)
        except PathNotFound as error:
            into.refuse(node, *_leads_nowhere(expression, str(error), "correct it"), _CODE)
        except StatesError as error:
            into.refuse(node, error.cause, "correct the call: it fails at every tick", _CODE)


def check_event_paths(template: Node, into: Gathering) -> None:
    """Hold the first step of each path of a rule's template, which compiles, against what there is."""
    there = {"event": None, "rule": None}
    for node, expression in _fields(template):
        for selector in _selectors(expression):
            fault = _unknown_head(selector, there)
            if fault is not None:
                into.refuse(node, *fault, _CODE)


def _fields(node: Node) -> Iterator[tuple[Node, Expression]]:
    """The fields `name.$` of a template, however deep, with what they hold."""
    for name, member in node.members():
        if name.endswith(".$"):
            yield member, compile_expression(member.value)
        else:
            yield from _fields(member)
    for element in node.elements():
        yield from _fields(element)


def _selectors(expression: Expression) -> Iterator[Selector]:
    if isinstance(expression, IntrinsicCall):
        yield from expression.selectors()
    else:
        yield expression


def _nowhere(selector: Selector, sample: Json) -> tuple[str, str] | None:
    """What is wrong with a path of names and indexes that leads nowhere in the sample, and the remedy."""
    fault = _unknown_head(selector, sample)
    if fault is not None:
        return fault
    value, before = sample, "$"
    for step in selector.path.steps or ():
        if not isinstance(value, Mapping):
            return _leads_nowhere(selector, f"{before} is no object", f"write {before} alone")
        if step not in value:
            remedy = near(str(step), set(value), f"{before} has {', '.join(value)}")
            return _leads_nowhere(selector, f"{before} has no {step!r}", remedy)
        value, before = value[step], f"{before}.{step}"
    return None


def _unknown_head(selector: Selector, there: Mapping[str, Json]) -> tuple[str, str] | None:
    """What is wrong with the beginning of a path, and the remedy."""
    names = " and ".join(f"$.{name}" for name in there)
    if selector.of_context:
        return _leads_nowhere(selector, "there is no context object here", f"there are {names}")
    if selector.variable is not None:
        return _leads_nowhere(selector, "there are no variables here", f"there are {names}")
    head = selector.path.head
    if head is None or head in there:
        return None
    remedy = near(head, set(there), f"there are {names}")
    return _leads_nowhere(selector, f"there is no {head!r} here", remedy)


def _leads_nowhere(expression: Expression, why: str, remedy: str) -> tuple[str, str]:
    return f"the path {expression.text!r} leads nowhere: {why}", remedy
