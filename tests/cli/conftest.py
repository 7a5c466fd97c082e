from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.api.stage import Stage, served


@pytest.fixture
def stage(tmp_path: Path) -> Iterator[Stage]:
    stage = Stage(tmp_path)
    yield stage
    stage.close()


@pytest.fixture
def url(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """The stage behind a port, and the variable that leads the command line there."""
    with served(stage) as url:
        monkeypatch.setenv("ETL_RUNNER_URL", url)
        yield url
