"""The actions, one module per theme: each has `ACTIONS`, from the operation's name to what answers it."""

import pkgutil
from collections.abc import Mapping
from functools import cache
from importlib import import_module

from etl_runner.api.sfn.call import Action


@cache
def actions() -> Mapping[str, Action]:
    """All actions by name, as the modules of this folder have them."""
    found: dict[str, Action] = {}
    for module in pkgutil.iter_modules(__path__):
        if module.name.startswith("_"):
            continue
        own: Mapping[str, Action] = import_module(f"{__name__}.{module.name}").ACTIONS
        twice = found.keys() & own.keys()
        assert not twice, f"{module.name} has actions that another module has: {sorted(twice)}"
        found.update(own)
    return found
