"""Settings: what an installation decides. Read from `etl-runner.yaml`, the environment and the command line.

The command line wins over the environment (`ETL_RUNNER_PORT=...`, nested names with two underscores:
`ETL_RUNNER_AWS__ENDPOINT_URL=...`), the environment over the file, the file over the defaults.
"""

import json
import os
import sys
from collections.abc import Iterator, Mapping
from contextvars import ContextVar
from pathlib import Path
from types import MappingProxyType
from typing import Any, Final, Literal

from pydantic import BaseModel, ConfigDict, Field, SecretStr, ValidationError, field_validator
from pydantic_core import ErrorDetails
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict, SettingsError

from etl_runner.arn import DEFAULT_ACCOUNT, DEFAULT_REGION
from etl_runner.aws import AwsAccess
from etl_runner.config.faults import near, shape_faults
from etl_runner.config.yaml_source import decode, read_config_yaml
from etl_runner.engine.policy import Policy
from etl_runner.errors import ConfigError, Fault
from etl_runner.machine.limits import AWS as AWS_LIMITS
from etl_runner.machine.limits import Limits

FILE_NAME: Final = "etl-runner.yaml"
PREFIX: Final = "ETL_RUNNER_"

MOST_PAYLOAD_BYTES: Final = 64 * 1_048_576
"""What a JSONata expression may give at most (asl/jsonata.py): nothing larger could go on from a state."""

OF_THE_CLIENT: Final = frozenset({"ETL_RUNNER_URL", "ETL_RUNNER_DEBUG"})
"""Variables of the command line that are no settings of the service."""


class AwsSettings(BaseModel):
    """How tasks and the S3 Map reach AWS. Left out, boto3's own variables and files decide."""

    model_config = ConfigDict(extra="forbid")

    endpoint_url: str | None = Field(
        default=None, description="Endpoint of every AWS service (moto, for example)."
    )
    endpoint_urls: dict[str, str] = Field(
        default_factory=dict, description="Endpoints of single services, by boto3's name: {s3: http://...}."
    )
    region: str | None = Field(default=None, description="Region of the calls; default: `region`.")
    access_key_id: str | None = Field(default=None, description="Access key; default: what boto3 finds.")
    secret_access_key: SecretStr | None = Field(default=None, description="Secret key; never shown.")
    session_token: SecretStr | None = Field(default=None, description="Session token; never shown.")


class AccessKeySettings(BaseModel):
    """One key that callers of AWS's protocol sign with."""

    model_config = ConfigDict(extra="forbid")

    id: str = Field(pattern=r"^[A-Za-z0-9]{3,128}$", description="The access key's id.")
    secret: SecretStr = Field(min_length=8, description="The secret access key; never shown.")
    account: str | None = Field(
        default=None, pattern=r"^\d{12}$", description="The account it is of; default: `account`."
    )


class ApiSettings(BaseModel):
    """Who may call Step Functions' and EventBridge's API here."""

    model_config = ConfigDict(extra="forbid")

    access_keys: list[AccessKeySettings] = Field(
        default_factory=list,
        description="Keys that calls of AWS's API are signed with, [{id: ..., secret: ..., account: ...}]; "
        "without any, calls are not checked, and only this machine may make them.",
    )

    @field_validator("access_keys")
    @classmethod
    def _each_once(cls, keys: list[AccessKeySettings]) -> list[AccessKeySettings]:
        ids = [key.id for key in keys]
        twice = sorted({each for each in ids if ids.count(each) > 1})
        if twice:
            # Which of them holds would else be a matter of their order.
            raise ValueError(f"must have each id once; {', '.join(twice)} is there more often")
        return keys


class TaskSettings(BaseModel):
    """How many tasks run at once on this node."""

    model_config = ConfigDict(extra="forbid")

    processes: int | None = Field(
        default=None, ge=1, description="Worker processes; default: one per processor."
    )
    threads: int = Field(default=8, ge=1, description="Threads for functions with `run_in: thread`.")
    calls: int = Field(default=16, ge=1, description="AWS calls at once (aws-sdk, sns, sqs ...).")
    functions_in_aws: bool = Field(
        default=False,
        description="true: a function that is bound in no functions.yaml lives in AWS, and is called there.",
    )


