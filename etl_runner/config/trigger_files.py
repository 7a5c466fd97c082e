"""The files of config/: schedules, event rules and queues."""

import re
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from zoneinfo import ZoneInfo

from pydantic import BaseModel

from etl_runner.asl.dataflow import Template, compile_template
from etl_runner.asl.document import Node
from etl_runner.clock import from_datetime
from etl_runner.config.configuration import Queue, Rule, Schedule
from etl_runner.config.faults import near, shape_faults, sound_entries
from etl_runner.config.files import InputFile
from etl_runner.config.gather import Gathering
from etl_runner.config.models import QueueEntry, RuleEntry, RulesFile, ScheduleEntry, SchedulesFile
from etl_runner.config.template_paths import check_event_paths, check_tick_paths
from etl_runner.config.yaml_source import decode, read_config_yaml
from etl_runner.errors import Fault
from etl_runner.jsontypes import Json

_ANY_EXPRESSION = "rate(1 day)"  # to ask about a zone alone
_STATE_MACHINE = re.compile(r"arn:[a-z0-9-]+:states:[a-z0-9-]+:\d{12}:stateMachine:[\w.-]+(:[\w.-]+)?")


def read_schedules(file: InputFile, data: bytes, workflows: set[str], into: Gathering) -> list[Schedule]:
    """Read one file of config/schedules/; faults go to `into`."""
    root = _read(SchedulesFile, file, data, into)
    found = []
    for entry, node in sound_entries(ScheduleEntry, _elements(root, "schedules")):
        schedule = _schedule(entry, node, workflows, into)
        if schedule is not None:
            found.append(schedule)
    return found


def read_rules(
    file: InputFile, data: bytes, workflows: set[str], into: Gathering
) -> tuple[list[Rule], list[Queue]]:
    """Read one file of config/rules/; faults go to `into`."""
    root = _read(RulesFile, file, data, into)
    rules = [
        _rule(entry, node, workflows, into)
        for entry, node in sound_entries(RuleEntry, _elements(root, "rules"))
    ]
    queues = [
        _queue(entry, node, into) for entry, node in sound_entries(QueueEntry, _elements(root, "queues"))
    ]
    return [rule for rule in rules if rule is not None], queues


def _read(model: type[BaseModel], file: InputFile, data: bytes, into: Gathering) -> Node | None:
    text = decode(data, file.shown)
    if isinstance(text, Fault):
        into.faults.append(text)
        return None
    document = read_config_yaml(text, file.shown)
    into.faults += shape_faults(model, document)
    return document.root


def _elements(root: Node | None, name: str) -> Iterator[Node]:
    node = root.get(name) if root is not None else None
    return node.elements() if node is not None else iter(())


def _schedule(entry: ScheduleEntry, node: Node, workflows: set[str], into: Gathering) -> Schedule | None:
    check = into.checks.expression
    into.take("schedule", entry.name, node.get("name") or node)
    known_zone = into.ask(
        lambda: check(_ANY_EXPRESSION, entry.timezone), node.get("timezone") or node, "unknown-zone"
    )
    known_expression = into.ask(
        lambda: check(entry.expression, "UTC"), node.get("expression") or node, "invalid-expression"
    )
    _check_workflow(entry.workflow, node, workflows, into)
    has_input = "input" in entry.model_fields_set
    template = _template(entry.input, node, into) if has_input else None
    if (has_input and template is None) or not known_zone:
        return None
    if has_input and known_expression:
        sample = into.checks.tick_sample(entry.name, entry.expression, entry.timezone)
        check_tick_paths(node.get("input") or node, sample, into)
    start_ms = _moment(entry.start, entry.timezone, node, "start", into)
    end_ms = _moment(entry.end, entry.timezone, node, "end", into)
    if start_ms is not None and end_ms is not None and end_ms <= start_ms:
        into.refuse(
            node.get("end") or node, "the end is not after the start", "correct one of them", "invalid-value"
        )
    return Schedule(
        name=entry.name,
        expression=entry.expression,
        timezone=entry.timezone,
        workflow=entry.workflow,
        input=(entry.input,) if has_input else None,
        template=template,
        enabled=entry.enabled,
        start_ms=start_ms,
        end_ms=end_ms,
        description=entry.description,
        file=node.source.file,
        place=node.place,
    )


def _rule(entry: RuleEntry, node: Node, workflows: set[str], into: Gathering) -> Rule | None:
    check = into.checks.pattern
    into.take("rule", entry.name, node.get("name") or node)
    into.ask(lambda: check(entry.pattern), node.get("pattern") or node, "invalid-pattern")
    _check_workflow(entry.workflow, node, workflows, into)
    has_input = "input" in entry.model_fields_set
    template = _template(entry.input, node, into) if has_input else None
    if has_input and template is None:
        return None
    if has_input:
        check_event_paths(node.get("input") or node, into)
    return Rule(
        name=entry.name,
        pattern=entry.pattern,
        workflow=entry.workflow,
        input=(entry.input,) if has_input else None,
        template=template,
        enabled=entry.enabled,
        description=entry.description,
        file=node.source.file,
        place=node.place,
    )


def _queue(entry: QueueEntry, node: Node, into: Gathering) -> Queue:
    into.take("queue", entry.name, node.get("name") or node)
    return Queue(
        name=entry.name,
        queue_url=entry.queue_url,
        region=entry.region,
        wait_s=entry.wait_seconds,
        max_messages=entry.max_messages,
        visibility_timeout_s=entry.visibility_timeout_seconds,
        enabled=entry.enabled,
        description=entry.description,
        file=node.source.file,
        place=node.place,
    )


def _check_workflow(name: str, node: Node, workflows: set[str], into: Gathering) -> None:
    # What an ARN names may be made later, and elsewhere: it is looked up when it is to be started.
    if name not in workflows and not _STATE_MACHINE.fullmatch(name):
        remedy = near(name, workflows, _known(workflows))
        into.refuse(
            node.get("workflow") or node, f"there is no workflow {name!r}", remedy, "unknown-workflow"
        )


def _known(workflows: set[str]) -> str:
    return f"there are {', '.join(sorted(workflows))}" if workflows else "the folder of workflows has none"


def _template(value: Json, node: Node, into: Gathering) -> Template | None:
    compiled: list[Template] = []
    place = node.get("input") or node
    into.ask(lambda: compiled.append(compile_template(value)), place, "invalid-input", at_key=True)
    return compiled[0] if compiled else None


def _moment(text: str | None, zone: str, node: Node, name: str, into: Gathering) -> int | None:
    if text is None:
        return None
    when = None
    with suppress(ValueError):
        when = datetime.fromisoformat(text)
    if when is None or "T" not in text:
        remedy = "write it as in '2030-01-31T00:00:00' or '2030-01-31T00:00:00+01:00'"
        into.refuse(
            node.get(name) or node, f"the {name} {text!r} is no date and time", remedy, "invalid-value"
        )
        return None
    return from_datetime(when if when.tzinfo is not None else when.replace(tzinfo=ZoneInfo(zone)))
