"""Where the recorded cases and published definitions are, when they are here at all."""

from pathlib import Path

import pytest

_CANDIDATE = Path(__file__).resolve().parents[2] / "shared"
SHARED: Path | None = _CANDIDATE if _CANDIDATE.is_dir() else None

needs_shared = pytest.mark.skipif(SHARED is None, reason="the shared cases are not beside this checkout")


def shared_file(*parts: str) -> Path:
    """A file or folder of the shared data; skips the test that asks when there is none."""
    if SHARED is None:
        pytest.skip("the shared cases are not beside this checkout")
    return SHARED.joinpath(*parts)
