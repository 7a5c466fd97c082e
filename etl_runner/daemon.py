"""The service put together: store, engine, tasks, schedules, events, configuration that reloads, HTTP.

This is the only place that builds things; everything else is handed what it needs. `Service` is the whole
without HTTP (tests and the demo use it); `serve` adds the HTTP edge, signals and the drain.
"""

import gc
import os
import secrets
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

import structlog

from etl_runner.api.sfn.histories import Histories
from etl_runner.api.sfn.nested import Nested, OwnApi
from etl_runner.clock import Clock, SystemClock
from etl_runner.config.configuration import Config, FunctionBinding
from etl_runner.config.load import load_config
from etl_runner.config.plan import diff
from etl_runner.config.watch import ConfigWatcher
from etl_runner.ending import Ending
from etl_runner.engine.engine import Engine
from etl_runner.engine.launch import Launch
from etl_runner.engine.state_machines import StateMachines
from etl_runner.engine.workflows import Workflows
from etl_runner.errors import ConfigError, Fault, StoreUnavailable
from etl_runner.listening import bind, reachable, url_of
from etl_runner.schedule.due import tick_sample
from etl_runner.schedule.events import EventService, RuleSpec
from etl_runner.schedule.expressions import parse_expression
from etl_runner.schedule.patterns import compile_pattern
from etl_runner.schedule.queues import QueuePoller, QueueSpec
from etl_runner.schedule.service import ScheduleService, ScheduleSpec
from etl_runner.settings import PREFIX, Settings
from etl_runner.store.store import Store
from etl_runner.tasks.calls import CallMaker
from etl_runner.tasks.functions import FunctionRegistry, FunctionSpec
from etl_runner.tasks.python_functions import PythonFunctions
from etl_runner.tasks.router import TaskRouter
from etl_runner.tasks.services import Services
from etl_runner.tasks.threads import ThreadFunctions
from etl_runner.tasks.workers import WorkerPool

_log = structlog.get_logger("service")


