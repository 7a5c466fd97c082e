"""Rules that tie things together: fields of one object, states of one scope, names of the whole machine.

They look at the document itself, not at the compiled model, so that they can say everything that is wrong
in a definition of which parts could not be compiled.
"""

import re
from collections.abc import Callable, Iterable, Mapping
from typing import Final

from etl_runner.asl.document import Node, kind_of
from etl_runner.asl.draft import Link, Report, ScopeDraft, StateDraft
from etl_runner.asl.rules import DISTRIBUTED_ONLY, MAX_NAME_LENGTH
from etl_runner.jsontypes import Json

_Check = Callable[[Node, str, Report], None]


def value_of(node: Node, *keys: str) -> Json:
    """Give what stands under some keys, one inside the other; None where there is nothing."""
    inner: Node | None = node
    for key in keys:
        inner = inner.get(key) if inner is not None else None
    return None if inner is None else inner.value


def processor_of(state: Node) -> Node | None:
    """Give the scope of a Map, under its present or its old name."""
    return state.get("ItemProcessor") or state.get("Iterator")


def is_distributed(state: Node) -> bool:
    """Whether a Map runs its iterations as executions of their own."""
    processor = processor_of(state)
    return processor is not None and value_of(processor, "ProcessorConfig", "Mode") == "DISTRIBUTED"


def check_fields_together(table: str, node: Node, subject: str, report: Report) -> None:
    """Check what the fields of one object have to say about each other."""
    check = _CHECKS.get(table)
    if check is not None:
        check(node, subject, report)


def _check_task(node: Node, subject: str, report: Report) -> None:
    heartbeat, timeout = node.get("HeartbeatSeconds"), node.get("TimeoutSeconds")
    if heartbeat and timeout and _both_whole(heartbeat, timeout) and heartbeat.value >= timeout.value:
        what = f"HeartbeatSeconds of {subject} is {heartbeat.value}, not below TimeoutSeconds {timeout.value}"
        report.fault(heartbeat, "heartbeat-not-below-timeout", what, "shorten the one or lengthen the other")
    credentials = node.get("Credentials")
    if credentials is None:
        return
    if not isinstance(credentials.value, dict):
        what = f"Credentials of {subject} has to be an object"
        report.fault(credentials, "wrong-type", what, f"found {kind_of(credentials.value)}")
    elif not {"RoleArn", "RoleArn.$"} & credentials.value.keys():
        what = f"Credentials of {subject} has no RoleArn"
        report.fault(credentials, "missing-field", what, "name the role in RoleArn or RoleArn.$")
    else:
        role = credentials.get("RoleArn")
        if role is not None and not isinstance(role.value, str):
            what = f"RoleArn in Credentials of {subject} has to be a string"
            report.fault(role, "wrong-type", what, f"found {kind_of(role.value)}")


def _both_whole(first: Node, second: Node) -> bool:
    return type(first.value) is int and type(second.value) is int


def _check_goes_on(node: Node, subject: str, report: Report) -> None:
    after, end = node.get("Next"), node.get("End")
    ends = end is not None and end.value is True
    if after is None and not ends:
        if end is None or end.value is False:  # anything else is a fault of End's own
            what = f"{subject} says neither Next nor End, so nothing follows it"
            remedy = 'add "Next": "<state>" or "End": true'
            report.fault(node, "missing-transition", what, remedy, at_key=True)
    elif after is not None and ends:
        what = f"{subject} has Next and End: true, and only one of them can hold"
        report.fault(after, "exclusive-fields", what, "remove one of the two", at_key=True)


def _check_retrier(node: Node, subject: str, report: Report) -> None:
    longest = node.get("MaxDelaySeconds")
    interval = value_of(node, "IntervalSeconds")
    interval = 1 if interval is None else interval
    if longest is None or type(longest.value) is not int or type(interval) is not int:
        return
    if longest.value <= interval:
        what = f"MaxDelaySeconds of {subject} is {longest.value}, not above IntervalSeconds {interval}"
        report.fault(longest, "max-delay-not-above-interval", what, "raise it or lower IntervalSeconds")


