import os
from collections.abc import Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from etl_runner.config.configuration import Config
from etl_runner.config.plan import diff
from etl_runner.config.watch import ConfigWatcher
from etl_runner.errors import ConfigError

Load: TypeAlias = Callable[[], Config]
Write: TypeAlias = Callable[[str, str], Path]

NIGHTLY = "config/schedules/nightly.yaml"
HOURLY = "schedules:\n  - {name: hourly, expression: 0 * * * *, workflow: daily}\n"


@pytest.fixture
def watcher(load: Load) -> ConfigWatcher:
    made = ConfigWatcher(load, Path("config"), Path("workflows"))
    made.first()
    return made


def poll_twice(watcher: ConfigWatcher) -> Config | ConfigError | None:
    """A change is read by the second poll that sees it."""
    assert watcher.poll() is None
    return watcher.poll()


def test_nothing_changed_is_no_news(watcher: ConfigWatcher) -> None:
    assert [watcher.poll() for _ in range(3)] == [None, None, None]


def test_an_edit_is_read_once_it_has_come_to_rest(watcher: ConfigWatcher, write: Write) -> None:
    write(NIGHTLY, HOURLY)
    news = poll_twice(watcher)

    assert isinstance(news, Config)
    assert list(news.schedules) == ["hourly"]
    assert watcher.current is news
    assert watcher.poll() is None


def test_a_file_that_is_still_being_written_is_not_read(watcher: ConfigWatcher, write: Write) -> None:
    write(NIGHTLY, "schedules: []\n")
    assert watcher.poll() is None
    write(NIGHTLY, HOURLY)
    assert watcher.poll() is None
    news = watcher.poll()

    assert isinstance(news, Config)
    assert list(news.schedules) == ["hourly"]


def test_an_edit_during_the_reading_is_waited_for(load: Load, write: Write) -> None:
    again: list[bool] = []

    def slow_load() -> Config:
        config = load()
        if again:
            write(NIGHTLY, HOURLY)
            again.pop()
        return config

    watcher = ConfigWatcher(slow_load, Path("config"), Path("workflows"))
    watcher.first()
    write(NIGHTLY, "schedules: []\n")
    again.append(True)

    assert poll_twice(watcher) is None
    news = poll_twice(watcher)
    assert isinstance(news, Config)
    assert list(news.schedules) == ["hourly"]


def test_a_bad_edit_is_told_once_and_the_last_good_configuration_stays(
    watcher: ConfigWatcher, write: Write
) -> None:
    before = watcher.current
    write(NIGHTLY, HOURLY.replace("0 * * * *", "0 99 * * *"))
    news = poll_twice(watcher)

    assert isinstance(news, ConfigError)
    assert [fault.line for fault in news.faults] == [2]
    assert watcher.current is before
    assert [watcher.poll() for _ in range(3)] == [None, None, None]


def test_a_bad_edit_elsewhere_holds_back_a_good_one(watcher: ConfigWatcher, write: Write) -> None:
    write(NIGHTLY, HOURLY)
    write("workflows/daily/workflow.asl.json", "{")

    assert isinstance(poll_twice(watcher), ConfigError)
    assert watcher.current is not None
    assert list(watcher.current.schedules) == ["nightly"]


def test_the_same_error_is_not_told_again_after_a_save_without_change(
    watcher: ConfigWatcher, write: Write
) -> None:
    write(NIGHTLY, "schedules: 5\n")
    assert isinstance(poll_twice(watcher), ConfigError)
    write(NIGHTLY, "schedules: 5\n# saved again\n")

    assert poll_twice(watcher) is None


def test_a_bad_edit_taken_back_is_news_since_the_error_is_over(
    watcher: ConfigWatcher, root: Path, write: Write
) -> None:
    good = (root / NIGHTLY).read_text()
    write(NIGHTLY, "schedules: 5\n")
    poll_twice(watcher)
    write(NIGHTLY, good)
    news = poll_twice(watcher)

    assert isinstance(news, Config)
    assert diff(watcher.current, news) == []


def test_a_touch_without_change_is_no_news(watcher: ConfigWatcher, root: Path) -> None:
    os.utime(root / NIGHTLY, ns=(1, 1))

    assert poll_twice(watcher) is None


def test_a_new_file_a_removed_one_and_one_renamed_into_place_are_seen(
    watcher: ConfigWatcher, root: Path, write: Write
) -> None:
    write("config/schedules/more.yaml", HOURLY)
    added = poll_twice(watcher)
    assert isinstance(added, Config)
    (root / "config/schedules/more.yaml").unlink()
    removed = poll_twice(watcher)
    assert isinstance(removed, Config)
    write("config/schedules/.tmp", HOURLY).rename(root / NIGHTLY)
    renamed = poll_twice(watcher)
    assert isinstance(renamed, Config)

    assert [sorted(each.schedules) for each in (added, removed, renamed)] == [
        ["hourly", "nightly"],
        ["nightly"],
        ["hourly"],
    ]


def test_a_folder_taken_away_is_an_error_and_no_crash(watcher: ConfigWatcher, root: Path) -> None:
    (root / "config").rename(root / "moved")
    news = poll_twice(watcher)

    assert isinstance(news, ConfigError)
    assert "there is no folder config" in str(news)


def test_edited_code_changes_its_functions(watcher: ConfigWatcher, write: Write) -> None:
    before = watcher.current
    write("workflows/daily/tasks.py", "def fetch(event, context):\n    return 5\n")
    news = poll_twice(watcher)

    assert isinstance(news, Config)
    assert [str(change) for change in diff(before, news)] == ["changed function daily-fetch: code_sha256"]


def test_the_plan_says_what_was_added_changed_and_removed_in_one_line_each(load: Load, write: Write) -> None:
    before = load()
    write("config/rules/uploads.yaml", "rules: []\n")
    write(NIGHTLY, HOURLY + "  - {name: nightly, expression: 0 5 * * *, workflow: daily}\n")
    write("workflows/second/workflow.asl.yaml", "StartAt: A\nStates:\n  A: {Type: Succeed}\n")
    changes = [str(change) for change in diff(before, load())]

    nightly = "expression '0 4 * * *' -> '0 5 * * *', timezone 'Europe/Berlin' -> 'UTC', input"
    assert changes == [
        "added workflow second",
        "added schedule hourly",
        f"changed schedule nightly: {nightly}, start_ms 1893452400000 -> None",
        "removed rule on-upload",
        "removed queue uploads",
    ]


def test_moving_an_entry_within_its_file_changes_nothing(load: Load, root: Path, write: Write) -> None:
    before = load()
    write(NIGHTLY, "# a new first line\n" + (root / NIGHTLY).read_text())

    assert diff(before, load()) == []


def test_a_first_configuration_is_all_additions(load: Load) -> None:
    assert [change.action for change in diff(None, load())] == ["added"] * 5
