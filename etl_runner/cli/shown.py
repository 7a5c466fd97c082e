"""An execution as people get to read it, and how watching one ends."""

from collections.abc import Iterable, Mapping
from shlex import quote
from textwrap import dedent
from typing import Final

import typer

from etl_runner.cli import exits, output
from etl_runner.cli.client import Client, of_execution
from etl_runner.cli.output import Column
from etl_runner.cli.watching import doing, watch
from etl_runner.jsontypes import Json, loads

MOST_OBJECTS: Final = 20
MOST_STATES: Final = 60
LONGEST_CELL: Final = 400
MOST_FRAMES: Final = 5


def reference(view: Json) -> str:
    """How to name an execution in a command: WORKFLOW/NAME."""
    return f"{view['workflow']}/{view['name']}"


def named(arn: str | None) -> str | None:
    """The same for the ARN of an execution, if there is one."""
    return None if arn is None else "/".join(arn.rpartition(":execution:")[2].split(":", 1))


def execution(view: Json, objects: Json) -> None:
    """Show one execution: what ran, what did not, and why."""
    output.fields(
        [
            ("execution", reference(view)),
            ("status", view["status"]),
            ("started", f"{output.when(view['startedAt'])} by {view['origin']}"),
            ("ended", output.when(view["stoppedAt"])),
            ("took" if view["stoppedAt"] else "so far", output.lasted(view["durationSeconds"])),
            ("redriven", _redriven(view)),
            ("version", _version(view)),
            ("deadline", output.when(view["deadline"])),
            ("ARN", view["executionArn"]),
            ("error", view["error"]),
            ("cause", _short(message(view["cause"]))),
            ("raised at", _trace(view["cause"])),
            ("input", _short(output.pretty(view["input"]))),
            ("variables", _short(output.pretty(view["variables"])) if view["variables"] else None),
            ("output", _short(output.pretty(view["output"])) if view["status"] == "SUCCEEDED" else None),
        ]
    )
    _current(view)
    _states(view["states"])
    _map_runs(view["mapRuns"])
    _objects(objects)


def _redriven(view: Json) -> str | None:
    count = view["redriveCount"]
    return f"{count}x, last {output.when(view['redrivenAt'])}" if count else None


def _version(view: Json) -> str | None:
    version, alias = view["stateMachineVersionArn"], view["stateMachineAliasArn"]
    if version is None:
        return None
    number = version.rpartition(":")[2]
    return number if alias is None else f"{number}, by the alias {alias.rpartition(':')[2]}"


def _current(view: Json) -> None:
    if view["current"]:
        _heading("Now")
        output.fields(
            [("/".join([*each["within"], each["state"]]), doing(each)) for each in view["current"]], indent=2
        )
        last = view["lastError"]
        if last is not None:
            at = output.when(last["at"])
            told = _short(message(last["cause"]))
            cause = f": {told}" if told else ""
            output.say(f"  last error: {last['error']} in {last['state']} at {at}{cause}")


def _states(states: list[Json]) -> None:
    _heading("States")
    columns = [
        Column("STATE"),
        Column("TYPE"),
        Column("STATUS", wraps=False),
        Column("TIMES"),
        Column("WHY", prose=True),
    ]
    rows = [
        (each["state"], each["type"], each["status"], _times(each), _why(each))
        for each in states[:MOST_STATES]
    ]
    output.table(columns, rows, empty="none")
    if len(states) > MOST_STATES:
        output.say(f"and {len(states) - MOST_STATES} more; --json has all")


def _times(state: Json) -> str:
    entered = state.get("entered", 0)
    parts = [f"{entered}x" if entered > 1 else ""]
    names = ("failed", "caught", "retries") if entered > 1 else ("retries",)
    parts += [_counted(state[name], name) for name in names if state.get(name)]
    return ", ".join(part for part in parts if part)


def _counted(number: int, what: str) -> str:
    return f"{number} retry" if number == 1 and what == "retries" else f"{number} {what}"


def _why(state: Json) -> str:
    if "why" in state:
        return str(state["why"])
    error, cause = state.get("error"), message(state.get("cause"))
    return _short(f"{error}: {cause}" if error and cause else error or cause or "") or ""


def _map_runs(runs: list[Json]) -> None:
    if runs:
        _heading("Map runs")
        titles = ("STATUS", "STARTED", "SUCCEEDED", "FAILED", "RUNNING")
        columns = [*(Column(title) for title in titles), Column("ARN", prose=True)]
        rows = [
            (
                run["status"],
                run["started"] if run["allItemsRead"] else f"{run['started']}, more to read",
                run["counts"]["SUCCEEDED"],
                sum(run["counts"][name] for name in ("FAILED", "TIMED_OUT", "ABORTED")),
                run["counts"]["RUNNING"],
                run["mapRunArn"],
            )
            for run in runs
        ]
        output.table(columns, rows, empty="")


