import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from etl_runner.clock import to_iso
from etl_runner.config.configuration import Config
from etl_runner.config.schema import schemas

Load: TypeAlias = Callable[[], Config]
Faults: TypeAlias = Callable[[], list[str]]
Write: TypeAlias = Callable[[str, str], Path]

NIGHTLY = "config/schedules/nightly.yaml"
UPLOADS = "config/rules/uploads.yaml"
FUNCTIONS = "workflows/daily/functions.yaml"
TASKS = "workflows/daily/tasks.py"
MACHINE = "workflows/daily/workflow.asl.json"
LAMBDA = "arn:aws:lambda:us-east-1:123456789012:function:daily-fetch"


def spoil(root: Path, name: str, old: str, new: str) -> None:
    path = root / name
    text = path.read_text()
    assert old in text
    path.write_text(text.replace(old, new))


def test_a_sound_configuration_gives_all_its_parts(load: Load) -> None:
    config = load()
    workflow = config.workflows["daily"]
    function = config.functions["daily-fetch"]
    schedule = config.schedules["nightly"]

    assert workflow.arn == "arn:aws:states:us-east-1:123456789012:stateMachine:daily"
    assert (workflow.file, workflow.yaml) == (MACHINE, False)
    assert workflow.machine.scopes[0].start_at == "Fetch"
    assert function.arn == "arn:aws:lambda:us-east-1:123456789012:function:daily-fetch"
    assert (function.module, function.function) == ("workflows.daily.tasks", "fetch")
    assert function.search_path == str(Path.cwd())
    assert (function.run_in, function.timeout_s, function.environment) == ("process", 60.0, {"MODE": "fast"})
    assert (function.file, function.place.line, function.place.column) == (FUNCTIONS, 2, 3)
    assert (schedule.expression, schedule.workflow, schedule.enabled) == ("0 4 * * *", "daily", True)
    assert schedule.input == ({"date.$": "$.tick.date"},)
    assert schedule.start_ms is not None
    assert to_iso(schedule.start_ms) == "2029-12-31T23:00:00.000Z"
    assert config.rules["on-upload"].template is None
    assert config.queues["uploads"].wait_s == 20


def test_other_files_of_a_folder_are_named_after_it(load: Load, write: Write) -> None:
    write("workflows/daily/weekly-create.asl.yaml", "StartAt: A\nStates:\n  A: {Type: Succeed}\n")

    assert sorted(load().workflows) == ["daily", "daily-weekly-create"]


def test_folders_without_files_of_ours_and_hidden_ones_are_passed_over(load: Load, write: Write) -> None:
    write("workflows/__pycache__/workflow.asl.json", "{")
    write("workflows/shared_code/util.py", "def (")
    write("workflows/daily/.#functions.yaml", "?")
    write("config/schedules/.nightly.yaml.swp", "?")
    write("config/etl-runner.yaml", "port: 8083")

    assert list(load().workflows) == ["daily"]


def test_the_fingerprint_changes_with_any_file_and_comes_back_with_it(load: Load, root: Path) -> None:
    first = load().fingerprint
    spoil(root, TASKS, "return event", "return 5")
    second = load().fingerprint
    spoil(root, TASKS, "return 5", "return event")

    assert second != first
    assert load().fingerprint == first


def test_missing_folders_are_named_with_the_remedy(root: Path, faults: Faults) -> None:
    shutil.rmtree(root / "config")
    shutil.rmtree(root / "workflows")
    remedy = "create it (it may be empty) or name another one with"

    assert faults() == [
        f"config: there is no folder config; {remedy} --config [missing-folder]",
        f"workflows: there is no folder workflows; {remedy} --workflows [missing-folder]",
    ]


def test_a_folder_whose_name_is_nearly_right_is_not_passed_over(root: Path, faults: Faults) -> None:
    (root / "config" / "schedule").mkdir()

    assert faults() == [
        "config/schedule: the folder 'schedule' is not read; rename it to 'schedules' [unknown-folder]"
    ]


