"""The demo's configuration: what `config/` ships, with two schedules due in a few seconds."""

import io
from collections.abc import Sequence
from datetime import datetime, timedelta
from pathlib import Path
from typing import Final
from zoneinfo import ZoneInfo

from ruamel.yaml import YAML

FIRED: Final = ("daily-import", "home-delivery-1")
"""The schedules that the demo fires."""


def write_rules(shipped: Path, config_dir: Path) -> None:
    """Take the event rules over as they are; no schedule yet."""
    for kind in ("rules", "schedules"):
        (config_dir / kind).mkdir(parents=True, exist_ok=True)
    for file in (shipped / "rules").glob("*.yaml"):
        (config_dir / "rules" / file.name).write_bytes(file.read_bytes())


def write_schedules(shipped: Path, config_dir: Path, names: Sequence[str], in_s: float) -> datetime:
    """Write all shipped schedules, those named with an `at()` that is `in_s` seconds from now.

    The running service takes the file over by itself. Gives the due time.
    """
    yaml = YAML()
    due = (datetime.now(tz=ZoneInfo("UTC")) + timedelta(seconds=in_s)).replace(microsecond=0)
    for file in sorted((shipped / "schedules").glob("*.yaml")):
        document = yaml.load(file.read_text(encoding="utf-8"))
        for schedule in document["schedules"]:
            if schedule["name"] in names:
                local = due.astimezone(ZoneInfo(schedule["timezone"]))
                schedule["expression"] = f"at({local:%Y-%m-%dT%H:%M:%S})"
        text = io.StringIO()
        yaml.dump(document, text)
        # By renaming: the service never sees half a file.
        fresh = config_dir / "schedules" / f".{file.name}.new"
        fresh.write_text(text.getvalue(), encoding="utf-8")
        fresh.rename(config_dir / "schedules" / file.name)
    return due
