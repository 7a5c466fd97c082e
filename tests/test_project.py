"""What the documents, the recipes and the lists say about the project is so."""

import json
import re
import shlex
import shutil
import subprocess
import sys
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path
from typing import Any

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name
from ruamel.yaml import YAML

from etl_runner.asl.parse import parse_definition
from etl_runner.schedule.expressions import parse_expression
from etl_runner.schedule.patterns import compile_pattern
from tests.test_ladder import FLOORS, ROOT, imports_of, modules, parse_module

PYPROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
README = (ROOT / "README.md").read_text(encoding="utf-8")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def requirements(*extras: str) -> list[Requirement]:
    """The dependencies declared in pyproject.toml, with those of the extras named."""
    project = PYPROJECT["project"]
    lines = [
        *project["dependencies"],
        *(x for extra in extras for x in project["optional-dependencies"][extra]),
    ]
    return [Requirement(line) for line in lines if not line.startswith(project["name"])]


def constraints() -> dict[str, str]:
    """The pinned versions by canonical name."""
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line.split("==") for line in lines if not line.startswith("#")]
    return {canonicalize_name(name): version for name, version in pins}


# ------------------------------------------------------------------------------------- ARCHITECTURE.md


def drawn_ladder() -> dict[str, int]:
    rows = re.findall(r"^(\d)  ([a-z0-9_ ]+)$", ARCHITECTURE, re.MULTILINE)
    return {room: int(floor) for floor, rooms in rows for room in rooms.split()}


def test_the_ladder_drawn_is_the_ladder_tested() -> None:
    there = {path.stem if path.is_file() else path.name for path in rooms_on_disk()}

    assert drawn_ladder() == {room: floor for room, floor in FLOORS.items() if room in there}


def rooms_on_disk() -> list[Path]:
    inside = (ROOT / "etl_runner").iterdir()
    return [
        path for path in inside if (path.suffix == ".py" or any(path.glob("*.py"))) and path.stem[0] != "_"
    ]


def paths_named(text: str) -> list[str]:
    """What a document names in backticks that looks like a file or folder of this project."""
    return sorted(
        {name for name in re.findall(r"`([\w./-]+?(?:\.py|\.toml|\.txt|/))`", text) if "greet" not in name}
    )


@pytest.mark.parametrize("name", paths_named(ARCHITECTURE))
def test_what_architecture_names_exists(name: str) -> None:
    assert (ROOT / "etl_runner" / name).exists() or (ROOT / name).exists()


@pytest.mark.parametrize("room", FLOORS)
def test_every_room_is_explained_in_architecture(room: str) -> None:
    if not (ROOT / "etl_runner" / room).is_dir() and not (ROOT / "etl_runner" / f"{room}.py").is_file():
        pytest.skip(f"there is no {room} yet")

    assert re.search(rf"`{room}(/|\.py)?`", ARCHITECTURE)


# ------------------------------------------------------------------------------- README and CHANGELOG


@pytest.mark.parametrize("name", [*paths_named(README), *re.findall(r"\]\((?!https?:)([^)#]+)\)", README)])
def test_what_the_readme_points_at_exists(name: str) -> None:
    assert (ROOT / name).exists()


def test_the_readme_names_only_commands_that_make_knows() -> None:
    named = set(re.findall(r"(?:^|`)make ([a-z]+)", README, re.MULTILINE))

    assert {"demo", "test", "help"} <= named <= make_targets()


def examples(language: str) -> list[str]:
    """The fenced examples of the README in one language."""
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


def yaml_example(key: str) -> list[dict[str, Any]]:
    """The list under `key` of the README's YAML example that has it."""
    documents = [YAML(typ="safe", pure=True).load(block) for block in examples("yaml")]
    found: list[dict[str, Any]] = next(document[key] for document in documents if key in document)
    return found


def test_the_schedules_in_the_readme_can_be_read() -> None:
    block = next(block for block in examples("yaml") if block.startswith("schedules:"))
    comment = re.findall(r"(?:rate|at|cron)\([^)]*\)", block)
    (schedule,) = yaml_example("schedules")

    assert len(comment) == 3
    for expression in [schedule["expression"], *comment]:
        parse_expression(expression, schedule["timezone"])


def test_the_rule_in_the_readme_matches_what_it_is_meant_for() -> None:
    (rule,) = yaml_example("rules")
    event = {"source": "shop", "detail-type": "CustomerCreated", "detail": {"name": "Ada"}}

    assert compile_pattern(rule["pattern"]).matches(event)


def test_the_workflow_in_the_readme_is_accepted() -> None:
    (definition,) = examples("json")

    assert parse_definition(definition).scopes[0].start_at == "Greet"


