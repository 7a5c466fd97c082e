"""Retries that come too late: the state machine has timed out before the last of them starts."""

import math
from collections.abc import Iterator
from typing import Final

from etl_runner.asl.advising import Odd, number_of
from etl_runner.asl.document import Node
from etl_runner.asl.draft import ScopeDraft, StateDraft
from etl_runner.asl.validate import is_distributed, value_of

TIMEOUT: Final = "States.Timeout"
_NO_LIMIT: Final = 1e12
_EXPONENT_MAX: Final = 700.0
"""Above it the sum is beyond what a float holds."""


def late_retries(scopes: list[ScopeDraft]) -> Iterator[Odd]:
    """Give the retriers whose delays alone outlast TimeoutSeconds of the state machine.

    The children of a Distributed Map are executions of their own and have no such limit. TimeoutSeconds of a
    Task counts for each attempt anew: it is added for each attempt where the retrier is for timeouts alone.
    """
    limit = number_of(scopes[0].node, "TimeoutSeconds") if scopes else None
    if limit is None:
        return
    for draft in _of_the_execution(scopes):
        retry = draft.node.get("Retry")
        for entry in retry.elements() if retry is not None else ():
            each = _attempt_s(draft) if value_of(entry, "ErrorEquals") == [TIMEOUT] else 0.0
            needed = _needed_s(entry, each)
            if needed is not None and needed > limit:
                what = (
                    f"Retry[{entry.name}] of the state {draft.name!r} goes on for more than {limit:,.0f} s, "
                    "when the state machine's TimeoutSeconds has stopped the execution"
                )
                remedy = "lower MaxAttempts or the interval, or raise the TimeoutSeconds of the state machine"
                yield Odd(entry, "retries-outlast-timeout", what, remedy)


def _of_the_execution(scopes: list[ScopeDraft]) -> Iterator[StateDraft]:
    todo = scopes[:1]
    while todo:
        scope = todo.pop()
        for draft in scope.states.values():
            yield draft
            if not is_distributed(draft.node):
                todo.extend(draft.inner)


def _attempt_s(draft: StateDraft) -> float:
    """How long one attempt takes that ends with States.Timeout, in seconds; 0 when that is not known."""
    return number_of(draft.node, "TimeoutSeconds", 0) or 0.0


def _needed_s(entry: Node, each_s: float) -> float | None:
    """Give the seconds from the first failure until the last attempt starts; None when they are not known."""
    if value_of(entry, "JitterStrategy") == "FULL":
        return None  # each delay may be next to nothing
    attempts = number_of(entry, "MaxAttempts", 3)
    first = number_of(entry, "IntervalSeconds", 1)
    rate = number_of(entry, "BackoffRate", 2)
    longest = number_of(entry, "MaxDelaySeconds", _NO_LIMIT)
    if attempts is None or first is None or rate is None or longest is None or first < 1 or rate < 1:
        return None
    if rate == 1:
        return attempts * (min(first, longest) + each_s)
    growing = min(attempts, math.ceil(math.log(max(longest / first, 1), rate)))
    if growing * math.log(rate) > _EXPONENT_MAX:
        return math.inf
    grown: float = first * (math.exp(growing * math.log(rate)) - 1) / (rate - 1)
    return grown + (attempts - growing) * longest + attempts * each_s
