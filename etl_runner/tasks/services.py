"""The Invoker of service integrations: calls over the network, in a bounded set of threads."""

import logging
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Final

from etl_runner.aws import AwsAccess
from etl_runner.clock import Clock, SystemClock
from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json
from etl_runner.tasks import integrations
from etl_runner.tasks.alarm_clock import AlarmClock
from etl_runner.tasks.calls import CallMaker
from etl_runner.tasks.contract import Failed, Invocation, Outcome, Pending, Sink, Succeeded
from etl_runner.tasks.daemon_threads import DaemonThreads
from etl_runner.tasks.integration import (
    CALLBACK,
    PREFIX,
    SYNC,
    SYNC2,
    Integration,
    Jobs,
    canonical,
    scan,
    split_form,
)
from etl_runner.tasks.nested import NestedExecutions
from etl_runner.tasks.report import tell_outcome

log = logging.getLogger(__name__)

DEFAULT_THREADS: Final = 16
"""They wait for the network nearly all of their time; AwsAccess keeps 32 connections a service."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PollPace:
    """How often a job is asked after: `first_s` after its start, then `factor` times as long each time."""

    first_s: float = 0.5
    factor: float = 1.5
    most_s: float = 30.0


@dataclass(slots=True, kw_only=True, eq=False)
class Hand:
    """One hand-out. `submitted` is the first response of its job, once there is one."""

    invocation: Invocation
    sink: Sink
    submitted: Json = None
    pause_s: float = 0.0


class Services:
    """Calls AWS services for `arn:aws:states:::...` resources.

    A call that is under way cannot be called back: `cancel` drops its answer, and the connection's own
    timeout, which follows the state's (integration.py), frees the thread. Nothing that was sent is sent
    again here: throttling and 5xx answers are for the state's Retry.

    A `.sync` job is started once; the response to its start is told as Pending, and from then on the job is
    asked after until it has ended, also by another process after a restart. `cancel` ends the job, as AWS
    does when a state is stopped or runs out of time; `close` leaves it running.

    `nested` starts executions of this service, `states` gives the access to this service's own API for an
    account (None: the endpoint for stepfunctions is that of `aws`). `account` and `region` are those of
    executions whose calls go where `aws` says; calls of others go to the execution's region.
    """

    def __init__(
        self,
        aws: AwsAccess,
        *,
        threads: int = DEFAULT_THREADS,
        found: Sequence[Integration] | None = None,
        clock: Clock | None = None,
        calls: CallMaker | None = None,
        pace: PollPace | None = None,
    ) -> None:
        self.integrations = tuple(scan(integrations) if found is None else found)
        self.calls = calls or CallMaker(aws, clock=clock or SystemClock())
        self._pace = pace or PollPace()
        self._threads = DaemonThreads(threads, "service-call")
        self._alarms = AlarmClock("job-polls")
        self._lock = threading.Lock()  # guards what follows: whoever takes a token out of _open may tell
        self._open: dict[str, Hand] = {}
        self._closed = False

    @property
    def offers(self) -> tuple[str, ...]:
        """The resources it can do."""
        return tuple(f"{PREFIX}{found.pattern}" for found in self.integrations)

    def use_nested(self, nested: NestedExecutions) -> None:
        """Start executions of this service through this door from now on."""
        self.calls.nested = nested

    def use_states(self, states: Callable[[str], AwsAccess | None]) -> None:
        """Reach this service's own API for an account through this access from now on."""
        self.calls.states = states

    def claims(self, resource: str) -> bool:
        """Whether an integration has this resource for its business."""
        return self._of(resource) is not None

    def accepts(self, resource: str) -> str | None:
        """None when this resource can be invoked, else a sentence saying why not and what to do."""
        integration = self._of(resource)
        if integration is None:
            offers = ", ".join(self.offers)
            return f"{resource} is no resource of Step Functions that exists here; there are {offers}"
        return integration.accepts(canonical(resource))

    def invokable(self, resource: str) -> str | None:
        """The same: what these resources are is known without asking anyone."""
        return self.accepts(resource)

    def check_arguments(self, resource: str, template: Json) -> list[str]:
        """What is wrong with the literal parts of Parameters, one sentence each."""
        integration = self._of(resource)
        return [] if integration is None else integration.check_arguments(canonical(resource), template)

    def start(self, invocation: Invocation, sink: Sink) -> None:
        """Begin, or go on with a job that was submitted before; the outcome goes to the sink."""
        hand = Hand(invocation=invocation, sink=sink, submitted=invocation.submitted)
        with self._lock:
            if self._closed:
                return  # the daemon is ending; the task is handed out again when it is back
            self._open[invocation.token] = hand
        self._threads.submit(partial(self._follow if hand.submitted is not None else self._begin, hand))

    def cancel(self, token: str) -> None:
        """Drop the answer of this hand-out, or the call itself if it has not begun; end its job."""
        with self._lock:
            hand = self._open.pop(token, None)
        if hand is not None and hand.submitted is not None:
            self._threads.submit(partial(self._stop_job, hand))

    def close(self, grace_s: float) -> None:
        """Take no more work and wait up to `grace_s` seconds for the calls under way; drop later answers."""
        with self._lock:
            self._closed = True
        self._alarms.close()
        self._threads.close(grace_s)
        with self._lock:
            self._open.clear()
        self.calls.close()

    def _of(self, resource: str) -> Integration | None:
        resource = canonical(resource)
        return next((found for found in self.integrations if found.claims(resource)), None)

    def _is_open(self, hand: Hand) -> bool:
        with self._lock:
            return self._open.get(hand.invocation.token) is hand

    def _end(self, hand: Hand, outcome: Outcome) -> None:
        with self._lock:
            if self._open.get(hand.invocation.token) is not hand:
                return
            del self._open[hand.invocation.token]
        tell_outcome(hand.sink, outcome)

    # --- calls --------------------------------------------------------------------------------------------

    def _begin(self, hand: Hand) -> None:
        if not self._is_open(hand):
            return
        outcome = self._guarded(hand, self._first)
        if not isinstance(outcome, Pending) or not outcome.continues:
            self._end(hand, outcome)
            return
        with self._lock:
            wanted = self._open.get(outcome.token) is hand
            hand.submitted = outcome.output
            cancelled = not wanted and not self._closed
        if wanted:
            tell_outcome(hand.sink, outcome)
            self._follow(hand)
        elif cancelled:
            self._stop_job(hand)

    def _first(self, hand: Hand) -> Outcome:
        invocation, resource = hand.invocation, hand.invocation.resource
        if refusal := self.accepts(resource):
            return Failed(token=invocation.token, error="States.Runtime", cause=refusal)
        integration = self._of(resource)
        assert integration is not None  # accepts() has looked
        output = integration.call(self.calls.make(invocation))
        form = split_form(resource)[1]
        if form in {SYNC, SYNC2, CALLBACK}:
            return Pending(token=invocation.token, output=output, continues=form != CALLBACK)
        return Succeeded(token=invocation.token, output=output)

    def _guarded(self, hand: Hand, work: Callable[[Hand], Outcome]) -> Outcome:
        token, resource = hand.invocation.token, hand.invocation.resource
        try:
            return work(hand)
        except StatesError as fault:
            return Failed(token=token, error=fault.error, cause=fault.cause)
        except Exception as fault:
            log.exception("the integration for %s failed by a mistake of its own", resource)
            cause = f"calling {resource} failed unexpectedly: {type(fault).__name__}: {fault}"
            return Failed(token=token, error="States.Runtime", cause=cause)

    # --- jobs ---------------------------------------------------------------------------------------------

    def _jobs(self, hand: Hand) -> Jobs:
        integration = self._of(hand.invocation.resource)
        jobs = integration.jobs(hand.invocation.resource) if integration is not None else None
        assert jobs is not None  # accepts() has looked: a form without jobs is refused
        return jobs

    def _follow(self, hand: Hand) -> None:
        """Wait for the end of a job that was submitted: for its own word, or by asking now and then."""
        try:
            ended = self._jobs(hand).when_ended(self.calls.make(hand.invocation), hand.submitted)
        except StatesError as fault:
            self._end(hand, Failed(token=hand.invocation.token, error=fault.error, cause=fault.cause))
            return
        if ended is not None:
            ended.add_done_callback(lambda _: self._ask_soon(hand))
            return
        self._ask_later(hand)

    def _ask_later(self, hand: Hand) -> None:
        hand.pause_s = min(max(hand.pause_s * self._pace.factor, self._pace.first_s), self._pace.most_s)
        self._alarms.after(hand.pause_s, partial(self._ask_soon, hand))

    def _ask_soon(self, hand: Hand) -> None:
        self._threads.submit(partial(self._ask, hand))

    def _ask(self, hand: Hand) -> None:
        if not self._is_open(hand):
            return
        token = hand.invocation.token
        try:
            output = self._jobs(hand).poll(self.calls.make(hand.invocation), hand.submitted)
        except StatesError as fault:
            self._end(hand, Failed(token=token, error=fault.error, cause=fault.cause))
            return
        except Exception as fault:  # noqa: BLE001 -- no answer says nothing of the job: it is asked again
            log.warning("the job of %s could not be asked after: %s", hand.invocation.resource, fault)
            output = None
        if output is None:
            self._ask_later(hand)
        else:
            self._end(hand, Succeeded(token=token, output=output))

    def _stop_job(self, hand: Hand) -> None:
        try:
            self._jobs(hand).stop(self.calls.make(hand.invocation), hand.submitted)
        except Exception as fault:  # noqa: BLE001 -- the state has ended; its job may run on, which is said
            log.warning("the job of %s could not be ended: %s", hand.invocation.resource, fault)
