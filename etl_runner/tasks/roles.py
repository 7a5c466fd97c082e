"""Credentials.RoleArn: the access of a role, from sts:AssumeRole, kept until shortly before it expires."""

import re
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from etl_runner.aws import AwsAccess
from etl_runner.errors import RUNTIME, StatesError
from etl_runner.jsontypes import Json

PERMISSIONS: Final = "States.Permissions"
"""The error of a task that may not do what it wants (developer guide, "Handling errors")."""

_EARLY: Final = timedelta(minutes=5)
_SESSION_S: Final = 3600
"""An hour is what every role allows, also one that is assumed by a role (role chaining)."""


def role_of(credentials: Json) -> str | None:
    """The role of a state's Credentials, None where it has none. Raises StatesError for anything else."""
    if credentials is None:
        return None
    role = credentials.get("RoleArn") if isinstance(credentials, dict) else None
    if not isinstance(role, str) or not role:
        raise StatesError(RUNTIME, "Credentials needs the field RoleArn with the ARN of a role")
    return role


class RoleSessions:
    """Accesses under other roles, one per role."""

    def __init__(self, aws: AwsAccess) -> None:
        self._aws = aws
        self._lock = (
            threading.Lock()
        )  # guards _kept; two threads may assume a role at once, which is harmless
        self._kept: dict[str, tuple[AwsAccess, datetime]] = {}

    def access(self, role_arn: str, execution_arn: str) -> AwsAccess:
        """The access under a role. Raises StatesError States.Permissions when it cannot be assumed."""
        now = datetime.now(UTC)
        with self._lock:
            found = self._kept.get(role_arn)
        if found is not None and found[1] - _EARLY > now:
            return found[0]
        access, until = self._assume(role_arn, execution_arn)
        with self._lock:
            self._kept[role_arn] = (access, until)
        return access

    def close(self) -> None:
        """Let go of the clients of all sessions."""
        with self._lock:
            kept, self._kept = list(self._kept.values()), {}
        for access, _ in kept:
            access.close()

    def _assume(self, role_arn: str, execution_arn: str) -> tuple[AwsAccess, datetime]:
        from botocore.exceptions import BotoCoreError, ClientError  # noqa: PLC0415 -- slow to import

        name = re.sub(r"[^\w+=,.@-]", "-", execution_arn.rpartition(":")[2])
        try:
            answer: Any = self._aws.client("sts").assume_role(
                RoleArn=role_arn, RoleSessionName=f"etl-runner-{name}"[:64], DurationSeconds=_SESSION_S
            )
        except (BotoCoreError, ClientError) as fault:
            raise StatesError(PERMISSIONS, f"The role {role_arn} could not be assumed: {fault}") from fault
        given = answer["Credentials"]
        access = replace(
            self._aws,
            access_key_id=given["AccessKeyId"],
            secret_access_key=given["SecretAccessKey"],
            session_token=given["SessionToken"],
        )
        return access, given["Expiration"]