class Service:
    """One running etl-runner, without HTTP."""

    def __init__(self, settings: Settings, config_dir: Path, *, clock: Clock | None = None) -> None:
        """Open the store and build the rooms. Raises StoreError."""
        self.settings = settings
        self.config_dir = config_dir
        self.clock = clock or SystemClock()
        self.limits = settings.bounds()
        self.aws = settings.aws_access()
        self.faults: tuple[Fault, ...] = ()
        self._registry = FunctionRegistry()
        self.store = Store(settings.store)
        self.services = Services(
            self.aws,
            threads=settings.tasks.calls,
            calls=CallMaker(
                self.aws,
                account=settings.account,
                region=settings.region,
                clock=self.clock,
                limit_bytes=self.limits.payload_bytes,
                asks_for_roles=bool(settings.api.access_keys),
            ),
        )
        self._functions = PythonFunctions(
            self._registry,
            WorkerPool(
                settings.tasks.processes,
                environment=_for_tasks() | self.aws.environment(),
                limit_bytes=self.limits.payload_bytes,
            ),
            ThreadFunctions(settings.tasks.threads, limit_bytes=self.limits.payload_bytes),
            account=settings.account,
            region=settings.region,
            elsewhere=self.services,
            in_aws=settings.tasks.functions_in_aws,
        )
        self.router = TaskRouter([self._functions, self.services])
        self.engine = Engine(
            store=self.store,
            invoker=self.router,
            aws=self.aws,
            clock=self.clock,
            policy=settings.policy(),
        )
        self.workflows = Workflows(self.store, self.clock)
        self.state_machines = StateMachines(
            self.store, self.workflows, self.clock, self.engine.definitions, limits=self.limits
        )
        self.histories = Histories(self.store, self.state_machines.parsed, limits=self.limits)
        self.services.use_nested(Nested(self))
        self.launch = Launch(self.engine, self.workflows, self.state_machines, limits=self.limits)
        self.schedules = ScheduleService(
            self.store, self.launch, self.clock, grace_s=settings.schedules.grace_seconds
        )
        self.events = EventService(
            self.store, self.launch, self.clock, account=settings.account, region=settings.region
        )
        self._queues: list[QueuePoller] = []
        self._watcher = ConfigWatcher(self._load, config_dir, settings.workflows)
        self._stop = threading.Event()
        self._reloader = threading.Thread(target=self._reload, name="config", daemon=True)
        self._config: Config | None = None

    @property
    def config(self) -> Config:
        """The configuration in force: the last good one."""
        assert self._config is not None, "open() comes first"
        return self._config

    def open(self) -> None:
        """Read the configuration and begin to work. Raises ConfigError with all faults; then nothing runs."""
        try:
            config = self._watcher.first()
            # Functions are known before the engine hands out again what was open, and the engine runs
            # before anything can start an execution.
            self._apply_work(config)
            self.engine.open()
            self._apply_triggers(config)
            self._config = config
            self.schedules.open()
        except BaseException:
            self._shut(0)
            raise
        self._reloader.start()

    def answers_at(self, url: str) -> None:
        """Let tasks of `aws-sdk:sfn` reach this service's own API, unless it is said where that is."""
        if "stepfunctions" in self.aws.endpoint_urls or "AWS_ENDPOINT_URL_SFN" in os.environ:
            return
        own = OwnApi(url, self.settings.region, self.own_token)
        self.services.use_states(own.of)

    @cached_property
    def own_token(self) -> str | None:
        """What the service's own calls of its API bear: the token, or one made up where calls are signed."""
        if self.settings.api.access_keys:
            return secrets.token_urlsafe(32)  # one that binds each task to the account of its execution
        token = self.settings.api_token
        return None if token is None else token.get_secret_value()

    def close(self) -> None:
        """Stop taking work, let what runs finish within the grace time, commit it, let go of the store."""
        self._stop.set()
        if self._reloader.is_alive():
            self._reloader.join(timeout=10)
        self._shut(self.settings.grace_seconds)

    def _shut(self, grace_s: float) -> None:
        for queue in self._queues:
            queue.close()
        self.schedules.close()
        self.engine.close(grace_s)
        self.store.close()

    # --- configuration ------------------------------------------------------------------------------------

    def _load(self) -> Config:
        return load_config(
            self.config_dir,
            self.settings.workflows,
            check_expression=parse_expression,
            check_pattern=compile_pattern,
            check_resource=self.router.accepts,
            tick_sample=tick_sample,
            account=self.settings.account,
            region=self.settings.region,
            functions_in_aws=self.settings.tasks.functions_in_aws,
            bounds=self.limits.bounds,
        )

    def _reload(self) -> None:
        kept: Config | None = None  # good, and not taken over yet: the store could not keep it
        tried_before = False
        while not self._stop.wait(self.settings.reload_seconds):
            try:
                news = self._watcher.poll()
                if isinstance(news, ConfigError):
                    kept = None
                    self._tell_faults(news)
                    continue
                tried_before = news is None and kept is not None
                kept = news or kept
                if kept is not None:
                    self._apply(kept)
                    kept = None
            except StoreUnavailable as error:
                if not tried_before:
                    _log.error("the configuration is taken over once the store works", error=str(error))
            except Exception:  # noqa: BLE001 -- a fault of ours must not end the watch
                kept = None
                _log.exception("the configuration could not be taken over")

    def _tell_faults(self, error: ConfigError) -> None:
        self.faults = error.faults
        for fault in error.faults:
            _log.error("edited files were not taken over; the last good ones stay", fault=str(fault))

    def _apply(self, config: Config) -> None:
        """Take a new configuration over: functions first, then what calls them, then what starts that."""
        changes = diff(self._config, config)
        self._apply_work(config)
        if any(change.kind == "function" for change in changes):
            self._functions.renew()
        self._apply_triggers(config)
        self._config, self.faults = config, ()
        for change in changes:
            _log.info("configuration", change=str(change))

    def _apply_work(self, config: Config) -> None:
        self._registry.replace(_function(binding) for binding in config.functions.values())
        self.workflows.apply((w.name, w.arn, w.text, w.yaml, w.file) for w in config.workflows.values())

    def _apply_triggers(self, config: Config) -> None:
        self.schedules.apply(
            [
                ScheduleSpec(
                    name=each.name,
                    expression=parse_expression(each.expression, each.timezone, start_ms=each.start_ms),
                    workflow=each.workflow,
                    template=each.template,
                    enabled=each.enabled,
                    start_ms=each.start_ms,
                    end_ms=each.end_ms,
                    description=each.description,
                )
                for each in config.schedules.values()
            ]
        )
        self.events.apply(
            [
                RuleSpec(
                    name=each.name,
                    pattern=compile_pattern(each.pattern),
                    workflow=each.workflow,
                    template=each.template,
                    enabled=each.enabled,
                    description=each.description,
                )
                for each in config.rules.values()
            ]
        )
        self._apply_queues(config)

    def _apply_queues(self, config: Config) -> None:
        if self._config is not None and self._config.queues == config.queues:
            return
        for queue in self._queues:
            queue.close()
        self._queues = [
            QueuePoller(
                QueueSpec(
                    name=each.name,
                    queue_url=each.queue_url,
                    region=each.region,
                    wait_s=each.wait_s,
                    max_messages=each.max_messages,
                    visibility_timeout_s=each.visibility_timeout_s,
                ),
                self.aws,
                self.events,
            )
            for each in config.queues.values()
            if each.enabled
        ]
        for queue in self._queues:
            queue.open()


