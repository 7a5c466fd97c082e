"""Calling a Lambda-style handler: finding it, giving it its event, and what its end means.

Used in the worker process and in threads alike, so that a function behaves the same in both. Imports little:
a worker's start-up time is this module's.
"""

import importlib
import json
import traceback
from collections.abc import Callable
from decimal import Decimal
from typing import Any, Final, TypeAlias

import msgspec

from etl_runner.errors import StatesError
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES, Json, loads
from etl_runner.lineage import collecting
from etl_runner.tasks.context import Context

Handler: TypeAlias = Callable[[Json, Context], Any]

CAUSE_LIMIT: Final = 32_768
"""The most characters a Cause may have (Step Functions API, TaskFailedEventDetails)."""

_STACK_LIMIT: Final = 40
_MESSAGE_LIMIT: Final = 8_000


class Ended(msgspec.Struct, frozen=True, kw_only=True):
    """How a call ended. `output` is JSON text, for an empty `error`; `written` a JSON array of receipts."""

    output: bytes = b"null"
    error: str = ""
    cause: str = ""
    written: bytes = b"[]"


def size_exceeded(what: str) -> str:
    """AWS's cause of States.DataLimitExceeded for the result of the task `what`."""
    return (
        f"The state/task '{what}' returned a result with a size exceeding the maximum number of bytes "
        "service limit."
    )


def failure_cause(message: str, error_type: str, request_id: str, stack: list[str] | None = None) -> str:
    """Lambda's error object as JSON text, cut to what a Cause may hold."""
    shape: dict[str, Json] = {"errorMessage": message, "errorType": error_type, "requestId": request_id}
    shape["stackTrace"] = (stack or [])[-_STACK_LIMIT:]
    text = json.dumps(shape, separators=(",", ":"), ensure_ascii=False)
    if len(text) > CAUSE_LIMIT:
        shape["errorMessage"] = message[:_MESSAGE_LIMIT] + " ..."
        shape["stackTrace"] = [entry[:500] for entry in (stack or [])[-8:]]
        text = json.dumps(shape, separators=(",", ":"), ensure_ascii=False)
    # A lone surrogate is legal in a Python message and has no UTF-8 form.
    return text.encode(errors="backslashreplace").decode()


def sandbox_cause(error_type: str, message: str, request_id: str) -> str:
    """The shape that Lambda gives when the sandbox, not the function, reports the end."""
    shape = {"errorType": error_type, "errorMessage": f"RequestId: {request_id} Error: {message}"}
    return json.dumps(shape, separators=(",", ":"), ensure_ascii=False)[:CAUSE_LIMIT]


def timed_out(request_id: str, timeout_s: float) -> tuple[str, str]:
    """Error and Cause of a function that used up its own timeout, as Lambda reports it."""
    return "Sandbox.Timedout", sandbox_cause(
        "Sandbox.Timedout", f"Task timed out after {timeout_s:.2f} seconds", request_id
    )


class HandlerProblem(Exception):  # noqa: N818 -- it becomes an Ended and is never shown as an exception
    """The handler cannot be had; `error` is Lambda's name for it."""

    def __init__(self, error: str, message: str) -> None:
        self.error = error
        super().__init__(message)


def load_handler(module: str, function: str) -> Handler:
    """Import `module` and give its attribute `function`.

    Raises HandlerProblem where Lambda has a name for the fault, else what the module raises as it is run.
    """
    try:
        loaded = importlib.import_module(module)
    except ImportError as fault:
        importlib.invalidate_caches()  # a file written since is seen the next time
        message = f"Unable to import module '{module}': {fault}"
        raise HandlerProblem("Runtime.ImportModuleError", message) from fault
    except SyntaxError as fault:
        message = f"Syntax error in module '{module}': {fault}"
        raise HandlerProblem("Runtime.UserCodeSyntaxError", message) from fault
    handler = getattr(loaded, function, None)
    if handler is None or not callable(handler):
        found = "missing on" if handler is None else "not callable in"
        raise HandlerProblem("Runtime.HandlerNotFound", f"Handler '{function}' {found} module '{module}'")
    return handler  # type: ignore[no-any-return]  # any callable may be a handler; calling it shows


