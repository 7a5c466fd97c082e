"""Objects and lists that are filled in: what is fixed is copied, what is computed is put in its place."""

from collections.abc import Callable, Sequence
from typing import Any, TypeAlias

from etl_runner.asl.selector import Env
from etl_runner.jsontypes import Json

Maker: TypeAlias = Callable[[Env], Json]
"""Gives the value of one place."""


def filling(shape: dict[str, Json] | list[Json], makers: Sequence[tuple[Any, Maker]]) -> Maker:
    """What gives a copy of `shape` with the value of each maker at its key or index."""

    def make(env: Env) -> Json:
        made: Any = shape.copy()
        for place, maker in makers:
            made[place] = maker(env)
        return made

    return make