# Each mistake alone: what is replaced by what, then the place and beginning of the one fault that follows.
MISTAKES: dict[str, list[tuple[str, str, str]]] = {
    NIGHTLY: [
        ("timezone:", "tiemzone:", "4:5: there is no field 'tiemzone' here; did you mean 'timezone'?"),
        ("  - name: nightly\n    ex", "  - ex", "2:5: the field 'name' is missing; add it: Unique among"),
        ("nightly", "night ly!", "2:11: the field 'name' is the string 'night ly!'; a name has 1 to 64"),
        ("nightly", "true", "2:11: the field 'name' is true; it must be a string: put it in quotes"),
        ("nightly", "010", "2:11: 010 starts with a zero"),
        ("nightly", "12", "2:11: the field 'name' is the number 12; it must be a string"),
        ("0 4 * * *", "0 25 * * *", "3:17: the schedule expression '0 25 * * *' has '25' as its hour"),
        ("0 4 * * *", "0 0 31 2 *", "3:17: the schedule expression '0 0 31 2 *' never fires"),
        ("Europe/Berlin", "Europe/Berln", "4:15: there is no time zone 'Europe/Berln'; did you mean"),
        ("workflow: daily", "workflow: dayly", "5:15: there is no workflow 'dayly'; did you mean 'daily'?"),
        ("$.tick.date", "tick.date", "6:5: "),
        ("$.tick.date", "$.tick.date.sum()", "7:15: the path '$.tick.date.sum()' leads nowhere: "),
        ("$.tick.date", "$.tick.date[0]", "7:15: the path '$.tick.date[0]' leads nowhere: $.tick.date is no"),
        (
            "$.tick.date",
            "$.tick.dat",
            "7:15: the path '$.tick.dat' leads nowhere: $.tick has no 'dat'; did you mean 'date'",
        ),
        (
            "$.tick.date",
            "$.tikc.date",
            "7:15: the path '$.tikc.date' leads nowhere: there is no 'tikc' here; did you mean 'tick'?",
        ),
        (
            "$.tick.date",
            "$.schedule.colour",
            "7:15: the path '$.schedule.colour' leads nowhere: $.schedule has no 'colour'; $.schedule",
        ),
        (
            "$.tick.date",
            "$.tick.date.year",
            "7:15: the path '$.tick.date.year' leads nowhere: $.tick.date is no",
        ),
        (
            "$.tick.date",
            "$$.Execution.Id",
            "7:15: the path '$$.Execution.Id' leads nowhere: there is no context",
        ),
        (
            "$.tick.date",
            "States.Format('{}-{}', $.tick.date, States.ArrayLength($.tick.dats))",
            "7:15: the path '$.tick.dats' leads nowhere: $.tick has no 'dats'; did you mean 'date'",
        ),
        (
            "$.tick.date",
            "States.ArrayLength($.tick.date)",
            "7:15: The function 'States.ArrayLength($.tick.date)'",
        ),
        ("date.$: $.tick.date", "a: [{b: {c.$: $.tick.no}}]", "7:21: the path '$.tick.no' leads nowhere"),
        ('"2030-01-01T00:00:00"', "2030-01-01", "8:12: 2030-01-01 reads as a date"),
        ("2030-01-01T", "2030-01-32T", "8:12: the start '2030-01-32T00:00:00' is no date and time"),
        ("    start:", "    end: '2029-01-01T00:00:00'\n    start:", "8:10: the end is not after the start"),
        (
            "    start:",
            "    enabled: NO\n    start:",
            "8:14: the field 'enabled' is the string 'NO'; write true",
        ),
        ("    start:", "    workflow: daily\n    start:", "8:5: the field 'workflow' is here a second time"),
        ("    start:", "\tstart:", "8:1: while scanning for the next token found character '\\t'"),
        ("    timezone", "   timezone", "4:4: "),
    ],
    UPLOADS: [
        ("[aws.s3]", "aws.s3", "4:15: the event pattern cannot be used at /source: it is the string"),
        (
            "[raw]",
            "[{prefixx: a}]",
            "7:28: the event pattern cannot be used at /detail/bucket/name/0/prefix",
        ),
        (
            "    workflow: daily",
            "    input: {file.$: $.evnt.detail}\n    workflow: daily",
            "8:21: the path '$.evnt.detail' leads nowhere: there is no 'evnt' here; did you mean 'event'?",
        ),
        (
            "    workflow: daily",
            "    input: {a: [{file.$: '$.detail[*]'}]}\n    workflow: daily",
            "8:26: the path '$.detail[*]' leads nowhere: there is no 'detail' here; there are $.event",
        ),
        ("workflow: daily", "workflow: x", "8:15: there is no workflow 'x'; there are daily"),
        ("https://", "sqs://", "11:16: the field 'queue_url' is the string 'sqs://sqs.us-east-1"),
        ("queues:", "queue:", "9:1: there is no field 'queue' here; did you mean 'queues'?"),
        (
            "/uploads\n",
            "/uploads\n    wait_seconds: 21\n",
            "12:19: the field 'wait_seconds' is the number 21;",
        ),
    ],
    FUNCTIONS: [
        ("tasks.fetch", "tasks", "3:14: the field 'handler' is the string 'tasks'; write MODULE.FUNCTION"),
        ("tasks.fetch", "task.fetch", "3:14: there is no task.py in workflows/daily; write that file"),
        ("tasks.fetch", "tasks.fetsch", "3:14: tasks.py defines no fetsch; did you mean fetch?"),
        ("60", '"60"', "4:22: the field 'timeout_seconds' is the string '60'; it must be a number"),
        ("60", "0", "4:22: the field 'timeout_seconds' is the number 0; it must be greater than 0"),
        ("fast", "12345", "6:13: the field 'MODE' is not a string; it must be a string"),
        ("MODE", "my mode", "6:7: the name 'my mode' cannot be used; a variable's name has letters"),
        ("    timeout", "    run_in: thread\n    timeout", "6:5: a function in a thread shares"),
        ("    timeout", "    run_in: fork\n    timeout", "4:13: the field 'run_in' is the string 'fork';"),
    ],
    MACHINE: [
        (
            "daily-fetch",
            "daily-fech",
            "4:5: the state 'Fetch' cannot be run: no function 'daily-fech' is bound",
        ),
        (
            "us-east-1",
            "eu-west-1",
            "4:5: the state 'Fetch' cannot be run: the function 'daily-fetch' is bound in",
        ),
        (
            LAMBDA,
            "arn:aws:states:::sqs:sendMessage",
            "4:5: the state 'Fetch' cannot be run: nobody can do arn",
        ),
        ('"End": true', '"Comment": 7, "End": true', "7:18: "),
    ],
    TASKS: [
        ("context):", "context)", "1:26: the module cannot be read: expected"),
        ("(event, context)", "(event)", "1:1: the handler fetch cannot be called with (event, context)"),
        ("def fetch", "async def fetch", "1:1: the handler fetch is async; write a plain function"),
    ],
}


