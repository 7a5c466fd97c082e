"""Logging, tracing, encryption and roles: checked as AWS does, and completed with AWS's defaults."""

import re
from collections.abc import Mapping
from typing import Final

from etl_runner.api.sfn.errors import AwsError
from etl_runner.engine.machine_shapes import NO_LOGGING, NO_TRACING, OWN_KEY
from etl_runner.jsontypes import Json

_REUSE_S: Final = 300
"""How long a data key of KMS is used again where nothing is said."""

_ROLE: Final = re.compile(r"arn:[a-z0-9-]+:iam::\d{12}:role/.+|[\w+=,.@-]+")
"""A role's ARN. A bare name is taken too: no role has to exist here."""

_LOG_GROUP: Final = re.compile(r"arn:[a-z0-9-]+:logs:[a-z0-9-]+:\d{12}:log-group:[^:]+(?P<all>:\*)?")


def logging_of(given: Mapping[str, Json] | None) -> Json:
    """A loggingConfiguration, complete. Raises AwsError InvalidLoggingConfiguration."""
    given = given or {}
    level = given.get("level", "OFF")
    destinations = given.get("destinations", [])
    if len(destinations) > 1 or (level != "OFF" and not destinations):
        raise _invalid_logging("Must specify exactly one Log Destination.")
    for destination in destinations:
        arn = destination.get("cloudWatchLogsLogGroup", {}).get("logGroupArn", "")
        group = _LOG_GROUP.fullmatch(arn)
        if group is None:
            raise _invalid_logging(f"Invalid ARN of a log group: {arn}")
        if not group["all"]:
            raise _invalid_logging("Log Group ARN must be provided with '*' qualifier.")
    include = given.get("includeExecutionData", NO_LOGGING["includeExecutionData"])
    found = {"level": level, "includeExecutionData": include}
    return {**found, "destinations": destinations} if destinations else found


def _invalid_logging(why: str) -> AwsError:
    return AwsError("InvalidLoggingConfiguration", f"Invalid Logging Configuration: {why}")


def tracing_of(given: Mapping[str, Json] | None) -> Json:
    """A tracingConfiguration, complete."""
    return {**NO_TRACING, **(given or {})}


def encryption_of(given: Mapping[str, Json] | None) -> Json:
    """An encryptionConfiguration, complete. Raises AwsError InvalidEncryptionConfiguration."""
    if given is None:
        return dict(OWN_KEY)
    own = given["type"] == OWN_KEY["type"]
    if own and given.keys() - {"type"}:
        raise _invalid_encryption("kmsKeyId and kmsDataKeyReusePeriodSeconds are not for AWS_OWNED_KEY")
    if not own and "kmsKeyId" not in given:
        raise _invalid_encryption("kmsKeyId is required for CUSTOMER_MANAGED_KMS_KEY")
    return dict(given) if own else {"kmsDataKeyReusePeriodSeconds": _REUSE_S, **given}


def _invalid_encryption(why: str) -> AwsError:
    return AwsError("InvalidEncryptionConfiguration", f"Invalid Encryption Configuration: {why}")


def check_role(arn: str) -> str:
    """A role's ARN. Raises AwsError InvalidArn."""
    if _ROLE.fullmatch(arn) is None:
        raise AwsError("InvalidArn", f"Invalid Role Arn: '{arn}'")
    return arn
