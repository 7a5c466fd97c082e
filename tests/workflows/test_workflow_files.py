"""What every folder under workflows/ promises: definitions that parse, functions that exist, sample input."""

import importlib
import json
import re
from pathlib import Path
from typing import Any

import pytest
from ruamel.yaml import YAML

ROOT = Path(__file__).resolve().parents[2]
FOLDERS = sorted(path.parent for path in (ROOT / "workflows").glob("*/functions.yaml"))
DEFINITIONS = sorted(path for folder in FOLDERS for path in folder.glob("*.asl.json"))
LAMBDA = re.compile(r"arn:aws:lambda:us-east-1:123456789012:function:([\w-]+)")


def functions_of(folder: Path) -> dict[str, Any]:
    return dict(YAML(typ="safe").load((folder / "functions.yaml").read_text())["functions"])


def states_of(node: Any) -> list[dict[str, Any]]:
    """Every object that looks like a state, at any depth."""
    match node:
        case dict():
            own = [node] if "Type" in node else []
            return own + [state for value in node.values() for state in states_of(value)]
        case list():
            return [state for value in node for state in states_of(value)]
        case _:
            return []


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_a_workflow_has_a_readme_a_machine_and_sample_input(folder: Path) -> None:
    assert (folder / "README.md").is_file()
    assert (folder / "workflow.asl.json").is_file()
    assert isinstance(json.loads((folder / "input.json").read_text()), dict)


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_every_bound_function_can_be_called(folder: Path) -> None:
    for name, binding in functions_of(folder).items():
        module, attribute = binding["handler"].rsplit(".", 1)
        handler = getattr(importlib.import_module(f"workflows.{folder.name}.{module}"), attribute)
        assert callable(handler), name


@pytest.mark.parametrize("folder", FOLDERS, ids=lambda folder: folder.name)
def test_machines_call_the_functions_that_are_bound_and_no_others(folder: Path) -> None:
    called = {name for path in folder.glob("*.asl.json") for name in LAMBDA.findall(path.read_text())}

    assert called == set(functions_of(folder))


@pytest.mark.parametrize("definition", DEFINITIONS, ids=lambda path: f"{path.parent.name}/{path.name}")
def test_a_state_waits_longer_than_its_function_may_run(definition: Path) -> None:
    bound = functions_of(definition.parent)
    for state in states_of(json.loads(definition.read_text())):
        if found := LAMBDA.fullmatch(state.get("Resource", "")):
            assert state["TimeoutSeconds"] > bound[found[1]]["timeout_seconds"], found[1]
