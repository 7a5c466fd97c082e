"""Opening the store: where it is, how SQLite must behave, and which version of the schema it has."""

import sqlite3
from pathlib import Path
from typing import Any, Final

from sqlalchemy import Connection, Engine, create_engine, event, inspect
from sqlalchemy.exc import DatabaseError, OperationalError
from sqlalchemy.pool import QueuePool

from etl_runner.errors import StoreTooNew, StoreUnavailable
from etl_runner.store import tables  # noqa: F401 -- registers the tables
from etl_runner.store.revisions import HEAD, REVISIONS

BUSY_TIMEOUT_MS: Final = 5_000


def open_store(path: Path) -> Engine:
    """Open the SQLite file, making or migrating it when it is new or old.

    Raises StoreUnavailable (cannot be opened, is no database) and StoreTooNew.
    """
    engine = create_engine(
        f"sqlite:///{path}",
        poolclass=QueuePool,
        pool_size=8,
        max_overflow=8,
        connect_args={"check_same_thread": False, "timeout": BUSY_TIMEOUT_MS / 1000},
    )
    event.listen(engine, "connect", _set_up)
    event.listen(engine, "begin", _begin)
    try:
        _migrate(engine, path)
    except (OperationalError, DatabaseError) as error:
        engine.dispose()
        raise unavailable(error, path) from error
    except BaseException:
        engine.dispose()
        raise
    return engine


def unavailable(error: DatabaseError, path: Path | str = "") -> StoreUnavailable:
    """Say in one sentence what SQLite's error means for the operator."""
    text = str(error.orig)
    lower = text.lower()
    if "full" in lower:
        remedy = "the disk is full: free some space; work goes on by itself"
    elif "i/o error" in lower:
        remedy = (
            "the disk fails, or a quota or limit is reached: look at the system's log; work goes on by "
            "itself once it can be written to"
        )
    elif "readonly" in lower or "read-only" in lower:
        remedy = "the file or its folder is read-only: give the service's user the right to write"
    elif "locked" in lower or "busy" in lower:
        remedy = "another process holds it: stop that one, or give each its own file"
    elif "unable to open" in lower and Path(path).is_dir():
        remedy = "it is a folder: name a file in it"
    elif "unable to open" in lower:
        remedy = "check that the folder exists and that the service's user may write there"
    elif "not a database" in lower or "malformed" in lower:
        remedy = "it is no SQLite file or is damaged: restore a backup, or name another file"
    else:
        remedy = "see the message for what to do"
    return StoreUnavailable(f"the store {path} cannot be used ({text}); {remedy}")


def _set_up(connection: sqlite3.Connection, _record: Any) -> None:
    # SQLAlchemy sends BEGIN itself (below); the driver must not.
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute("PRAGMA synchronous=FULL")  # a commit is on the disk before it is acknowledged
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.execute("PRAGMA temp_store=MEMORY")
    cursor.execute("PRAGMA cache_size=-32768")
    cursor.close()


def _begin(connection: Connection) -> None:
    options = connection.get_execution_options()
    if options.get("lone", False):
        return  # a query by itself sees one moment without a transaction
    # A writer takes its lock at once, so that it never has to give up a transaction half way.
    connection.exec_driver_sql("BEGIN IMMEDIATE" if options.get("immediate", False) else "BEGIN")


def _migrate(engine: Engine, path: Path) -> None:
    with engine.connect() as connection:
        found = None
        present = inspect(connection).get_table_names()
        if "alembic_version" in present:
            found = connection.exec_driver_sql("SELECT version_num FROM alembic_version").scalar()
        elif present:
            raise StoreUnavailable(
                f"the store {path} cannot be used: it is a database of something else (it has the tables "
                f"{', '.join(present[:5])}); name another file"
            )
    if found is not None and found not in REVISIONS:
        raise StoreTooNew(
            f"the store {path} has schema {found}, which this release does not know (its newest is {HEAD}); "
            "run the release that wrote it or a newer one, or name another file"
        )
    with engine.connect() as connection:
        # Kept in the file, so that once is enough; and not before the file is known to be ours.
        connection.connection.execute("PRAGMA journal_mode=WAL")
    if found == HEAD:
        return
    # Alembic takes a tenth of a second to import and is needed only here.
    from alembic import command  # noqa: PLC0415
    from alembic.config import Config  # noqa: PLC0415

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations").replace("%", "%%"))
    with engine.connect().execution_options(immediate=True) as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, "head")
        connection.commit()
