"""Lambda-style functions of the subscriber export, by the names that functions.yaml binds. See README.md."""

from workflows.subscriber_export.export import fetch_file, get_job, submit_export
from workflows.subscriber_export.plan import prepare
from workflows.subscriber_export.publish import publish_version
from workflows.subscriber_export.transform import transform

__all__ = ["fetch_file", "get_job", "prepare", "publish_version", "submit_export", "transform"]