def _objects(found: Json) -> None:
    if found["objects"]:
        _heading("Written objects")
        columns = [
            Column("OBJECT", prose=True),
            Column("VERSION"),
            Column("BYTES", right=True),
            Column("REPLACED"),
        ]
        rows = [
            (
                f"s3://{each['bucket']}/{each['key']}",
                each["versionId"],
                f"{each['bytes']:,}",
                "(unchanged)" if each["unchanged"] else each["replacedVersionId"],
            )
            for each in found["objects"]
        ]
        output.table(columns, rows, empty="")
        if found["next"] is not None:
            output.say(f"and more than these {len(rows)}; --json --all has all of them")


def message(cause: str | None) -> str | None:
    """The sentence in a cause: that of a function is JSON text, with the sentence beside its stack trace."""
    failure = _of_function(cause)
    return cause if failure is None else str(failure["errorMessage"])


def _trace(cause: str | None) -> str | None:
    """The innermost frames of a function's stack trace."""
    failure = _of_function(cause)
    frames = failure.get("stackTrace") if failure is not None else None
    if not isinstance(frames, list):
        return None
    cut = f"... {len(frames) - MOST_FRAMES} more; --json has all\n" if len(frames) > MOST_FRAMES else ""
    return dedent(cut + "".join(str(frame) for frame in frames[-MOST_FRAMES:])).rstrip()


def _of_function(cause: str | None) -> Mapping[str, Json] | None:
    """A cause in the shape in which AWS Lambda tells of a failed function; None when it is another text."""
    if cause is None or not cause.startswith("{"):
        return None
    try:
        found = loads(cause)
    except ValueError:
        return None
    return found if isinstance(found, dict) and "errorMessage" in found else None


def _heading(text: str) -> None:
    output.say("")
    output.say(text)


def _short(text: str | None) -> str | None:
    if text is None or len(text) <= LONGEST_CELL:
        return text
    return f"{text[:LONGEST_CELL]}... ({len(text):,} characters; --json has all)"


def objects(client: Client, execution_name: str, *, everything: bool) -> Json:
    """What an execution has written: the first few, or everything."""
    found: list[Json] = []
    token = None
    while True:
        limit = 1000 if everything else MOST_OBJECTS
        page = client.get(of_execution(execution_name, "written"), limit=limit, next=token)
        found += page["objects"]
        token = page["next"]
        if token is None or not everything:
            return {"objects": found, "next": token}


def summaries(rows: Iterable[Json]) -> None:
    """A list of executions."""
    columns = [
        Column("STATUS", wraps=False),
        Column("EXECUTION"),
        Column("STARTED"),
        Column("TOOK", right=True),
        Column("BY"),
        Column("ERROR", prose=True),
    ]
    output.table(
        columns,
        [
            (
                each["status"],
                reference(each),
                output.when(each["startedAt"]),
                output.lasted(each["durationSeconds"]),
                each["origin"],
                each["error"],
            )
            for each in rows
        ],
        empty="no executions",
    )


def follow(client: Client, arn: str, *, name: str, timeout_s: float | None, as_json: bool) -> None:
    """Watch an execution to its end, show it, and leave with the exit code of how it ended."""
    again = f"etl-runner executions wait {quote(name)}"
    try:
        view = watch(client, arn, timeout_s, name=name)
    except exits.Unreachable:
        output.note(f"the execution goes on when the service does; watch it again with: {again}")
        raise
    except KeyboardInterrupt:
        output.note(f"no longer watching; the execution goes on. Watch it again with: {again}")
        if as_json:
            shape = {"type": "Interrupted", "message": f"no longer watching; the execution goes on: {again}"}
            output.document({"error": shape, "executionArn": arn})
        raise typer.Exit(exits.INTERRUPTED) from None
    if as_json:
        output.document(view)
    elif view["status"] == "SUCCEEDED":
        output.note(f"{name} succeeded in {output.lasted(view['durationSeconds'])}")
        output.say(output.pretty(view["output"]))
    if view["status"] == "RUNNING":
        output.note(f"{name} is still running after {timeout_s:g} s; watch it again with: {again}")
        raise typer.Exit(exits.TIMED_OUT)
    if view["status"] != "SUCCEEDED":
        output.note(_failure(view, name))
        raise typer.Exit(exits.FAILED)


def _failure(view: Json, name: str) -> str:
    what = {"FAILED": "failed", "TIMED_OUT": "ran out of time", "ABORTED": "was stopped"}[view["status"]]
    last = view["lastError"]
    where = f" in {last['state']}" if last and view["status"] == "FAILED" else ""
    error = f": {view['error']}" if view["error"] else ""
    told = _short(message(view["cause"]))
    cause = f": {told}" if told else ""
    return (
        f"{name} {what}{where} after {output.lasted(view['durationSeconds'])}{error}{cause}\n"
        f"see what ran and what did not with: etl-runner executions show {quote(name)}"
    )
