"""The JSON shapes that operators see: names in camelCase, times in ISO 8601 with milliseconds, in UTC."""

from typing import Final

from etl_runner.api.story import Story
from etl_runner.asl.model import StateMachine
from etl_runner.clock import to_iso
from etl_runner.config.configuration import WorkflowDefinition
from etl_runner.engine.machine_shapes import Described
from etl_runner.errors import ConfigError, DefinitionError, EtlRunnerError, Fault
from etl_runner.jsontypes import Json
from etl_runner.machine.shape import ROOT
from etl_runner.machine.state import Status
from etl_runner.schedule.events import EventTaken
from etl_runner.schedule.service import Fired, NextTick, ScheduleStatus
from etl_runner.store.ledger import EventMatchRow, TickRow
from etl_runner.store.reads import ExecutionSummary, MapRunSummary, WrittenRow
from etl_runner.tasks.contract import Progress

CAUSE_IN_LISTS: Final = 500
"""So many characters of a cause are shown in lists; the execution itself shows all."""


def iso(ms: int | None) -> str | None:
    """An ISO time, or None."""
    return None if ms is None else to_iso(ms)


def workflow_of(machine_arn: str) -> str:
    """The workflow's name in a state machine's ARN; children of map runs have `WORKFLOW/LABEL`."""
    return machine_arn.rpartition(":")[2]


def execution_summary(row: ExecutionSummary, now_ms: int) -> dict[str, Json]:
    """One execution in a list."""
    end_ms = now_ms if row.stopped_ms is None else row.stopped_ms
    shown: dict[str, Json] = {
        "executionArn": row.arn,
        "workflow": workflow_of(row.state_machine_arn),
        "name": row.name,
        "status": row.status,
        "origin": row.origin,
        "startedAt": to_iso(row.started_ms),
        "stoppedAt": iso(row.stopped_ms),
        "durationSeconds": max(0, end_ms - row.started_ms) / 1000,
        "error": row.error,
        "cause": None if row.cause is None else row.cause[:CAUSE_IN_LISTS],
    }
    if row.item_index is not None:
        shown["itemIndex"] = row.item_index
    return shown


def execution(
    row: ExecutionSummary,
    story: Story,
    *,
    now_ms: int,
    definition_sha256: str,
    map_runs: list[MapRunSummary],
    progress: list[Progress],
) -> dict[str, Json]:
    """One execution with all that is known of it but its history and its written objects."""
    machine = story.machine
    shown = execution_summary(row, now_ms)
    shown |= {
        "stateMachineArn": row.state_machine_arn,
        "stateMachineVersionArn": row.state_machine_version_arn,
        "stateMachineAliasArn": row.state_machine_alias_arn,
        "redriveCount": row.redrive_count,
        "redrivenAt": iso(row.redriven_ms),
        "definitionSha256": definition_sha256,
        "input": machine.start.input,
        "output": machine.output if machine.status is Status.SUCCEEDED else None,
        "error": machine.error,
        "cause": machine.cause,
        "variables": machine.frames[ROOT].variables or {},
        "wakeAt": iso(row.wake_at_ms),
        "deadline": iso(machine.deadline_ms),
        "events": machine.events,
        "current": story.current(),
        "states": story.states(),
        "lastError": story.last_error,
        "mapRuns": [map_run(run) for run in map_runs],
        "progress": [task_progress(each) for each in progress],
    }
    return shown


def task_progress(progress: Progress) -> dict[str, Json]:
    """How far a running task says it is."""
    return {
        "state": progress.state_name,
        "done": progress.done,
        "total": progress.total,
        "note": progress.note,
    }


def map_run(run: MapRunSummary) -> dict[str, Json]:
    """One map run with its children by status."""
    return {
        "mapRunArn": run.arn,
        "status": run.status,
        "startedAt": to_iso(run.started_ms),
        "stoppedAt": iso(run.stopped_ms),
        "started": run.children_started,
        "allItemsRead": run.read_all,
        "counts": run.counts,
    }


