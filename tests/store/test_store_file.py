"""Opening the file: new, old, newer, foreign, broken, out of reach, in use."""

import os
import sqlite3
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest
from alembic import command
from alembic.autogenerate import compare_metadata
from alembic.config import Config
from alembic.migration import MigrationContext
from sqlalchemy import create_engine
from sqlmodel import SQLModel

from etl_runner.errors import StoreTooNew, StoreUnavailable
from etl_runner.store import migrations, tables
from etl_runner.store.revisions import HEAD, REVISIONS
from etl_runner.store.store import Store


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "var" / "store.db"


def version(path: Path) -> str:
    with closing(sqlite3.connect(path)) as connection:
        return str(connection.execute("SELECT version_num FROM alembic_version").fetchone()[0])


def migrated_to(path: Path, revision: str) -> None:
    """Make a store as an earlier release left it."""
    path.parent.mkdir(parents=True)
    engine = create_engine(f"sqlite:///{path}")
    config = Config()
    config.set_main_option("script_location", str(Path(str(migrations.__file__)).parent))
    with engine.connect() as connection:
        config.attributes["connection"] = connection
        command.upgrade(config, revision)
        connection.commit()
    engine.dispose()


def test_a_new_store_is_made_with_its_folder(path: Path) -> None:
    Store(path).close()

    assert version(path) == HEAD


def test_it_is_durable_by_its_settings(path: Path) -> None:
    store = Store(path)
    with store.engine.connect() as connection:
        found = [
            connection.exec_driver_sql(f"PRAGMA {name}").scalar()
            for name in ("journal_mode", "synchronous", "foreign_keys")
        ]
    store.close()

    assert found == ["wal", 2, 1]


def test_a_store_is_opened_again_without_touching_it(path: Path) -> None:
    first = Store(path)
    definition = first.put_definition("{}", yaml=False, now_ms=1)
    first.close()
    again = Store(path)
    found = again.definition_text(definition), again.put_definition("{}", yaml=False, now_ms=2)
    again.close()

    assert found == (("{}", False), definition)


@pytest.mark.parametrize("revision", REVISIONS[:-1])
def test_an_older_store_is_brought_up_to_date_with_what_it_holds(path: Path, revision: str) -> None:
    migrated_to(path, revision)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO definition (sha256, yaml, text, created_ms) VALUES ('a', 0, '{}', 1)")
        connection.commit()
    store = Store(path)
    text = store.definition_text(1)
    store.close()

    assert (text, version(path)) == (("{}", False), HEAD)


def test_the_migrations_make_what_the_tables_say(path: Path) -> None:
    store = Store(path)
    with store.engine.connect() as connection:
        differences = compare_metadata(MigrationContext.configure(connection), SQLModel.metadata)
    store.close()

    assert tables.STATUSES
    assert differences == []


def test_migrated_and_created_schemas_have_the_same_indexes_and_constraints(path: Path) -> None:
    """Alembic's comparison sees neither conditions of indexes nor checks; SQLite's own list does."""
    Store(path).close()
    made = create_engine("sqlite://")
    SQLModel.metadata.create_all(made)

    def shape(statements: Iterator[tuple[str, str, str | None]]) -> dict[str, tuple[str, ...]]:
        found = {}
        for name, table, sql in statements:
            if table == "alembic_version" or name.startswith("sqlite_autoindex"):
                continue
            words = (sql or "").replace("(", " ( ").replace(")", " ) ").replace(",", " , ").replace('"', "")
            found[name] = tuple(sorted(words.upper().split()))
        return found

    ask = "SELECT name, tbl_name, sql FROM sqlite_master WHERE type = 'index'"
    with closing(sqlite3.connect(path)) as connection, made.connect() as memory:
        migrated = shape(connection.execute(ask))
        created = shape((row[0], row[1], row[2]) for row in memory.exec_driver_sql(ask))
        checks = connection.execute("SELECT sql FROM sqlite_master WHERE name = 'execution'").fetchone()[0]
    made.dispose()

    assert migrated.keys() == created.keys()
    assert migrated == created
    assert "known_status" in checks


def test_every_revision_has_its_file() -> None:
    files = sorted(Path(str(migrations.__file__)).parent.glob("versions/rev_*.py"))

    assert tuple(file.stem.removeprefix("rev_") for file in files) == REVISIONS


def test_a_store_of_a_later_release_is_refused_by_name_and_left_alone(path: Path) -> None:
    Store(path).close()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("UPDATE alembic_version SET version_num = '9999'")
        connection.commit()

    with pytest.raises(StoreTooNew, match="schema 9999, which this release does not know"):
        Store(path)
    assert version(path) == "9999"


def test_a_database_of_something_else_is_refused_and_left_alone(path: Path) -> None:
    path.parent.mkdir()
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("CREATE TABLE songs (title TEXT)")
        connection.commit()

    with pytest.raises(StoreUnavailable, match=r"a database of something else .*songs.*name another file"):
        Store(path)
    with closing(sqlite3.connect(path)) as connection:
        assert [name for (name,) in connection.execute("SELECT name FROM sqlite_master")] == ["songs"]


@pytest.mark.parametrize(
    "content", [b"hello, this is no database at all", b"SQLite format 3\0" + b"x" * 4096]
)
def test_a_file_that_is_no_database_is_refused_and_left_alone(path: Path, content: bytes) -> None:
    path.parent.mkdir()
    path.write_bytes(content)

    with pytest.raises(
        StoreUnavailable, match=r"store\.db cannot be used .*restore a backup, or name another"
    ):
        Store(path)
    assert path.read_bytes() == content


def test_a_refused_store_can_be_opened_once_the_cause_is_gone(path: Path) -> None:
    path.parent.mkdir()
    path.write_bytes(b"hello, this is no database at all")
    with pytest.raises(StoreUnavailable):
        Store(path)
    path.unlink()
    Store(path).close()

    assert version(path) == HEAD


def test_a_folder_in_place_of_the_file_is_refused(path: Path) -> None:
    path.mkdir(parents=True)

    with pytest.raises(StoreUnavailable, match=r"store\.db cannot be used"):
        Store(path)


def test_a_folder_that_cannot_be_made_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")

    with pytest.raises(
        StoreUnavailable, match=r"the folder of the store .*file/var/store\.db cannot be made"
    ):
        Store(tmp_path / "file" / "var" / "store.db")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is read-only for root")
def test_a_read_only_folder_is_named(path: Path) -> None:
    path.parent.mkdir()
    path.parent.chmod(0o555)

    with pytest.raises(StoreUnavailable, match="the service's user may write there"):
        Store(path)
    path.parent.chmod(0o755)


def test_a_second_store_on_one_file_is_refused_with_the_process_that_has_it(path: Path) -> None:
    first = Store(path)

    with pytest.raises(StoreUnavailable, match=f"in use by another etl-runner .process {os.getpid()}"):
        Store(path)
    first.close()
    Store(path).close()


def test_another_process_is_kept_out_until_this_one_ends(path: Path) -> None:
    program = (
        "import sys, pathlib\n"
        "from etl_runner.store.store import Store\n"
        "store = Store(pathlib.Path(sys.argv[1]))\n"
        "print('open', flush=True)\n"
        "sys.stdin.read()\n"
    )
    arguments = [sys.executable, "-c", program, str(path)]
    with subprocess.Popen(arguments, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as other:
        assert other.stdout is not None
        assert other.stdout.readline() == b"open\n"
        with pytest.raises(StoreUnavailable, match=f"process {other.pid}"):
            Store(path)
        other.kill()
    Store(path).close()
