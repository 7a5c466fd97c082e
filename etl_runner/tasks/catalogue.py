"""The table of integrations for docs/integrations.md: `python -m etl_runner.tasks.catalogue` writes it."""

import sys
from typing import Final

from etl_runner.tasks import integrations
from etl_runner.tasks.aws_optimised import Optimised
from etl_runner.tasks.integration import CALLBACK, PLAIN, SYNC, SYNC2, Integration, scan

HEAD: Final = """\
# Service integrations

What a Task state's `Resource` can be, beside activities and functions' own ARNs. Every one is there as
`arn:aws:states:::NAME`; the columns say in which forms. This page is made from the code by
`python -m etl_runner.tasks.catalogue > docs/integrations.md`, and a test holds it to the code.

Request-response calls the service and goes on with its answer. `.sync` starts a job, waits for its end and
has its description as result; when the state is stopped or times out, the job is ended too. After a restart
of the service the job is waited for again, not started again. `.sync:2` differs for nested executions only:
input and output are JSON there, not its text. `.waitForTaskToken` (callback) makes the call and leaves the
answer to whoever has the token `$$.Task.Token`.

Any other resource is refused when a state machine is created.

"""

_COLUMNS: Final = (
    (PLAIN, "request-response"),
    (SYNC, "`.sync`"),
    (SYNC2, "`.sync:2`"),
    (CALLBACK, "callback"),
)


def page() -> str:
    """The whole page."""
    return "\n".join([HEAD.rstrip("\n"), "", *(_section(found) for found in scan(integrations))])


def _section(found: Integration) -> str:
    titles = " | ".join(title for _, title in _COLUMNS)
    lines = [f"## {found.name}", "", f"{found.summary}.", "", f"| resource | {titles} |"]
    lines.append("|" + " --- |" * (len(_COLUMNS) + 1))
    if isinstance(found, Optimised):
        rows = [(f"{found.name}:{action.name}", action.forms) for action in found.actions.values()]
    else:
        rows = [(found.pattern, (PLAIN, CALLBACK))]
    for name, forms in rows:
        marks = " | ".join("yes" if form in forms else "" for form, _ in _COLUMNS)
        lines.append(f"| `{name}` | {marks} |")
    return "\n".join([*lines, ""])


if __name__ == "__main__":
    sys.stdout.write(page())