def check_states_all_last(entries: Node, subject: str, report: Report) -> None:
    """Check that an entry for States.ALL, which takes every error, is the last of its list."""
    nodes = list(entries.elements())
    for entry in nodes[:-1]:
        names = entry.get("ErrorEquals")
        if names is not None and isinstance(names.value, list) and "States.ALL" in names.value:
            what = f"{entries.name}[{entry.name}] of {subject} takes States.ALL and is not the last entry"
            report.fault(names, "states-all-not-last", what, "move it to the end; nothing gets past it")


def _check_map(node: Node, subject: str, report: Report) -> None:
    processor = processor_of(node)
    config = processor.get("ProcessorConfig") if processor else None
    if is_distributed(node):
        if config is not None and config.get("ExecutionType") is None:
            what = f"ProcessorConfig of {subject} has Mode DISTRIBUTED and no ExecutionType"
            report.fault(config, "missing-field", what, "add ExecutionType STANDARD or EXPRESS")
        return
    kind = config.get("ExecutionType") if config else None
    if kind is not None:
        what = f"ExecutionType of {subject} is only for Mode DISTRIBUTED"
        report.fault(kind, "distributed-only", what, "remove it or set Mode to DISTRIBUTED", at_key=True)
    for key in DISTRIBUTED_ONLY:
        field = node.get(key)
        if field is not None:
            what = f"{key} of {subject} is only for a Distributed Map"
            remedy = (
                'remove it or add "ProcessorConfig": {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}'
            )
            report.fault(field, "distributed-only", what, remedy, at_key=True)


def is_map_resource(resource: str, action: str) -> bool:
    """Whether a resource is that of an ItemReader or ResultWriter with this action of S3.

    They look like those of Tasks and are none: as a Task AWS has them only under aws-sdk.
    """
    return re.fullmatch(rf"arn:[^:]+:states:::s3:{action}", resource) is not None


def _check_item_reader(node: Node, subject: str, report: Report) -> None:
    resource, config = node.get("Resource"), node.get("ReaderConfig")
    name = resource.value if resource is not None and isinstance(resource.value, str) else ""
    gets, lists = is_map_resource(name, "getObject"), is_map_resource(name, "listObjectsV2")
    if resource is not None and name and not gets and not lists and "${" not in name:
        what = f"Resource of {subject} is {name!r}, which reads no items"
        remedy = "use arn:aws:states:::s3:getObject or arn:aws:states:::s3:listObjectsV2"
        report.fault(resource, "invalid-resource", what, remedy)
    if gets and value_of(node, "ReaderConfig", "InputType") is None:
        what = f"{subject} reads an object and does not say which InputType it has"
        report.fault(
            config or node, "missing-field", what, "add InputType CSV, JSON, JSONL, PARQUET or MANIFEST"
        )
    chunks = config.get("ChunkBytes") if config else None
    if chunks is not None and not gets:
        what = f"ChunkBytes of {subject} is only for s3:getObject"
        report.fault(chunks, "exclusive-fields", what, "remove it", at_key=True)
    loads = config.get("Transformation") if config else None
    if loads is not None and gets:
        what = f"Transformation of {subject} is only for s3:listObjectsV2"
        report.fault(loads, "exclusive-fields", what, "remove it", at_key=True)


_ONLY_FOR: Final = {
    "CSVHeaderLocation": ("CSV", "MANIFEST"),
    "CSVHeaders": ("CSV", "MANIFEST"),
    "CSVDelimiter": ("CSV", "MANIFEST"),
    "ItemsPointer": ("JSON",),
    "ChunkBytes": ("CSV", "JSONL"),
}