def _for_tasks() -> dict[str, str]:
    """The environment for workers, without the service's own variables: its token is no task's business."""
    return {name: value for name, value in os.environ.items() if not name.upper().startswith(PREFIX)}


def _function(binding: FunctionBinding) -> FunctionSpec:
    return FunctionSpec(
        name=binding.name,
        arn=binding.arn,
        module=binding.module,
        function=binding.function,
        search_path=binding.search_path,
        run_in=binding.run_in,
        timeout_s=binding.timeout_s,
        environment=binding.environment,
    )


# --- HTTP ---------------------------------------------------------------------------------------------


@contextmanager
def running(settings: Settings, config_dir: Path) -> Iterator[Service]:
    """A service from open to close, in this process."""
    # Functions that run in threads share this process's environment, as Lambda functions share theirs.
    os.environ.update(settings.aws_access().environment())
    service = Service(settings, config_dir)
    service.open()
    try:
        yield service
    finally:
        service.close()


def serve(settings: Settings, config_dir: Path) -> None:
    """Run the service until SIGTERM or Ctrl-C, then drain it. Raises EtlRunnerError when it cannot begin."""
    gc.disable()  # until it answers: nearly all that is made up to then stays
    ending = Ending()
    ending.watch()
    listener = bind(settings)
    try:
        with running(settings, config_dir) as service:
            if not ending.asked:
                _answer(service, listener, ending)
    finally:
        listener.close()
    _log.info("stopped; what was not finished goes on at the next start")


def _answer(service: Service, listener: socket.socket, ending: Ending) -> None:
    """Answer HTTP until the end is asked for."""
    import uvicorn  # noqa: PLC0415 -- `etl-runner --help` need not pay for it

    from etl_runner.api.http import create_app  # noqa: PLC0415 -- brings Starlette
    from etl_runner.api.operations import Operations  # noqa: PLC0415 -- the same
    from etl_runner.api.sfn.caller import Callers  # noqa: PLC0415 -- the same
    from etl_runner.api.sigv4 import AccessKey  # noqa: PLC0415 -- the same

    settings = service.settings
    callers = Callers(
        account=settings.account,
        region=settings.region,
        keys=[
            AccessKey(
                id=each.id, secret=each.secret.get_secret_value(), account=each.account or settings.account
            )
            for each in settings.api.access_keys
        ],
        token=None if settings.api_token is None else settings.api_token.get_secret_value(),
        own=service.own_token if settings.api.access_keys else None,
    )
    app = create_app(Operations(service), api_token=settings.api_token, callers=callers)

    class Server(uvicorn.Server):
        async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
            app.state.ends.release()  # else those who wait for an execution would hold up the end
            await super().shutdown(sockets)

    server = Server(
        uvicorn.Config(app, log_config=None, access_log=False, lifespan="off", timeout_graceful_shutdown=3)
    )

    def run() -> None:
        try:
            server.run(sockets=[listener])
        finally:
            ending.ask()  # should it ever end by itself, nobody could reach us any more

    # In a thread of its own uvicorn leaves the signals alone. In the main thread it would raise them again
    # at its end, and SIGTERM would kill us before the drain.
    thread = threading.Thread(target=run, name="http", daemon=True)
    thread.start()
    gc.freeze()  # nor need it be looked through ever again: that would hold up each of the larger turns
    gc.enable()
    host, port = listener.getsockname()[:2]
    service.answers_at(url_of(reachable(host), port))
    _log.info(
        "ready",
        url=url_of(host, port),
        workflows=len(service.config.workflows),
        schedules=len(service.config.schedules),
        store=str(service.settings.store),
    )
    ending.wait()
    _log.info("draining; a second signal ends it at once", grace_seconds=service.settings.grace_seconds)
    server.should_exit = True
    thread.join()
