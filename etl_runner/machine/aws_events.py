"""The shapes of AWS's history events: names, details, and how a task's resource decides both.

Source: Step Functions API reference, "HistoryEvent"; what it leaves open is as recorded histories show it.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final, Self, TypeAlias

from msgspec import UNSET, UnsetType

from etl_runner.asl import model
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.machine import facts as f
from etl_runner.machine.states.task import is_activity

HistoryEvent: TypeAlias = dict[str, Json]
"""One event: `id`, `previousEventId`, `timestamp` (epoch milliseconds), `type`, and its `...EventDetails`."""

Details: TypeAlias = dict[str, Json]

STATE_TYPES: Final[Mapping[type, str]] = {
    model.PassState: "Pass",
    model.TaskState: "Task",
    model.ChoiceState: "Choice",
    model.WaitState: "Wait",
    model.SucceedState: "Succeed",
    model.FailState: "Fail",
    model.ParallelState: "Parallel",
    model.MapState: "Map",
}


def data(key: str, value: Json, *, include: bool, text: str | None = None) -> Details:
    """`{key: JSON text, keyDetails: {"truncated": false}}`; without the text when data is not to be shown.

    `text` is the value's own text where it is not the compact one.
    """
    about: Details = {f"{key}Details": {"truncated": False}}
    return {key: text or dumps_text(value), **about} if include else about


def assigned(variables: Mapping[str, Json] | UnsetType, *, include: bool) -> Details:
    """`{"assignedVariables": {name: JSON text}, ...Details}`; nothing when no variable got a value."""
    if variables is UNSET:
        return {}
    about: Details = {"assignedVariablesDetails": {"truncated": False}}
    if not include:
        return about
    return {"assignedVariables": {name: dumps_text(v) for name, v in variables.items()}, **about}


def failure(error: str | None, cause: str | None) -> Details:
    """`{"error", "cause"}`, each only where there is one."""
    found = {"error": error, "cause": cause}
    return {key: text for key, text in found.items() if text is not None}


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskShape:
    """How AWS shows the tasks of one resource.

    `family` begins the type of every event. `about` is in the details of each of them: the service and its
    action for an integration, nothing for a function or an activity, whose ARN stands in ...Scheduled alone.
    """

    family: str
    resource: str
    about: Mapping[str, str]

    @classmethod
    def of(cls, resource: str) -> Self:
        """Tell from an ARN: a Lambda function, an activity, or `...:::service:action` of an integration."""
        if is_activity(resource):
            return cls(family="Activity", resource=resource, about={})
        _, integrated, rest = resource.partition(":::")
        if not integrated:
            return cls(family="LambdaFunction", resource=resource, about={})
        parts = rest.split(":", 2 if rest.startswith("aws-sdk:") else 1)
        about = {"resourceType": ":".join(parts[:-1]), "resource": parts[-1]}
        return cls(family="Task", resource=resource, about=about)

    def scheduled(self, fact: f.TaskScheduled, region: str, *, include_data: bool) -> Details:
        """The details of TaskScheduled, LambdaFunctionScheduled or ActivityScheduled."""
        if self.about:
            details: Details = {**self.about, "region": region}
            if include_data:
                details["parameters"] = dumps_text(fact.arguments)
        else:
            details = {"resource": self.resource} | data("input", fact.arguments, include=include_data)
        if fact.timeout_ms is not None:
            details["timeoutInSeconds"] = fact.timeout_ms // 1000
        if fact.heartbeat_ms is not None and self.family != "LambdaFunction":
            details["heartbeatInSeconds"] = fact.heartbeat_ms // 1000
        if fact.credentials is not None and self.family != "Activity":
            details["taskCredentials"] = _credentials(fact.credentials)
        return details


def _credentials(given: Json) -> Json:
    """ASL writes RoleArn, the history roleArn."""
    role = given.get("RoleArn") if isinstance(given, dict) else None
    return {} if role is None else {"roleArn": role}