class ScheduleSettings(BaseModel):
    """How late a tick may be."""

    model_config = ConfigDict(extra="forbid")

    grace_seconds: int = Field(
        default=300,
        ge=1,
        description="A tick that is later than this (the service was down) is recorded as missed.",
    )


class EventSettings(BaseModel):
    """What EventBridge is told of."""

    model_config = ConfigDict(extra="forbid")

    publish_status: bool | None = Field(
        default=None,
        description="Tell EventBridge when an execution starts and ends (source aws.states). Default: where "
        "an endpoint for events is set, since AWS itself takes no event of that source from anyone.",
    )


class LimitSettings(BaseModel):
    """What executions may use and how much there may be of everything; the defaults are AWS's."""

    model_config = ConfigDict(extra="forbid")

    payload_bytes: int = Field(
        default=AWS_LIMITS.payload_bytes,
        ge=1_024,
        le=MOST_PAYLOAD_BYTES,
        description="An input, result or output, wherever there is one: as JSON, in UTF-8.",
    )
    events: int = Field(default=AWS_LIMITS.events, ge=100, description="Events of a history.")
    express_events: int = Field(
        default=AWS_LIMITS.express_events, ge=100, description="Events of an Express execution."
    )
    variable_bytes: int = Field(
        default=AWS_LIMITS.variable_bytes, ge=1, description="The value of one variable."
    )
    assign_bytes: int = Field(
        default=AWS_LIMITS.assign_bytes, ge=1, description="All variables of one Assign."
    )
    variables_bytes: int = Field(
        default=AWS_LIMITS.variables_bytes, ge=1, description="All variables that live at one time."
    )
    inline_concurrency: int = Field(
        default=AWS_LIMITS.inline_concurrency, ge=1, description="Iterations of an inline Map at one time."
    )
    express_seconds: int = Field(
        default=AWS_LIMITS.express_seconds, ge=1, description="How long an Express execution may run."
    )
    definition_bytes: int = Field(
        default=AWS_LIMITS.definition_bytes,
        ge=1_024,
        le=MOST_PAYLOAD_BYTES,
        description="The text of a definition.",
    )
    versions: int = Field(default=AWS_LIMITS.versions, ge=1, description="Versions of a state machine.")
    aliases: int = Field(default=AWS_LIMITS.aliases, ge=1, description="Aliases of a state machine.")
    tags: int = Field(default=AWS_LIMITS.tags, ge=1, description="Tags of a state machine or activity.")
    state_machines: int = Field(
        default=AWS_LIMITS.state_machines,
        ge=1,
        description="State machines of an account in a region; workflows from files do not count.",
    )
    activities: int = Field(
        default=AWS_LIMITS.activities, ge=1, description="Activities of an account in a region."
    )


class LogSettings(BaseModel):
    """What is logged, and how it looks."""

    model_config = ConfigDict(extra="forbid")

    level: Literal["debug", "info", "warning", "error"] = Field(
        default="info", description="The least that is shown."
    )
    format: Literal["auto", "text", "json"] = Field(
        default="auto", description="auto: text on a terminal, JSON lines elsewhere."
    )