def written(row: WrittenRow) -> dict[str, Json]:
    """One S3 object as it was written; `replacedVersionId` is the version that stood there before."""
    return {
        "bucket": row.bucket,
        "key": row.key,
        "versionId": row.version_id,
        "bytes": row.bytes,
        "etag": row.etag,
        "sha256": row.sha256,
        "replacedVersionId": row.replaced_version_id,
        "unchanged": row.unchanged,
        "executionArn": row.execution_arn,
        "state": row.state,
        "at": to_iso(row.at_ms),
    }


def workflow(definition: WorkflowDefinition, counts: dict[str, int]) -> dict[str, Json]:
    """One workflow with its executions by status."""
    return {
        "name": definition.name,
        "stateMachineArn": definition.arn,
        "description": definition.description,
        "file": definition.file,
        "type": "STANDARD",
        "states": sum(len(scope.states) for scope in definition.machine.scopes),
        "definitionSha256": definition.machine.sha256,
        "counts": counts,
    }


def made(machine: Described, definition: StateMachine, counts: dict[str, int]) -> dict[str, Json]:
    """One state machine made through the API, as a workflow without a file."""
    return {
        "name": machine.machine.name,
        "stateMachineArn": machine.machine.arn,
        "description": definition.comment,
        "file": None,
        "type": machine.machine.type,
        "states": sum(len(scope.states) for scope in definition.scopes),
        "definitionSha256": definition.sha256,
        "counts": counts,
    }


def schedule(status: ScheduleStatus) -> dict[str, Json]:
    """One schedule as it stands, with its next tick and what became of the last."""
    return {
        "name": status.name,
        "workflow": status.workflow,
        "expression": status.expression,
        "words": status.words,
        "timezone": status.timezone,
        "description": status.description,
        "enabled": status.enabled,
        "paused": status.paused,
        "start": iso(status.start_ms),
        "end": iso(status.end_ms),
        "nextDue": iso(status.next_due_ms),
        "last": None if status.last is None else tick(status.last),
    }


def next_tick(tick_to_come: NextTick) -> dict[str, Json]:
    """A tick to come."""
    return {
        "schedule": tick_to_come.schedule,
        "due": to_iso(tick_to_come.due_ms),
        "paused": tick_to_come.paused,
    }


def tick(row: TickRow) -> dict[str, Json]:
    """What became of a tick."""
    return {
        "schedule": row.schedule,
        "due": to_iso(row.due_ms),
        "outcome": row.outcome,
        "reason": row.reason,
        "executionArn": row.execution_arn,
        "recordedAt": to_iso(row.recorded_ms),
        "latenessSeconds": row.lateness_ms / 1000,
        "fireId": row.fire_id,
    }


def fired(fire: Fired) -> dict[str, Json]:
    """A fire by hand."""
    return {
        "schedule": fire.schedule,
        "executionArn": fire.execution_arn,
        "due": to_iso(fire.due_ms),
        "fireId": fire.fire_id,
        "existed": fire.existed,
    }


def fault(found: Fault) -> dict[str, Json]:
    """One fault of a file, in fields and as a sentence."""
    return {
        "file": found.file,
        "line": found.line,
        "column": found.column,
        "severity": found.severity,
        "code": found.code,
        "what": found.what,
        "remedy": found.remedy,
        "text": str(found),
    }


def event_taken(taken: EventTaken) -> dict[str, Json]:
    """An event that is on the disk, with what it started."""
    return {"eventId": taken.event_id, "matches": [event_match(row) for row in taken.matches]}


def event_match(row: EventMatchRow) -> dict[str, Json]:
    """What became of an event under a rule."""
    return {
        "eventId": row.event_id,
        "rule": row.rule,
        "outcome": row.outcome,
        "reason": row.reason,
        "executionArn": row.execution_arn,
        "recordedAt": to_iso(row.recorded_ms),
    }


def error(raised: EtlRunnerError) -> dict[str, Json]:
    """An error of the tree: its class, its sentence, and the faults where it carries some."""
    shown: dict[str, Json] = {"type": type(raised).__name__, "message": str(raised)}
    if isinstance(raised, DefinitionError | ConfigError):
        shown["faults"] = [fault(each) for each in raised.faults]
    return shown
