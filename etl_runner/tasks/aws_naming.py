"""AWS's names as Step Functions writes them: those of the AWS SDK for Java 2, derived from the API models.

`aws-sdk` resources, their parameters, results and errors have the Java SDK's casing, which differs from
boto3's: DescribeDBInstances is describeDBInstances, DBInstances is DbInstances, the service "SFN" is sfn in a
resource and Sfn in an error. The rules here give every name in the recorded cases.
"""

import re
from functools import lru_cache
from typing import Any, Final

_WORD_ENDS: Final = re.compile(
    r"(?<=[a-z])(?=[A-Z][A-Za-z0-9])"  # DynamoDB -> Dynamo DB
    r"|(?<=[A-Z])(?=[A-Z][a-z])"  # KMSInvalid -> KMS Invalid
    r"|(?<=[0-9])(?=[A-Za-z])"  # s3ec2 -> s3 ec2
    r"|[^A-Za-z0-9]+"
)

_SERVICES: Final = {
    # The Java SDK's name of a service where it is not boto3's without hyphens.
    "applicationdiscovery": "discovery",
    "cloudwatchlogs": "logs",
    "cognitoidentityprovider": "cognito-idp",
    "costandusagereport": "cur",
    "costexplorer": "ce",
    "databasemigration": "dms",
    "directory": "ds",
    "directoryservicedata": "ds-data",
    "elasticloadbalancing": "elb",
    "elasticloadbalancingv2": "elbv2",
    "elasticsearch": "es",
    "eventbridge": "events",
    "iotdataplane": "iot-data",
    "iotjobsdataplane": "iot-jobs-data",
    "lexmodelbuilding": "lex-models",
    "lexmodelsv2": "lexv2-models",
    "lexruntimev2": "lexv2-runtime",
    "marketplacemetering": "meteringmarketplace",
    "migrationhub": "mgh",
    "pinpointsmsvoice": "sms-voice",
    "serverlessapplicationrepository": "serverlessrepo",
    "sfn": "stepfunctions",
    "simpledb": "sdb",
}


def service_names(boto3_names: list[str]) -> dict[str, str]:
    """Name in a resource -> boto3's name, for each service that boto3 has."""
    renamed = set(_SERVICES.values())
    names = {name.replace("-", ""): name for name in boto3_names if name not in renamed}
    return names | {java: name for java, name in _SERVICES.items() if name in boto3_names}


@lru_cache(maxsize=4096)
def pascal(name: str) -> str:
    """Each word with one capital: DBInstanceNotFound -> DbInstanceNotFound, DynamoDB -> DynamoDb."""
    words = [word for word in _WORD_ENDS.split(name) if word]
    return "".join(word[0].upper() + word[1:].lower() for word in words)


@lru_cache(maxsize=64)
def service_title(service_id: str) -> str:
    """The service part of an error name: "DynamoDB" -> DynamoDb, "SFN" -> Sfn, "Amazon X Service" -> X."""
    return pascal(service_id).removeprefix("Amazon").removeprefix("Aws").removesuffix("Service")


@lru_cache(maxsize=16384)
def camel(name: str) -> str:
    """A member or an operation with a small beginning: ETag -> eTag, MD5OfBody -> md5OfBody."""
    end = 1
    while end < len(name) and name[end].isupper() and not name[end + 1 : end + 2].islower():
        end += 1
    return name[:end].lower() + name[end:]


@lru_cache(maxsize=16384)
def member(name: str) -> str:
    """A member as Step Functions shows it: ETag, Md5OfBody, DbInstances, ChecksumCRC32."""
    small = camel(name)
    return small[:1].upper() + small[1:]


def exception_name(shape_name: str) -> str:
    """The exception's class: NoSuchKey -> NoSuchKeyException, DBFault -> DbException."""
    name = pascal(shape_name)
    for suffix in ("Exception", "Fault"):
        name = name.removesuffix(suffix)
    return f"{name}Exception"


def modelled_error(service_model: Any, operation_model: Any, code: str) -> str | None:
    """The name of the error shape that a service's error code means, None where the API model has none.

    A HEAD request has no body to hold a code; there botocore gives "404", and the operation's only error
    shape is meant, as the Java SDK takes it.
    """
    if code == "404" and len(operation_model.error_shapes) == 1:
        return str(operation_model.error_shapes[0].name)
    for shape in service_model.error_shapes:
        if code in {shape.name, shape.error_code}:
            return str(shape.name)
    return None