def _check_reader_config(node: Node, subject: str, report: Report) -> None:
    kind = value_of(node, "InputType")
    for key, kinds in _ONLY_FOR.items():
        field = node.get(key)
        if field is not None and kind not in kinds:
            what = f"{key} of {subject} is only for InputType {' or '.join(kinds)}"
            report.fault(field, "exclusive-fields", what, "remove it or change InputType", at_key=True)
    location, headers = node.get("CSVHeaderLocation"), node.get("CSVHeaders")
    if kind == "CSV" and location is None:
        what = f"{subject} reads CSV and has no CSVHeaderLocation"
        report.fault(node, "missing-field", what, "add CSVHeaderLocation FIRST_ROW or GIVEN")
    if location is not None and location.value == "GIVEN" and headers is None:
        what = f"{subject} has CSVHeaderLocation GIVEN and no CSVHeaders"
        report.fault(location, "missing-field", what, "list the column names in CSVHeaders")
    if location is not None and location.value == "FIRST_ROW" and headers is not None:
        what = f"CSVHeaders of {subject} is only for CSVHeaderLocation GIVEN"
        report.fault(headers, "exclusive-fields", what, "remove it", at_key=True)
    if value_of(node, "Transformation") == "LOAD_AND_FLATTEN" and kind is None:
        what = f"{subject} loads the objects that it lists and does not say which InputType they have"
        report.fault(node, "missing-field", what, "add InputType")


def _check_result_writer(node: Node, subject: str, report: Report) -> None:
    arguments = node.get("Parameters") or node.get("Arguments")
    resource = node.get("Resource")
    if resource is not None and arguments is None:
        what = f"{subject} has a Resource and no Parameters"
        report.fault(node, "missing-field", what, "say with Bucket and Prefix where to write")
    elif arguments is not None and resource is None:
        what = f"{subject} has {arguments.name} and no Resource"
        report.fault(
            arguments, "missing-field", what, "add Resource arn:aws:states:::s3:putObject", at_key=True
        )
    name = value_of(node, "Resource")
    if (
        resource is not None
        and isinstance(name, str)
        and not is_map_resource(name, "putObject")
        and "${" not in name
    ):
        what = f"Resource of {subject} is {name!r}, which writes no results"
        report.fault(resource, "invalid-resource", what, "use arn:aws:states:::s3:putObject")


def _then(*checks: _Check) -> _Check:
    def run(node: Node, subject: str, report: Report) -> None:
        for check in checks:
            check(node, subject, report)

    return run


_CHECKS: Final[Mapping[str, _Check]] = {
    "Pass": _check_goes_on,
    "Wait": _check_goes_on,
    "Parallel": _check_goes_on,
    "Task": _then(_check_goes_on, _check_task),
    "Map": _then(_check_goes_on, _check_map),
    "Retry": _check_retrier,
    "ItemReader": _check_item_reader,
    "ReaderConfig": _check_reader_config,
    "ResultWriter": _check_result_writer,
}


def check_names(scopes: Iterable[ScopeDraft], report: Report) -> None:
    """Check state names: 1 to 80 characters, and each once in the whole machine."""
    first: dict[str, Node] = {}
    for scope in scopes:
        for name, draft in scope.states.items():
            if not 1 <= len(name) <= MAX_NAME_LENGTH:
                what = f"a state name has 1 to {MAX_NAME_LENGTH} characters, this one has {len(name)}"
                report.fault(draft.node, "invalid-state-name", what, "rename the state", at_key=True)
            before = first.setdefault(name, draft.node)
            if before is not draft.node:
                place = before.key_place
                what = f"the state name {name!r} is taken by the state at {place.line}:{place.column}"
                remedy = "rename one of them; names count for the whole state machine"
                report.fault(draft.node, "duplicate-state-name", what, remedy, at_key=True)


def check_labels(scopes: Iterable[ScopeDraft], report: Report) -> None:
    """Check that each Label names one Map: it is part of the ARN of its runs."""
    first: dict[str, Node] = {}
    for label in (draft.node.get("Label") for scope in scopes for draft in scope.states.values()):
        if label is None or not isinstance(label.value, str):
            continue
        before = first.setdefault(label.value, label)
        if before is not label:
            what = (
                f"the Label {label.value!r} is taken by the Map at {before.place.line}:{before.place.column}"
            )
            report.fault(label, "duplicate-label", what, "give each Map a label of its own")