class SettingsFile(BaseModel):
    """Everything that can be set. Unknown names are refused."""

    model_config = ConfigDict(extra="forbid")

    host: str = Field(default="127.0.0.1", description="Address to listen on.")
    port: int = Field(default=8083, ge=0, le=65535, description="Port to listen on; 0 takes a free one.")
    api_token: SecretStr | None = Field(
        default=None,
        min_length=1,
        description="Token that every request must bear; needed to listen beyond this machine. Never shown.",
    )
    api: ApiSettings = Field(default_factory=ApiSettings, description="AWS's API as it is offered here.")
    store: Path = Field(
        default=Path("var/etl-runner.db"), description="The SQLite file with everything that happened."
    )
    workflows: Path = Field(default=Path("workflows"), description="The folder of workflows.")
    account: str = Field(default=DEFAULT_ACCOUNT, pattern=r"^\d{12}$", description="The account in ARNs.")
    region: str = Field(default=DEFAULT_REGION, description="The region in ARNs.")
    grace_seconds: float = Field(
        default=30.0,
        ge=0,
        description="How long running tasks may take to finish when the service is stopped.",
    )
    reload_seconds: float = Field(default=1.0, gt=0, description="How often files are looked at for changes.")
    aws: AwsSettings = Field(default_factory=AwsSettings, description="AWS access.")
    tasks: TaskSettings = Field(default_factory=TaskSettings, description="Task capacity.")
    schedules: ScheduleSettings = Field(default_factory=ScheduleSettings, description="Schedules.")
    events: EventSettings = Field(default_factory=EventSettings, description="Events for EventBridge.")
    limits: LimitSettings = Field(
        default_factory=LimitSettings, description="Bounds that may be lifted; the defaults are AWS's."
    )
    log: LogSettings = Field(default_factory=LogSettings, description="Logging.")

    def aws_access(self) -> AwsAccess:
        """The AWS access that these settings stand for."""
        aws = self.aws
        return AwsAccess(
            endpoint_url=aws.endpoint_url,
            endpoint_urls=aws.endpoint_urls,
            region=aws.region or self.region,
            access_key_id=aws.access_key_id,
            secret_access_key=None
            if aws.secret_access_key is None
            else aws.secret_access_key.get_secret_value(),
            session_token=None if aws.session_token is None else aws.session_token.get_secret_value(),
        )

    def bounds(self) -> Limits:
        """The limits in force."""
        return Limits(**self.limits.model_dump())

    def policy(self) -> Policy:
        """What these settings decide for the engine."""
        tell = self.events.publish_status
        if tell is None:
            tell = self.aws_access().endpoint_of("events") is not None or any(
                os.environ.get(name) for name in ("AWS_ENDPOINT_URL", "AWS_ENDPOINT_URL_EVENTBRIDGE")
            )
        return Policy(limits=self.bounds(), tell_status=tell)


_file_values: ContextVar[Mapping[str, Any]] = ContextVar("file_values", default=MappingProxyType({}))


class _FileSource(PydanticBaseSettingsSource):
    """The values of etl-runner.yaml, for the time of `load_settings`."""

    def get_field_value(self, field: Any, field_name: str) -> tuple[Any, str, bool]:  # noqa: ARG002 -- pydantic's
        """One field's value."""
        return _file_values.get().get(field_name), field_name, False

    def __call__(self) -> dict[str, Any]:
        """All values of the file."""
        return dict(_file_values.get())


class Settings(BaseSettings, SettingsFile):
    """The settings in force."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX,
        env_nested_delimiter="__",
        # `ETL_RUNNER_API_TOKEN=` in a compose file means that there is none, not that it is empty.
        env_ignore_empty=True,
        extra="forbid",
        hide_input_in_errors=True,
    )

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- pydantic's signature
        file_secret_settings: PydanticBaseSettingsSource,  # noqa: ARG003 -- the same
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Command line, environment, file."""
        return init_settings, env_settings, _FileSource(settings_cls)


def load_settings(config_dir: Path, **given: Any) -> Settings:
    """Read the settings; `given` are those of the command line, None meaning not given.

    Raises ConfigError with every fault of the file (file:line:column) or of the environment (by name).
    """
    values = _read_file(config_dir / FILE_NAME)
    _check_names(os.environ)
    token = _file_values.set(values)
    try:
        return Settings(**{name: value for name, value in given.items() if value is not None})
    except ValidationError as error:
        # The file has been checked on its own: what is left comes from elsewhere.
        raise ConfigError([_fault_outside(detail) for detail in error.errors(include_url=False)]) from None
    except SettingsError as error:
        raise ConfigError(
            [Fault(what=f"the environment cannot be used: {error}", code="bad-setting")]
        ) from None
    finally:
        _file_values.reset(token)


