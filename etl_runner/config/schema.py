"""JSON Schemas of the configuration's files, for editors that check YAML while it is written."""

from collections.abc import Mapping
from typing import Final

from pydantic import BaseModel

from etl_runner.config.models import FunctionsFile, RulesFile, SchedulesFile
from etl_runner.jsontypes import Json

FILES: Final[Mapping[str, type[BaseModel]]] = {
    "functions": FunctionsFile,
    "schedules": SchedulesFile,
    "rules": RulesFile,
}


def schemas() -> dict[str, Json]:
    """The schema of each kind of file, by the name of its kind: functions, schedules, rules."""
    return {
        kind: {"$schema": "https://json-schema.org/draft/2020-12/schema", **model.model_json_schema()}
        for kind, model in FILES.items()
    }
