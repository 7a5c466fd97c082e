"""The Invoker that the engine talks to: it knows who does the work of which resource."""

import logging
import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Final, Protocol

from etl_runner.jsontypes import Json
from etl_runner.machine.states.task import is_activity
from etl_runner.tasks.contract import (
    Failed,
    Invocation,
    Invoker,
    LogLine,
    Outcome,
    Pending,
    Progress,
    Sink,
)
from etl_runner.tasks.integration import canonical
from etl_runner.tasks.report import tell_outcome

log = logging.getLogger(__name__)

_FIRST_GRACE_S: Final = 0.05
"""Where no grace is given, threads that are about to end still get this long."""


class Route(Invoker, Protocol):
    """An Invoker that can say which resources are its business; `offers` names them for a person."""

    @property
    def offers(self) -> tuple[str, ...]:
        """The resources it can do, as patterns such as arn:aws:states:::aws-sdk:SERVICE:ACTION."""
        ...

    def claims(self, resource: str) -> bool:
        """Whether this resource is this invoker's business, even if it cannot be accepted."""
        ...

    def invokable(self, resource: str) -> str | None:
        """As `accepts`, but what only the call itself shows is taken to be right."""
        ...

    def check_arguments(self, resource: str, template: Json) -> list[str]:
        """What is wrong with the literal parts of Parameters, one sentence each."""
        ...


@dataclass(slots=True, eq=False)
class Hand:
    """One hand-out under way: who works and whom to tell."""

    router: "TaskRouter"
    route: Route
    sink: Sink
    token: str

    def outcome(self, outcome: Outcome) -> None:
        """Hand on the first outcome that ends this hand-out and what comes before it; no later one."""
        if outcome.token != self.token:
            return
        if isinstance(outcome, Pending) and outcome.continues:
            is_open = self.router.has_hand(self)
        else:
            is_open = self.router.close_hand(self)
        if is_open:
            tell_outcome(self.sink, outcome)

    def heartbeat(self, token: str) -> None:
        """Hand on, while the hand-out is open."""
        if self.router.has_hand(self):
            self.sink.heartbeat(token)

    def log(self, line: LogLine) -> None:
        """Hand on."""
        self.sink.log(line)

    def progress(self, progress: Progress) -> None:
        """Hand on, while the hand-out is open."""
        if self.router.has_hand(self):
            self.sink.progress(progress)


class TaskRouter:
    """Routes resources to invokers, the first that claims one has it.

    Exactly one outcome follows `start`, unless `cancel` or `close` comes first: after either no outcome of
    the hand-out is forwarded. An invoker that fails by a mistake of its own gives a Failed outcome
    (States.Runtime) and never an exception to the caller.
    """

    def __init__(self, routes: Sequence[Route]) -> None:
        self._routes = tuple(routes)
        self._lock = threading.Lock()  # guards _hands
        self._hands: dict[str, Hand] = {}
        self._accepting = True

    def accepts(self, resource: str) -> str | None:
        """None when this resource can be invoked, else a sentence saying what exists instead.

        This is the strict question, for files: a function that is bound nowhere is refused.
        """
        route = self._route(resource)
        if route is not None:
            return route.accepts(canonical(resource))
        return self._nobody(resource)

    def invokable(self, resource: str) -> str | None:
        """As `accepts`, for state machines made through the API: what is refused here AWS does not know.

        A function that is bound nowhere may live in AWS; only a call shows whether it does.
        """
        route = self._route(resource)
        if route is not None:
            return route.invokable(canonical(resource))
        return self._nobody(resource)

    def _nobody(self, resource: str) -> str | None:
        if is_activity(resource):
            return None  # its workers come and fetch the task
        offers = ", ".join(offer for route in self._routes for offer in route.offers)
        return f"{resource}: nothing here does the work of this resource; there are {offers}"

    def check_arguments(self, resource: str, template: Json) -> list[str]:
        """What is wrong with the literal parts of a state's Parameters, one sentence each.

        `template` is Parameters as the definition has it; `name.$` counts as `name` with an unknown value.
        """
        route = self._route(resource)
        return [] if route is None else route.check_arguments(canonical(resource), template)

    def start(self, invocation: Invocation, sink: Sink) -> None:
        """Begin; never raises."""
        route = self._route(invocation.resource)
        if route is None:
            cause = self.accepts(invocation.resource) or ""
            tell_outcome(sink, Failed(token=invocation.token, error="States.Runtime", cause=cause))
            return
        hand = Hand(self, route, sink, invocation.token)
        with self._lock:
            if not self._accepting:
                return  # the daemon is ending; the task is handed out again when it is back
            self._hands[invocation.token] = hand
        try:
            route.start(replace(invocation, resource=canonical(invocation.resource)), hand)
        except Exception as fault:
            log.exception("the invoker of %s failed by a mistake of its own", invocation.resource)
            cause = f"{invocation.resource} could not be started: {type(fault).__name__}: {fault}"
            hand.outcome(Failed(token=invocation.token, error="States.Runtime", cause=cause))

    def cancel(self, token: str) -> None:
        """Stop working for this token, if anything still does. No outcome is forwarded from here on."""
        with self._lock:
            hand = self._hands.pop(token, None)
        if hand is None:
            return
        try:
            hand.route.cancel(token)
        except Exception:
            log.exception("the hand-out %s could not be cancelled; its outcome is dropped", token)

    def close(self, grace_s: float) -> None:
        """Take no more work, let what runs finish for up to `grace_s` seconds, then end it."""
        with self._lock:
            self._accepting = False
        threads = [threading.Thread(target=self._close_one, args=[route, grace_s]) for route in self._routes]
        for thread in threads:  # side by side: they share one grace
            thread.start()
        for thread in threads:
            thread.join()
        with self._lock:
            self._hands.clear()

    def close_hand(self, hand: Hand) -> bool:
        """Take a hand-out off the list; False when it is not on it (any more)."""
        with self._lock:
            if self._hands.get(hand.token) is not hand:
                return False
            del self._hands[hand.token]
            return True

    def has_hand(self, hand: Hand) -> bool:
        """Whether this hand-out is still open."""
        with self._lock:
            return self._hands.get(hand.token) is hand

    def _close_one(self, route: Route, grace_s: float) -> None:
        try:
            route.close(max(grace_s, _FIRST_GRACE_S))
        except Exception:
            log.exception("an invoker could not be closed cleanly")

    def _route(self, resource: str) -> Route | None:
        resource = canonical(resource)
        return next((route for route in self._routes if route.claims(resource)), None)
