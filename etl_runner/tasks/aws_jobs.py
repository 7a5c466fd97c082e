"""Jobs of optimised integrations, as tables: how to ask after one, when it has ended, how to end it."""

from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Any

from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json
from etl_runner.tasks.aws_optimised import Answer, Service, send, task_failed
from etl_runner.tasks.aws_shapes import check_size, to_json_v1
from etl_runner.tasks.integration import ServiceCall

Asks = Callable[[Any, ServiceCall], Mapping[str, Any]]
"""From the first response (as the state has it) to the parameters of a request, with the API's names."""


def at(path: str) -> Callable[[Any], Any]:
    """Reach into nested JSON by a path such as "jobs.0.status"; None where something is not there."""
    steps = [int(step) if step.isdigit() else step for step in path.split(".")] if path else []

    def reach(value: Any) -> Any:
        for step in steps:
            try:
                value = value[step]
            except (KeyError, IndexError, TypeError):
                return None
        return value

    return reach


def given(**names: str) -> Asks:
    """Take parameters from places in the first response, each by its path there."""
    paths = {name: at(path) for name, path in names.items()}
    return lambda submitted, _call: {name: path(submitted) for name, path in paths.items()}


@dataclass(frozen=True, slots=True, kw_only=True)
class Job:
    """How the job of one action is looked after.

    `describe` is asked with the parameters that `asks` makes; `status` is where its answer holds the status
    and `shown` which part of it is the result ("" all), in the API's names. A status in `done` or `failed`
    ends the job, any other one is waited out. `gone_is_done`: a job that removes something has ended when
    there is nothing to describe. `cancel` is the operation that ends it and `cancels` makes its parameters
    (default: as `asks`).
    """

    describe: str
    asks: Asks
    status: str
    shown: str = ""
    done: frozenset[str] = frozenset()
    failed: frozenset[str] = frozenset()
    gone_is_done: bool = False
    cancel: str = ""
    cancels: Asks | None = None
    succeeded: Callable[[Answer], bool] | None = None
    result: Callable[[Json], Json] | None = None

    def of(self, service: Service) -> "ServiceJobs":
        """The jobs of this kind in a service."""
        return ServiceJobs(service, self)


class ServiceJobs:
    """Looks after the jobs of one action of one service."""

    def __init__(self, service: Service, job: Job) -> None:
        self._service = service
        self._job = job

    def poll(self, call: ServiceCall, submitted: Json) -> Json | None:
        """The result once the job has ended well, None while it runs."""
        job = self._job
        operation = self._service.model.operation_model(job.describe)
        try:
            answer = self._send(job.describe, job.asks(submitted, call), call)
        except StatesError as fault:
            if job.gone_is_done and "NotFound" in fault.error:
                return submitted
            if _may_pass(fault):
                return None
            raise
        status = at(job.status)(answer)
        if status not in job.done and status not in job.failed:
            return None
        shown: Json = to_json_v1(operation.output_shape, answer)
        shown = at(_capitals(job.shown))(shown) if job.shown else shown
        shown = job.result(shown) if job.result is not None else shown
        if status in job.failed or (job.succeeded is not None and not job.succeeded(answer)):
            raise task_failed(shown)
        check_size(shown, self._service.name, call.limit_bytes)
        return shown

    def stop(self, call: ServiceCall, submitted: Json) -> None:
        """End the job, where the service can."""
        job = self._job
        if job.cancel:
            asks = job.cancels or job.asks
            self._send(job.cancel, asks(submitted, call), call)

    def when_ended(self, _call: ServiceCall, _submitted: Json) -> Future[object] | None:
        """Nobody tells: only asking helps."""
        return None

    def _send(self, name: str, parameters: Mapping[str, Any], call: ServiceCall) -> Answer:
        return send(self._service, self._service.model.operation_model(name), parameters, call)


def _may_pass(fault: StatesError) -> bool:
    """Whether asking failed in a way that says nothing about the job."""
    passing = ("Throttl", "TooManyRequests", "SdkClient", "ServiceUnavailable", "Internal")
    return any(word in fault.error for word in passing) or any(
        f"Status Code: {status}" in fault.cause for status in (500, 502, 503, 504)
    )


def _capitals(path: str) -> str:
    return ".".join(step[:1].upper() + step[1:] for step in path.split("."))
