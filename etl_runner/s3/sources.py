"""What an ItemReader reads from, by its Resource and ReaderConfig: pinned once, then read with cursors.

A source is JSON, kept with the map run: `{"Bucket", "Key", "VersionId", "ETag", "Size"}` for one object (its
shape since the first release), else `{"Kind": ...}` with what that kind needs.
"""

from collections.abc import Iterator, Mapping
from itertools import islice
from typing import Any, Final

from etl_runner.errors import READER_FAILED, StatesError
from etl_runner.jsontypes import Json
from etl_runner.s3 import listing, pinned
from etl_runner.s3.items import ItemStream
from etl_runner.s3.listing import ListedObjects
from etl_runner.s3.manifests import Inventory, Place, read_athena, read_inventory
from etl_runner.s3.many_objects import ManyObjects
from etl_runner.s3.pinned import Pinned
from etl_runner.s3.reader_config import ReaderConfig, check_keys, most_items
from etl_runner.s3.taken import Items

GET_OBJECT: Final = ":states:::s3:getObject"
LIST_OBJECTS: Final = ":states:::s3:listObjectsV2"

_LISTING: Final = "Listing"
_FILES: Final = "FilesOfListing"
_INVENTORY: Final = "Inventory"
_ATHENA: Final = "Athena"


def pin_source(s3: Any, reader: Mapping[str, Json]) -> dict[str, Json]:
    """Fix what an ItemReader reads from, as JSON. `reader` is `{"resource", "parameters", "config"}`.

    Raises StatesError States.ItemReaderFailed: a field that is wrong or not supported, an object or bucket
    that is not there.
    """
    resource, config = reader["resource"], reader["config"]
    parameters = reader["parameters"] if isinstance(reader["parameters"], dict) else {}
    check_keys(config)
    most_items(config)
    if resource.endswith(LIST_OBJECTS):
        flatten = config.get("Transformation", "NONE") == "LOAD_AND_FLATTEN"
        if flatten:
            ReaderConfig.from_json(config)
        return {"Kind": _FILES if flatten else _LISTING, "Parameters": listing.check_listing(parameters)}
    if not resource.endswith(GET_OBJECT):
        raise StatesError(
            READER_FAILED,
            f"the ItemReader has the Resource {resource}; it takes arn:aws{GET_OBJECT} "
            f"and arn:aws{LIST_OBJECTS}",
        )
    kind = _kind_of(config)
    if kind != _INVENTORY:
        ReaderConfig.from_json(config)
    found = pinned.pin(s3, parameters).as_json()
    return found if kind is None else {"Kind": kind, "Manifest": found}


def _kind_of(config: Mapping[str, Json]) -> str | None:
    """None for an object that holds the items itself."""
    manifest, input_type = config.get("ManifestType"), config.get("InputType")
    if manifest == "ATHENA_DATA":
        return _ATHENA
    if manifest == "S3_INVENTORY" or (manifest is None and input_type == "MANIFEST"):
        return _INVENTORY
    if manifest is not None:
        raise StatesError(
            READER_FAILED,
            f"the ItemReader's ReaderConfig has ManifestType {manifest!r}; it takes ATHENA_DATA "
            "and S3_INVENTORY",
        )
    return None


def open_source(s3: Any, source: Mapping[str, Json], config: Mapping[str, Json], cursor: Json) -> Items:
    """A reader of the items of a pinned source, from a cursor on (None: from the first).

    Raises StatesError States.ItemReaderFailed.
    """
    kind, most = source.get("Kind"), most_items(config)
    if kind is None:
        return ItemStream(s3, source, config, cursor)
    if kind == _LISTING:
        return ListedObjects(s3, source["Parameters"], most, cursor)
    if kind == _FILES:
        return ManyObjects(s3, _listed(s3, source["Parameters"]), config, most, cursor)
    manifest = Pinned.from_json(source["Manifest"])
    if kind == _INVENTORY:
        inventory = read_inventory(s3, manifest)
        return ManyObjects(s3, _named(inventory.files), _rows_of(inventory, config), most, cursor)
    if kind == _ATHENA:
        return ManyObjects(s3, _named(read_athena(s3, manifest)), config, most, cursor)
    raise StatesError(
        READER_FAILED, f"the map run reads from a source of kind {kind!r}, which this release does not know"
    )


def _rows_of(inventory: Inventory, config: Mapping[str, Json]) -> dict[str, Json]:
    """How the files of an inventory are read: always as CSV, and as its own files have no header, without."""
    given = config.get("CSVHeaders") if config.get("CSVHeaderLocation") == "GIVEN" else None
    rows: dict[str, Json] = {"InputType": "CSV", "CSVHeaderLocation": "GIVEN"}
    rows["CSVHeaders"] = list(inventory.columns) if given is None else given
    return rows | {name: config[name] for name in ("CSVDelimiter", "MaxItems") if name in config}


def _listed(s3: Any, parameters: Mapping[str, Json]) -> Any:
    def places(mark: Json) -> Iterator[tuple[Json, Place]]:
        for found in listing.objects(s3, parameters, mark):
            if found["Size"] or not found["Key"].endswith("/"):  # a "folder" has nothing to read
                yield found["Key"], Place(parameters["Bucket"], found["Key"])

    return places


def _named(files: Any) -> Any:
    def places(mark: Json) -> Iterator[tuple[Json, Place]]:
        yield from enumerate(islice(files, mark or 0, None), (mark or 0) + 1)

    return places
