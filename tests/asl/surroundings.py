"""What the expressions of these tests are evaluated against."""

import random
from dataclasses import dataclass, field
from typing import Any


@dataclass
class Surroundings:
    """An Env that is filled in by hand."""

    input: Any = None
    context: Any = None
    rng: random.Random = field(default_factory=lambda: random.Random(1))
    variables: dict[str, Any] = field(default_factory=dict)
    states: dict[str, Any] = field(default_factory=dict)
    now_ms: int = 1_767_225_600_000  # 2026-01-01T00:00:00Z
