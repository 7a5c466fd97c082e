from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.service.program import Daemon, Installation, serving


@pytest.fixture
def installation(tmp_path: Path) -> Installation:
    return Installation(tmp_path / "installation")


@pytest.fixture
def daemon(installation: Installation) -> Iterator[Daemon]:
    """A running service over the installation."""
    with serving(installation) as daemon:
        yield daemon
