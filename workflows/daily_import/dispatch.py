"""Which sources to import for a date."""

from collections.abc import Mapping
from datetime import date
from typing import Any, Final

from etl_runner.jsontypes import loads
from etl_runner.s3 import client
from workflows.daily_import.errors import InvalidConfiguration, InvalidRequest
from workflows.daily_import.settings import SOURCES_KEY, buckets_and_topic, required
from workflows.daily_import.transform import KINDS

_FORMATS: Final = {"csv", "ndjson", "json"}


def dispatch(event: Mapping[str, Any], _context: Any) -> dict[str, Any]:
    """List the enabled sources of a date.

    Takes `{date, sources?}`: a date as YYYY-MM-DD and, to import only some, names of sources. Gives
    `{date, settings, sources}`. Raises InvalidRequest and InvalidConfiguration.
    """
    day = event.get("date")
    try:
        date.fromisoformat(day if isinstance(day, str) else "")
    except ValueError as error:
        raise InvalidRequest(f"the input needs `date` as YYYY-MM-DD; found {day!r}") from error
    settings = buckets_and_topic()
    enabled = {one["name"]: one for one in _configured() if one.get("enabled", True)}
    wanted = event.get("sources", list(enabled))
    unknown = sorted(set(wanted) - set(enabled))
    if unknown:
        raise InvalidRequest(f"no enabled source is named {', '.join(unknown)}; see s3 {SOURCES_KEY}")
    return {"date": day, "settings": settings, "sources": [enabled[name] for name in wanted]}


def _configured() -> list[dict[str, Any]]:
    bucket = required("ETL_CONFIG_BUCKET")
    text = client().get_object(Bucket=bucket, Key=SOURCES_KEY)["Body"].read()
    place = f"s3://{bucket}/{SOURCES_KEY}"
    try:
        sources = loads(text)["sources"]
    except (ValueError, KeyError, TypeError) as error:
        raise InvalidConfiguration(f"{place} is not JSON with a list `sources`: {error}") from error
    names: set[str] = set()
    for one in sources:
        _check(one, place)
        if one["name"] in names:
            raise InvalidConfiguration(f"{place} names the source {one['name']} twice")
        names.add(one["name"])
    return list(sources)


def _check(source: Mapping[str, Any], place: str) -> None:
    missing = [name for name in ("name", "kind", "format", "path") if not source.get(name)]
    if missing:
        raise InvalidConfiguration(f"{place}: a source lacks {', '.join(missing)}: {dict(source)}")
    if source["format"] not in _FORMATS or source["kind"] not in KINDS:
        raise InvalidConfiguration(
            f"{place}: {source['name']} has format {source['format']!r} and kind {source['kind']!r}; "
            f"formats are {', '.join(sorted(_FORMATS))} and kinds {', '.join(sorted(KINDS))}"
        )
