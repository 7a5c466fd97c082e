"""The Invoker of service integrations: calls over the network, in a bounded set of threads."""

import logging
import threading
from collections.abc import Sequence
from functools import partial
from typing import Final

from etl_runner.aws import AwsAccess
from etl_runner.clock import Clock, SystemClock
from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json
from etl_runner.tasks import integrations
from etl_runner.tasks.contract import Failed, Invocation, Outcome, Sink, Succeeded
from etl_runner.tasks.daemon_threads import DaemonThreads
from etl_runner.tasks.integration import PREFIX, Integration, ServiceCall, scan
from etl_runner.tasks.report import tell_outcome

log = logging.getLogger(__name__)

DEFAULT_THREADS: Final = 16
"""They wait for the network nearly all of their time; AwsAccess keeps 32 connections a service."""


class Services:
    """Calls AWS services for `arn:aws:states:::...` resources.

    A call that is under way cannot be called back: `cancel` drops its answer, and the connection's own
    timeout, which follows the state's (integration.py), frees the thread. Nothing that was sent is sent
    again here: throttling and 5xx answers are for the state's Retry.
    """

    def __init__(
        self,
        aws: AwsAccess,
        *,
        threads: int = DEFAULT_THREADS,
        found: Sequence[Integration] | None = None,
        clock: Clock | None = None,
    ) -> None:
        self.integrations = tuple(scan(integrations) if found is None else found)
        self._aws = aws
        self._clock = clock or SystemClock()
        self._threads = DaemonThreads(threads, "service-call")
        self._lock = threading.Lock()  # guards _open: whoever takes a token out of it may tell
        self._open: dict[str, Invocation] = {}

    @property
    def offers(self) -> tuple[str, ...]:
        """The resources it can do."""
        return tuple(f"{PREFIX}{found.pattern}" for found in self.integrations)

    def claims(self, resource: str) -> bool:
        """Whether an integration has this resource for its business."""
        return self._of(resource) is not None

    def accepts(self, resource: str) -> str | None:
        """None when this resource can be invoked, else a sentence saying why not and what to do."""
        integration = self._of(resource)
        if integration is None:
            offers = ", ".join(self.offers)
            return f"{resource} is no resource of Step Functions that exists here; there are {offers}"
        return integration.accepts(resource)

    def check_arguments(self, resource: str, template: Json) -> list[str]:
        """What is wrong with the literal parts of Parameters, one sentence each."""
        integration = self._of(resource)
        return [] if integration is None else integration.check_arguments(resource, template)

    def start(self, invocation: Invocation, sink: Sink) -> None:
        """Begin; the outcome goes to the sink."""
        with self._lock:
            self._open[invocation.token] = invocation
        self._threads.submit(partial(self._call, invocation, sink))

    def cancel(self, token: str) -> None:
        """Drop the answer of this hand-out, and the call itself if it has not begun."""
        with self._lock:
            self._open.pop(token, None)

    def close(self, grace_s: float) -> None:
        """Take no more work and wait up to `grace_s` seconds for the calls under way; drop later answers."""
        self._threads.close(grace_s)
        with self._lock:
            self._open.clear()

    def _of(self, resource: str) -> Integration | None:
        return next((found for found in self.integrations if found.claims(resource)), None)

    def _call(self, invocation: Invocation, sink: Sink) -> None:
        with self._lock:
            if self._open.get(invocation.token) is not invocation:
                return
        outcome = self._outcome(invocation)
        with self._lock:
            if self._open.get(invocation.token) is not invocation:
                return
            del self._open[invocation.token]
        tell_outcome(sink, outcome)

    def _remaining_s(self, invocation: Invocation) -> float | None:
        if invocation.deadline_ms is None:
            return None
        return (invocation.deadline_ms - self._clock.now_ms()) / 1000

    def _outcome(self, invocation: Invocation) -> Outcome:
        token, resource = invocation.token, invocation.resource
        try:
            if refusal := self.accepts(resource):
                return Failed(token=token, error="States.Runtime", cause=refusal)
            integration = self._of(resource)
            assert integration is not None  # accepts() has looked
            call = ServiceCall(
                resource=resource,
                arguments=invocation.arguments,
                aws=self._aws,
                idempotency_key=invocation.idempotency_key,
                remaining_s=self._remaining_s(invocation),
            )
            return Succeeded(token=token, output=integration.call(call))
        except StatesError as fault:
            return Failed(token=token, error=fault.error, cause=fault.cause)
        except Exception as fault:
            log.exception("the integration for %s failed by a mistake of its own", resource)
            cause = f"calling {resource} failed unexpectedly: {type(fault).__name__}: {fault}"
            return Failed(token=token, error="States.Runtime", cause=cause)