@pytest.mark.parametrize(
    ("name", "old", "new", "fault"), [(name, *row) for name, rows in MISTAKES.items() for row in rows]
)
def test_one_mistake_is_one_fault_at_its_place(
    root: Path, faults: Faults, name: str, old: str, new: str, fault: str
) -> None:
    spoil(root, name, old, new)
    found = faults()

    assert [line[: len(name) + 1 + len(fault)] for line in found] == [f"{name}:{fault}"]


@pytest.mark.parametrize(
    ("name", "old", "new"),
    [
        (NIGHTLY, "nightly", "NO"),
        (NIGHTLY, "0 4 * * *", "cron(0 4 ? * MON-FRI *)"),
        (NIGHTLY, "2030-01-01T00:00:00", "2030-01-01T00:00:00+02:00"),
        (NIGHTLY, "$.tick.date", "$"),
        (NIGHTLY, "$.tick.date", "$..date"),
        (NIGHTLY, "$.tick.date", "$['tick','schedule']"),
        (NIGHTLY, "$.tick.date", "States.Format('{} {}', $.tick.utc, States.UUID())"),
        (
            UPLOADS,
            "    workflow: daily",
            "    input: {a.$: $.event.detail.any, b.$: $.rule.name}\n    workflow: daily",
        ),
        (UPLOADS, "    workflow: daily", "    input: {a.$: $, b.$: '$..key'}\n    workflow: daily"),
        (UPLOADS, "[raw]", "[{prefix: a}, {anything-but: {suffix: b}}]"),
        (MACHINE, LAMBDA, "arn:aws:states:::sns:publish"),
        (MACHINE, LAMBDA, f"{LAMBDA}:$LATEST"),
        (TASKS, "def fetch(event, context)", "def fetch(*arguments)"),
        (TASKS, "def fetch(event, context):\n    return event", "from workflows.other import fetch"),
        (TASKS, "def fetch(event, context):\n    return event", "from workflows.other import *"),
        (TASKS, "def fetch(event, context):\n    return event", "fetch = make_handler(5)"),
    ],
)
def test_what_is_right_is_not_refused(root: Path, load: Load, name: str, old: str, new: str) -> None:
    spoil(root, name, old, new)

    assert load().fingerprint