def test_the_changelog_begins_with_what_is_not_released() -> None:
    headings = re.findall(r"^## (.+)$", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)

    assert headings[0] == "Unreleased"


def test_the_licence_is_the_one_declared() -> None:
    text = (ROOT / "LICENSE").read_text(encoding="utf-8")

    assert PYPROJECT["project"]["license"] == "Apache-2.0"
    assert "Apache License" in text
    assert "Version 2.0, January 2004" in text


# ------------------------------------------------------------------------------------------ Dependencies


def test_constraints_are_plain_pins_in_order() -> None:
    lines = (ROOT / "constraints.txt").read_text(encoding="utf-8").splitlines()
    pins = [line for line in lines if not line.startswith("#")]

    assert [line for line in pins if not re.fullmatch(r"[A-Za-z0-9._-]+==[0-9][A-Za-z0-9.+!]*", line)] == []
    assert pins == sorted(pins, key=lambda line: line.split("==")[0].lower())


@pytest.mark.parametrize("requirement", requirements("demo", "dev"), ids=str)
def test_every_dependency_is_pinned_within_its_range(requirement: Requirement) -> None:
    pinned = constraints()[canonicalize_name(requirement.name)]

    assert requirement.specifier.contains(pinned, prereleases=True)


OURS = {"etl_runner", "workflows", "tests", "benchmarks"}
HALVES = {"pydantic_core"}
"""Not declared by themselves: pydantic asks for one exact version of this and documents its types."""


def providers_missing(importing: list[tuple[str, Path]], extras: tuple[str, ...]) -> set[str]:
    """What the modules import of others without a dependency declared for it, one sentence each."""
    providers = packages_distributions()
    declared = {canonicalize_name(requirement.name) for requirement in requirements(*extras)}
    roots = {
        (module, found.module.split(".")[0])
        for module, path in importing
        for found in imports_of(parse_module(path), module)
    }
    return {
        f"{module} imports {root}"
        for module, root in roots
        if root not in sys.stdlib_module_names | OURS | HALVES
        and not declared & {canonicalize_name(name) for name in providers.get(root, [])}
    }


def test_the_service_and_the_workflows_need_no_extra() -> None:
    service = [found for found in modules() if not found[0].startswith("etl_runner.demo")]

    assert providers_missing([*service, *modules("workflows")], extras=()) == set()


def test_every_package_that_the_demo_imports_is_declared() -> None:
    assert providers_missing(modules("etl_runner/demo"), extras=("demo",)) == set()


def test_every_package_that_the_tests_import_is_declared() -> None:
    assert providers_missing(modules("tests"), extras=("demo", "dev")) == set()


def test_every_data_file_of_the_package_goes_into_the_wheel() -> None:
    patterns = PYPROJECT["tool"]["setuptools"]["package-data"]["etl_runner"]
    package = ROOT / "etl_runner"
    data = {path for path in package.rglob("*") if path.is_file() and path.suffix not in {".py", ".pyc"}}
    packed = {path for pattern in patterns for path in package.glob(pattern)}

    assert data - packed == set()


# ---------------------------------------------------------------------------------------------- Makefile


def make_targets() -> set[str]:
    return set(re.findall(r"^([a-z]+):.*## ", MAKEFILE, re.MULTILINE))


def make(*arguments: str, cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    if shutil.which("make") is None:
        pytest.skip("make is not installed")
    # What a make above us (`make test`) passes on would change what this one says.
    environment = {"PATH": f"{Path(sys.base_prefix) / 'bin'}:/usr/bin:/bin"}
    return subprocess.run(
        ["make", *arguments],
        cwd=cwd,
        env=environment,
        capture_output=True,
        text=True,
        check=False,
        timeout=100,
    )


def test_make_without_a_target_lists_every_target_and_variable() -> None:
    shown = make().stdout

    assert {word for word in make_targets() if not re.search(rf"^  {word} ", shown, re.MULTILINE)} == set()
    assert {"PYTHON=", "ARGS=", "PYTEST_ARGS="} <= set(re.findall(r"[A-Z_]+=", shown))


def test_every_target_is_listed_and_phony() -> None:
    rules = set(re.findall(r"^([a-z]+):", MAKEFILE, re.MULTILINE))
    phony = set(re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE))

    assert rules == phony == make_targets()


def test_every_recipe_is_silent() -> None:
    recipes = re.findall(r"(?<!\\)\n\t(.*)", MAKEFILE)

    assert [line for line in recipes if not line.startswith("@")] == []


