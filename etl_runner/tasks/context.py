"""The context object that a task function gets beside its event: Lambda's fields and some of our own."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any, Final, SupportsFloat

import msgspec

_PROGRESS_INTERVAL_S: Final = 0.05
"""Reports that follow faster are held back; the last one is always sent. A loop may report every row."""

ProgressReport = tuple[float, float | None, str]


class ContextFields(msgspec.Struct, frozen=True, kw_only=True):
    """What the context is made of; travels to the worker. `deadline_ms` is epoch milliseconds.

    `deadline_ms` is that of the state, None where it sets none; the function's own timeout counts from the
    moment when it starts.
    """

    function_name: str
    function_arn: str
    memory_mb: int
    request_id: str
    idempotency_key: str
    execution_arn: str
    state_name: str
    attempt: int
    timeout_s: float
    deadline_ms: int | None = None


class Identity:
    """Lambda's Cognito identity; nothing here has one."""

    cognito_identity_id: str | None = None
    cognito_identity_pool_id: str | None = None


class Context:
    """What `handler(event, context)` gets.

    The fields of AWS Lambda's Python context object come first (source: AWS Lambda developer guide,
    "Using the Lambda context object"); `idempotency_key`, `execution_arn`, `state_name`, `attempt` and
    `progress` are ours. `idempotency_key` is the same each time this state entry is handed out in the same
    attempt, also after a crash.
    """

    def __init__(
        self,
        fields: ContextFields,
        report: Callable[[float, float | None, str], None],
        *,
        worker: str = "0",
    ) -> None:
        self.function_name = fields.function_name
        self.function_version = "$LATEST"
        self.invoked_function_arn = fields.function_arn
        self.memory_limit_in_mb = str(fields.memory_mb)
        self.aws_request_id = fields.request_id
        self.log_group_name = f"/aws/lambda/{fields.function_name}"
        self._worker = worker
        self.identity = Identity()
        self.client_context: Any = None
        self.idempotency_key = fields.idempotency_key
        self.execution_arn = fields.execution_arn
        self.state_name = fields.state_name
        self.attempt = fields.attempt
        self._deadline_s = time.time() + fields.timeout_s
        if fields.deadline_ms is not None:
            self._deadline_s = min(self._deadline_s, fields.deadline_ms / 1000)
        self._report = report
        self._held: ProgressReport | None = None
        self._last_report_s = float("-inf")

    @property
    def log_stream_name(self) -> str:
        """Lambda's form, with the worker in the place of the sandbox: 2026/01/31/[$LATEST]worker-1."""
        return f"{datetime.now(UTC):%Y/%m/%d}/[{self.function_version}]{self._worker}"

    def get_remaining_time_in_millis(self) -> int:
        """Milliseconds until the function's own timeout or the state's deadline, whichever is sooner."""
        return max(0, int((self._deadline_s - time.time()) * 1000))

    def progress(self, done: SupportsFloat, total: SupportsFloat | None = None, note: object = "") -> None:
        """Report that `done` of `total` is done, in any unit. Cheap enough to call for every row.

        A report also counts as a heartbeat of the task. Raises TypeError or ValueError for no number.
        """
        # Other number types (Decimal, NumPy's) have no place in a message; what is no number raises here.
        done = done if isinstance(done, int | float) else float(done)
        total = total if total is None or isinstance(total, int | float) else float(total)
        now = time.monotonic()
        if done != total and now - self._last_report_s < _PROGRESS_INTERVAL_S:
            self._held = (done, total, str(note))
            return
        self._last_report_s = now
        self._held = None
        self._report(done, total, str(note))

    def flush_progress(self) -> None:
        """Send the report that was held back, if there is one. Called when the handler has ended."""
        if self._held is not None:
            held, self._held = self._held, None
            self._report(*held)
