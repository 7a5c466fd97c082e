"""Lambda-style functions of the daily import, by the names that functions.yaml binds. See README.md."""

from workflows.daily_import.dispatch import dispatch
from workflows.daily_import.download import download
from workflows.daily_import.publish import publish, record_failure, summarize
from workflows.daily_import.refine import refine_chunk, refine_whole

__all__ = ["dispatch", "download", "publish", "record_failure", "refine_chunk", "refine_whole", "summarize"]