@pytest.fixture
def bare_checkout(tmp_path: Path) -> Path:
    for name in ("Makefile", "pyproject.toml", "constraints.txt"):
        shutil.copy(ROOT / name, tmp_path)
    return tmp_path


def test_a_python_that_does_not_work_is_refused_with_a_remedy(bare_checkout: Path) -> None:
    shim = bare_checkout / "python3.13"
    shim.write_text("#!/bin/sh\necho 13\necho 'command not found' >&2\nexit 127\n", encoding="utf-8")
    shim.chmod(0o755)

    done = make("demo", f"PYTHON={shim}", cwd=bare_checkout)

    assert done.returncode == 2
    assert done.stdout == ""
    assert f"tried {shim}" in done.stderr
    assert "3.11 or newer" in done.stderr
    assert not (bare_checkout / ".venv").exists()


def test_a_python_that_is_too_old_is_refused(bare_checkout: Path) -> None:
    old = bare_checkout / "python3"
    old.write_text("#!/bin/sh\necho 0\n", encoding="utf-8")
    old.chmod(0o755)

    assert make("test", f"PYTHON={old}", cwd=bare_checkout).returncode == 2


def test_making_the_environment_writes_nothing_to_standard_output(bare_checkout: Path) -> None:
    done = make("--silent", ".venv/bin/python", f"PYTHON={sys.executable}", cwd=bare_checkout)

    assert (done.returncode, done.stdout) == (0, "")
    assert (bare_checkout / ".venv/bin/python").exists()


def test_ci_runs_check_and_test() -> None:
    script = (ROOT / ".ci/run").read_text(encoding="utf-8")

    assert "set -euo pipefail" in script
    assert re.findall(r"^make (\w+)", script, re.MULTILINE) == ["check", "test"]


# -------------------------------------------------------------------------------------------- Dockerfile


def instructions() -> list[tuple[str, str]]:
    """The Dockerfile as (instruction, rest of the line), comments gone and continued lines joined."""
    text = (ROOT / "Dockerfile").read_text(encoding="utf-8")
    text = re.sub(r"^\s*#.*\n", "", text, flags=re.MULTILINE).replace("\\\n", " ")
    return [
        (line.split()[0], line.split(maxsplit=1)[1].strip()) for line in text.splitlines() if line.strip()
    ]


def all_of(instruction: str) -> list[str]:
    return [rest for name, rest in instructions() if name == instruction]


def test_the_image_is_built_in_stages_and_starts_from_a_slim_python() -> None:
    stages = [re.fullmatch(r"(\S+) AS (\w+)", stage) for stage in all_of("FROM")]

    assert [stage[2] for stage in stages if stage] == ["build", "runtime"]
    assert {stage[1] for stage in stages if stage} == {"python:${PYTHON_VERSION}-slim"}


def test_the_image_is_for_a_python_that_the_project_supports() -> None:
    (version,) = (rest.removeprefix("PYTHON_VERSION=") for rest in all_of("ARG"))

    assert PYPROJECT["project"]["requires-python"] == ">=3.11"
    assert tuple(int(part) for part in version.split(".")) >= (3, 11)


def test_the_container_does_not_run_as_root() -> None:
    names = [name for name, _ in instructions()]

    assert re.fullmatch(r"[1-9]\d+:[1-9]\d+", all_of("USER")[-1])
    assert names.index("USER") > max(index for index, name in enumerate(names) if name in {"RUN", "COPY"})


def copied() -> list[str]:
    return [source for rest in all_of("COPY") if "--from" not in rest for source in shlex.split(rest)[:-1]]


@pytest.mark.parametrize("source", copied())
def test_what_the_image_copies_exists_and_is_sent_to_the_builder(source: str) -> None:
    allowed = (ROOT / ".dockerignore").read_text(encoding="utf-8").splitlines()

    assert (ROOT / source).exists()
    assert f"!{source.removeprefix('./')}" in allowed


def test_signals_reach_the_service_itself() -> None:
    assert json.loads(all_of("ENTRYPOINT")[-1]) == ["etl-runner"]
    assert json.loads(all_of("CMD")[-1])[0] == "serve"


def test_the_health_check_asks_the_port_that_is_served() -> None:
    command = json.loads(all_of("CMD")[-1])
    port = command[command.index("--port") + 1]

    assert all_of("EXPOSE") == [port]
    assert f"http://127.0.0.1:{port}/healthz" in all_of("HEALTHCHECK")[-1]


def test_the_store_is_a_volume_that_the_user_may_write() -> None:
    (volume,) = json.loads(all_of("VOLUME")[-1])

    assert volume in next(rest for rest in all_of("RUN") if "useradd" in rest)
