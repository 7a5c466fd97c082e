"""Logging: structlog over the standard library, text for people and JSON lines for machines, on stderr."""

import logging
import sys
from typing import Any, Literal

import structlog
from structlog.typing import EventDict


def _head_first(_logger: object, _method: str, fields: EventDict) -> EventDict:
    """When, how grave, from where and what, and then the rest: the order in which a line is read."""
    head = {name: fields.pop(name) for name in ("timestamp", "level", "logger", "event") if name in fields}
    return {**head, **fields}


def configure_logging(level: str, style: Literal["auto", "text", "json"]) -> None:
    """Set up logging for the whole process. Library loggers go through the same door."""
    as_text = style == "text" or (style == "auto" and sys.stderr.isatty())
    shared: list[Any] = [
        structlog.contextvars.merge_contextvars,
        structlog.stdlib.add_log_level,
        structlog.stdlib.add_logger_name,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.StackInfoRenderer(),
    ]
    last: Any = (
        # Its own tracebacks show the variables of every function, and with them whatever is secret.
        structlog.dev.ConsoleRenderer(
            colors=sys.stderr.isatty(), exception_formatter=structlog.dev.plain_traceback
        )
        if as_text
        else structlog.processors.JSONRenderer()
    )
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )
    # As text, the renderer formats exceptions and places the fields itself.
    exceptions: list[Any] = [] if as_text else [structlog.processors.format_exc_info, _head_first]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, *exceptions, last],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    for noisy in (
        "alembic",
        "botocore",
        "boto3",
        "urllib3",
        "s3transfer",
        "apscheduler",
        "httpx",
        "httpcore",
        "uvicorn",
    ):
        logging.getLogger(noisy).setLevel(logging.WARNING)