def _decimal(value: object) -> float:
    # Lambda's runtime writes Decimal as a number, since that is what DynamoDB's resource API gives.
    if isinstance(value, Decimal):
        return float(value)
    raise TypeError(f"Object of type {type(value).__name__} is not JSON serializable")


_dump = json.JSONEncoder(allow_nan=False, ensure_ascii=False, separators=(",", ":"), default=_decimal).encode


def marshal(value: object) -> bytes:
    """The JSON text of a handler's return value by the rules of json.dumps: tuples are lists, keys strings.

    Raises ValueError, TypeError or RecursionError for what has no JSON form (NaN and infinity included),
    and whatever the methods of a value of some other type raise.
    """
    return _dump(value).encode()


def _stack_of(fault: BaseException) -> list[str]:
    frames = traceback.extract_tb(fault.__traceback__)
    # Lambda's stack starts at the handler; this module and the import machinery come before it.
    own = [i for i, frame in enumerate(frames) if frame.filename == __file__ or "importlib" in frame.filename]
    return traceback.format_list(frames[own[-1] + 1 :] if own else frames)


def _failed(fault: BaseException, request_id: str) -> tuple[str, str]:
    if isinstance(fault, HandlerProblem):
        return fault.error, failure_cause(str(fault), fault.error, request_id)
    if isinstance(fault, SystemExit):
        message = f"Runtime exited with error: the function called sys.exit({fault.code!r})"
        return "Runtime.ExitError", sandbox_cause("Runtime.ExitError", message, request_id)
    # A StatesError says itself what Retry and Catch are to see (S3.SlowDown, PreconditionFailed ...).
    name = fault.error if isinstance(fault, StatesError) else type(fault).__name__
    try:
        message = str(fault)
    except Exception as worse:  # noqa: BLE001 -- a broken __str__ must not hide the error itself
        message = f"<{type(worse).__name__} while the error was turned into text>"
    return name, failure_cause(message, name, request_id, _stack_of(fault))


def _call(
    load: Callable[[], Handler], arguments: bytes, context: Context, task: str, limit_bytes: int
) -> Ended:
    try:
        result = load()(loads(arguments), context)
    except BaseException as fault:  # noqa: BLE001 -- whatever a function does is an outcome, sys.exit included
        error, cause = _failed(fault, context.aws_request_id)
        return Ended(error=error, cause=cause)
    finally:
        context.flush_progress()
    try:
        output = marshal(result)
    except Exception as fault:  # noqa: BLE001 -- a value's own methods are asked, and may raise anything
        error = "Runtime.MarshalError"
        message = f"Unable to marshal response: {fault}"
        return Ended(error=error, cause=failure_cause(message, error, context.aws_request_id))
    if len(output) > limit_bytes:
        return Ended(error="States.DataLimitExceeded", cause=size_exceeded(task))
    return Ended(output=output)


def call(
    load: Callable[[], Handler],
    arguments: bytes,
    context: Context,
    task: str,
    *,
    limit_bytes: int = PAYLOAD_LIMIT_BYTES,
    alone: bool = False,
) -> Ended:
    """Run a handler on JSON text to its end. Never raises; receipts of versioned writes are gathered.

    `task` is what a result of more than `limit_bytes` is blamed on. `alone` says that nothing else is at work
    in this process, so that what the handler writes in threads of its own is gathered too.
    """
    with collecting(all_threads=alone) as receipts:
        ended = _call(load, arguments, context, task, limit_bytes)
    if receipts:
        ended = msgspec.structs.replace(ended, written=msgspec.json.encode(receipts))
    return ended