def test_a_misspelt_top_field_is_told_with_the_field_that_is_missing(root: Path, faults: Faults) -> None:
    spoil(root, NIGHTLY, "schedules:", "schedule:")

    assert [line.partition(";")[0] for line in faults()] == [
        f"{NIGHTLY}:1:1: the field 'schedules' is missing",
        f"{NIGHTLY}:1:1: there is no field 'schedule' here",
    ]


def test_all_faults_of_all_files_are_told_at_once_in_order(root: Path, faults: Faults) -> None:
    spoil(root, NIGHTLY, "0 4 * * *", "0 25 * * *")
    spoil(root, NIGHTLY, "timezone: Europe/Berlin", "timezone: Europe/Berln\n    colour: red")
    spoil(root, UPLOADS, "[aws.s3]", "[]")
    spoil(root, FUNCTIONS, "tasks.fetch", "tasks.nothing_like_it")
    spoil(root, MACHINE, '"Task"', '"Tusk"')

    assert [line.split(": ")[0] for line in faults()] == [
        "config/rules/uploads.yaml:4:15",
        "config/schedules/nightly.yaml:5:5",
        "workflows/daily/functions.yaml:3:14",
        "workflows/daily/workflow.asl.json:5:15",
    ]


def test_a_broken_entry_does_not_hide_the_faults_of_its_neighbours(
    root: Path, write: Write, faults: Faults
) -> None:
    write(
        NIGHTLY,
        "schedules:\n"
        "  - {name: a, expression: rate(1 minutes), workflow: daily}\n"
        "  - {name: b, workflow: daily}\n"
        "  - {name: c, expression: rate(1 minute), workflow: nowhere}\n",
    )

    assert [line.split(": ")[0] for line in faults()] == [
        f"{NIGHTLY}:2:27",
        f"{NIGHTLY}:3:5",
        f"{NIGHTLY}:4:53",
    ]


def test_a_workflow_with_faults_is_not_an_unknown_one_too(root: Path, faults: Faults) -> None:
    spoil(root, MACHINE, '"Task"', '"Tusk"')

    assert {line.split(":")[0] for line in faults()} == {MACHINE}


def test_a_broken_functions_file_does_not_blame_the_workflows(
    root: Path, write: Write, faults: Faults
) -> None:
    write(FUNCTIONS, "functions: [\n")

    assert {line.split(":")[0] for line in faults()} == {FUNCTIONS}


def test_names_used_twice_tell_both_places(root: Path, write: Write, faults: Faults) -> None:
    write("config/schedules/second.yaml", (root / NIGHTLY).read_text())
    write("config/rules/second.yaml", (root / UPLOADS).read_text())
    write("workflows/other/functions.yaml", (root / FUNCTIONS).read_text())
    write("workflows/other/tasks.py", (root / TASKS).read_text())
    write("workflows/daily/workflow.asl.yaml", "StartAt: A\nStates:\n  A: {Type: Succeed}\n")

    found = faults()

    assert [line.split(";")[0].rpartition(": ")[2] + line.split(";")[1] for line in found] == [
        "the rule 'on-upload' is here a second time the first is at config/rules/second.yaml:2:11",
        "the queue 'uploads' is here a second time the first is at config/rules/second.yaml:10:11",
        f"the schedule 'nightly' is here a second time the first is at {NIGHTLY}:2:11",
        f"the workflow 'daily' is here a second time the first is {MACHINE}",
        f"the function 'daily-fetch' is here a second time the first is at {FUNCTIONS}:2:3",
    ]


