"""The rule for names of executions, activities, state machines and aliases (StartExecution, `name`)."""

import re
from typing import Final

from etl_runner.api.sfn.errors import invalid_name

_FORBIDDEN: Final = re.compile(
    r"[\s<>{}\[\]?*\"#%\\^|~`$&,;:/\x00-\x1f\x7f-\x9f\ud800-\udfff\ufffe\uffff\U0010ffff]"
)


def check_name(name: str) -> None:
    """Raise AwsError InvalidName for a name with a character that none may have; the model has the length."""
    if _FORBIDDEN.search(name):
        raise invalid_name(name)