def check_graph(scopes: list[ScopeDraft], report: Report) -> None:
    """Check where the states of each scope lead."""
    owners = {name: scope for scope in scopes for name in scope.states}
    for scope in scopes:
        if not scope.states:
            continue  # States is at fault already
        links = [link for draft in scope.states.values() for link in draft.links]
        for link in [scope.start, *links] if scope.start else links:
            if link.target not in scope.states:
                _no_such_state(link, scope, owners, report)
        if _goes_round(scope, owners):
            what = f"{_name(scope)} has no state that ends it"
            remedy = 'give a state "End": true, or add a Succeed or Fail state'
            report.fault(
                scope.node.get("States") or scope.node, "no-terminal-state", what, remedy, at_key=True
            )
            continue  # as on AWS: what is not reached hangs on the end that is missing
        for draft in _never_named(scope):
            what = f"the state {draft.name!r} is named by no StartAt, Next, Default or Catch of its scope"
            report.fault(draft.node, "unreachable-state", what, "lead to it or remove it", at_key=True)


def _goes_round(scope: ScopeDraft, owners: Mapping[str, ScopeDraft]) -> bool:
    """Whether every state leads on, be it to one that is not there, so that the scope can never end.

    States that lead nowhere, or out of the scope, have a fault of their own already.
    """
    return all(
        not draft.terminal
        and draft.links
        and all(owners.get(link.target, scope) is scope for link in draft.links)
        for draft in scope.states.values()
    )


def _name(scope: ScopeDraft) -> str:
    return f"the scope inside {scope.owner!r}" if scope.owner else "the state machine"


def _never_named(scope: ScopeDraft) -> list[StateDraft]:
    """Give the states that nothing leads to; AWS refuses those (MISSING_TRANSITION_TARGET).

    A state that only unreachable states lead to is left to a warning (advice.py).
    """
    if scope.start is None or scope.start.target not in scope.states:
        return []  # what is not reached hangs on the StartAt that is at fault
    named = {
        link.target for draft in scope.states.values() for link in draft.links if link.target != draft.name
    }
    named.add(scope.start.target)
    return [draft for name, draft in scope.states.items() if name not in named]


def _no_such_state(link: Link, scope: ScopeDraft, owners: Mapping[str, ScopeDraft], report: Report) -> None:
    other = owners.get(link.target)
    if other is not None:
        what = f"{link.node.name} of {link.subject} names {link.target!r}, a state of {_name(other)}"
        remedy = "end this scope and go on from the Parallel or Map state that has it"
        if other.id > scope.id:
            remedy = "go to the Parallel or Map state that has it"
        report.fault(link.node, "state-of-another-scope", what, remedy)
    else:
        what = f"{link.node.name} of {link.subject} names the state {link.target!r}, which is not there"
        report.fault(link.node, "no-such-state", what, report.suggest(link.target, scope.states))


def check_express(scopes: list[ScopeDraft], report: Report) -> None:
    """Check that what runs as an express workflow only has what those can do.

    That is the whole machine, or the children of a Distributed Map whose ExecutionType is EXPRESS.
    """
    whole = bool(scopes) and scopes[0].express
    why = "this state machine is one" if whole else "this Map's ExecutionType is EXPRESS"
    remedy = "make the state machine STANDARD" if whole else "use ExecutionType STANDARD"
    for scope in scopes:
        for draft in scope.states.values() if scope.express else ():
            resource = draft.node.get("Resource") if draft.type == "Task" else None
            name = resource.value if resource is not None and isinstance(resource.value, str) else ""
            if resource is not None and (reason := _not_express(name)):
                what = f"an express workflow cannot use {reason}, and {why}"
                report.fault(resource, "express-unsupported", what, remedy)
            if draft.type == "Map" and is_distributed(draft.node):
                what = f"an express workflow cannot have a Distributed Map, and {why}"
                report.fault(draft.node, "express-unsupported", what, remedy)


def _not_express(resource: str) -> str:
    last = resource.rpartition(":")[2] if not resource.endswith(".sync:2") else ".sync"
    if last.endswith(".waitForTaskToken"):
        return ".waitForTaskToken"
    if last.endswith(".sync"):
        return ".sync"
    return "an activity" if ":states:" in resource and ":activity:" in resource else ""