def test_bytes_that_are_no_text_an_empty_file_and_a_list_on_top_are_refused(
    root: Path, write: Write, faults: Faults
) -> None:
    (root / NIGHTLY).write_bytes(b"schedules:\n  - name: caf\xe9\n")
    write(UPLOADS, "# nothing yet\n")
    write("config/schedules/list.yaml", "- name: x\n")

    assert [line.partition(";")[0] for line in faults()] == [
        f"{UPLOADS}:1:1: the file is empty",
        "config/schedules/list.yaml:1:1: the file must hold a mapping at its top",
        f"{NIGHTLY}:2:14: the byte 0xE9 here is not UTF-8",
    ]


def test_a_file_that_cannot_be_read_is_a_fault_and_no_absence(root: Path, faults: Faults) -> None:
    (root / NIGHTLY).unlink()
    (root / NIGHTLY).symlink_to(root / "gone.yaml")
    (root / TASKS).unlink()
    (root / TASKS).mkdir()
    found = [line.partition(";")[0] for line in faults()]

    assert f"{NIGHTLY}: the file cannot be read: No such file or directory" in found
    assert f"{FUNCTIONS}:3:14: there is no tasks.py in workflows/daily" in found


def test_the_function_of_a_lambda_invoke_must_be_bound_too(write: Write, load: Load, faults: Faults) -> None:
    text = """StartAt: A
States:
  A:
    Type: Task
    Resource: arn:aws:states:::lambda:invoke
    Parameters:
      FunctionName: NAME
    End: true
"""
    refs = (
        "daily-fetch",
        "daily-fetch:$LATEST",
        "123456789012:function:daily-fetch",
        LAMBDA,
        f"{LAMBDA}:live",
    )
    for reference in refs:
        write("workflows/daily/call.asl.yaml", text.replace("NAME", reference))
        assert "daily-call" in load().workflows
    write("workflows/daily/call.asl.yaml", text.replace("FunctionName: NAME", "FunctionName.$: $.name"))
    assert "daily-call" in load().workflows
    write("workflows/daily/call.asl.yaml", text.replace("NAME", "daily-fetsh"))

    assert [line.partition("; did")[0] for line in faults()] == [
        "workflows/daily/call.asl.yaml:7:21: the state 'A' cannot be run: no function 'daily-fetsh' is bound"
    ]


def test_a_workflow_folder_whose_name_is_no_machine_name_is_refused(write: Write, faults: Faults) -> None:
    write("workflows/my flow/workflow.asl.json", "{}")

    assert [line.partition(": ")[0] for line in faults()] == ["workflows/my flow/workflow.asl.json"]


def test_an_explicit_null_input_of_a_rule_is_not_the_whole_event(root: Path, load: Load) -> None:
    spoil(root, UPLOADS, "    workflow: daily", "    workflow: daily\n    input: null")
    rule = load().rules["on-upload"]

    assert rule.input == (None,)
    assert rule.template is not None


def test_a_pattern_may_be_json_text(root: Path, load: Load) -> None:
    spoil(
        root,
        UPLOADS,
        "pattern:\n      source: [aws.s3]\n",
        'pattern: \'{"source": ["aws.s3"]}\'\n    # was\n',
    )
    text = (root / UPLOADS).read_text()
    (root / UPLOADS).write_text(text.replace("      detail:\n        bucket:\n          name: [raw]\n", ""))

    assert load().rules["on-upload"].pattern == '{"source": ["aws.s3"]}'


def test_the_schemas_are_json_and_describe_every_field() -> None:
    found = json.loads(json.dumps(schemas()))
    fields = [
        (kind, name, details)
        for kind, schema in found.items()
        for model in [schema, *schema["$defs"].values()]
        for name, details in model["properties"].items()
    ]

    assert sorted(found) == ["functions", "rules", "schedules"]
    assert [(kind, name) for kind, name, details in fields if not details.get("description")] == []
    assert found["schedules"]["$defs"]["ScheduleEntry"]["additionalProperties"] is False


def test_a_schedule_without_an_input_has_none_so_that_it_hands_on_the_tick(load: Load, write: Write) -> None:
    write(
        "config/schedules/bare.yaml", "schedules:\n  - {name: bare, expression: 0 4 * * *, workflow: daily}\n"
    )

    bare = load().schedules["bare"]

    assert (bare.input, bare.template) == (None, None)