def _check_names(environment: Mapping[str, str]) -> None:
    """Refuse variables that look like settings and are none: a misspelt one would change nothing, silently.

    pydantic does so itself below the first level (ETL_RUNNER_AWS__REGOIN).
    """
    known = {PREFIX + name.upper() for name in SettingsFile.model_fields}
    given = [name.upper() for name in environment if name.upper().startswith(PREFIX)]
    strangers = [name for name in given if name not in OF_THE_CLIENT and name.partition("__")[0] not in known]
    if strangers:
        raise ConfigError(
            [
                Fault(
                    what=f"the variable {name} is no setting",
                    remedy=near(name, known, f"the settings are listed in config/{FILE_NAME}"),
                    code="unknown-setting",
                )
                for name in sorted(strangers)
            ]
        )


def _fault_outside(detail: ErrorDetails) -> Fault:
    # What was found is not shown: it may be a secret, also where the name beside it is misspelt.
    names = [str(part) for part in detail["loc"]]
    unknown = detail["type"] == "extra_forbidden"
    rule = detail["msg"].replace("should ", "must ").removeprefix("Input ")
    what = "is unknown" if unknown else rule if rule.startswith("must ") else f"is not valid: {rule}"
    return Fault(
        what=f"the setting {'.'.join(names)} {what}",
        remedy=f"correct the option or the variable {PREFIX}{'__'.join(names).upper()}",
        code="bad-setting",
    )


def _read_file(path: Path) -> Mapping[str, Any]:
    """The values of the settings file; none when there is no file."""
    try:
        data = path.read_bytes()
    except FileNotFoundError:
        return {}
    except OSError as error:
        what = f"the settings cannot be read: {error.strerror}"
        fault = Fault(what=what, remedy="give the service the right to read it", file=str(path))
        raise ConfigError([fault]) from None
    text = decode(data, str(path))
    if isinstance(text, Fault):
        raise ConfigError([text])
    if not any(line.strip() and not line.lstrip().startswith("#") for line in text.splitlines()):
        return {}
    document = read_config_yaml(text, str(path))
    faults = shape_faults(SettingsFile, document)
    if faults:
        raise ConfigError(faults)
    assert document.root is not None
    values = document.root.value
    assert isinstance(values, dict)
    return values


# --- the file that lists them -------------------------------------------------------------------------

_HEAD: Final = """\
# The settings of etl-runner, each with its default. To change one, take away the "#" before its name (and
# before the name above it, where it is indented). Only what is changed needs to be here.
#
# Options of `etl-runner serve` win over variables (in brackets), those over this file. Relative paths begin
# at the folder in which the service is started. The file is read at the start: a change needs a restart.
#
# Made by `python -m etl_runner.settings > config/etl-runner.yaml` from the models that read it.
"""


def commented_file() -> str:
    """The text of etl-runner.yaml in which every setting stands with its default, commented out."""
    return "\n".join([_HEAD, *_commented(SettingsFile, PREFIX, "")])


def _commented(model: type[BaseModel], prefix: str, indent: str) -> Iterator[str]:
    for name, field in model.model_fields.items():
        kind, variable = field.annotation, prefix + name.upper()
        if isinstance(kind, type) and issubclass(kind, BaseModel):
            yield f"#{indent}{name}:  # {field.description}"
            yield from _commented(kind, f"{variable}__", indent + "  ")
            yield ""
            continue
        default = field.get_default(call_default_factory=True)
        shown = json.dumps(default if isinstance(default, dict | list | int | float | None) else str(default))
        yield f"#{indent}{'# ' if indent else ' '}{field.description} [{variable}]"
        yield f"#{indent}{name}: {shown}"
        if not indent:
            yield ""


if __name__ == "__main__":
    sys.stdout.write(commented_file())
