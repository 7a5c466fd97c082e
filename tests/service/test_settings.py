"""Settings: the file that lists them, what wins over what, and that no mistake shows a secret."""

import os
import re
from collections.abc import Mapping
from pathlib import Path

import pytest

from etl_runner.errors import ConfigError
from etl_runner.machine.limits import AWS
from etl_runner.settings import (
    FILE_NAME,
    MOST_PAYLOAD_BYTES,
    LimitSettings,
    Settings,
    SettingsFile,
    commented_file,
    load_settings,
)

ROOT = Path(__file__).resolve().parents[2]
SECRET = "7315926480"  # as digits alone, YAML takes it for a number


@pytest.fixture(autouse=True)
def plain_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in os.environ:
        if name.upper().startswith("ETL_RUNNER_"):
            monkeypatch.delenv(name)


def load(folder: Path, text: str = "", env: Mapping[str, str] | None = None, **given: object) -> Settings:
    (folder / FILE_NAME).write_text(text)
    with pytest.MonkeyPatch.context() as patch:
        for name, value in (env or {}).items():
            patch.setenv(name, value)
        return load_settings(folder, **given)


def refused(folder: Path, text: str = "", env: Mapping[str, str] | None = None, **given: object) -> str:
    with pytest.raises(ConfigError) as error:
        load(folder, text, env, **given)
    return str(error.value)


# --- the file ---------------------------------------------------------------------------------------------


def test_the_shipped_file_lists_what_the_models_have() -> None:
    assert (ROOT / "config" / FILE_NAME).read_text() == commented_file()


def test_the_shipped_file_changes_nothing(tmp_path: Path) -> None:
    assert load_settings(ROOT / "config") == load(tmp_path)


def test_the_shipped_file_without_its_hashes_names_every_setting_with_its_default(tmp_path: Path) -> None:
    text = re.sub(r"^#(?=( *[a-z_]+:( |$))|  #)", "", commented_file(), flags=re.MULTILINE)
    names = set(re.findall(r"^([a-z_]+):", text, flags=re.MULTILINE))

    assert names == set(SettingsFile.model_fields)
    assert load(tmp_path, text) == load(tmp_path)
    assert load(tmp_path, text).model_fields_set == names


def test_a_missing_file_and_an_empty_one_are_the_defaults(tmp_path: Path) -> None:
    assert load_settings(tmp_path / "nowhere") == load(tmp_path, "# nothing\n\n")


# --- what wins --------------------------------------------------------------------------------------------


def test_options_win_over_variables_and_those_over_the_file(tmp_path: Path) -> None:
    text = "host: file\nregion: file\naws: {region: file, access_key_id: file}\n"
    env = {
        "ETL_RUNNER_HOST": "variable",
        "ETL_RUNNER_REGION": "variable",
        "ETL_RUNNER_AWS__REGION": "variable",
    }
    settings = load(tmp_path, text, env, host="option", port=None)

    assert (settings.host, settings.region, settings.port) == ("option", "variable", 8083)
    assert (settings.aws.region, settings.aws.access_key_id) == ("variable", "file")


def test_an_empty_variable_sets_nothing(tmp_path: Path) -> None:
    env = {"ETL_RUNNER_API_TOKEN": "", "ETL_RUNNER_PORT": ""}

    assert load(tmp_path, env=env) == load(tmp_path)


def test_the_variables_of_the_command_line_are_left_to_it(tmp_path: Path) -> None:
    assert load(tmp_path, env={"ETL_RUNNER_URL": "http://x", "ETL_RUNNER_DEBUG": "1"}) == load(tmp_path)


# --- mistakes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("prot: 80", "etl-runner.yaml:1:1: there is no field 'prot' here; did you mean 'port'?"),
        (
            "log:\n  level: loud",
            "etl-runner.yaml:2:10: the field 'level' is the string 'loud'; it must be 'debug'",
        ),
        ("port: 1\nport: 2", "etl-runner.yaml:2:1: the field 'port' is here a second time"),
        ("port: [", "etl-runner.yaml:"),
        ("- port", "etl-runner.yaml:1:1: the file must hold a mapping at its top"),
        (
            "account: 123456789012",
            "1:10: the field 'account' is the number 123456789012; it must be a string",
        ),
        (
            "api:\n  access_keys:\n    - {id: AKIDREPORTS, secret: short, account: '111111111111'}",
            "3:33: the field 'secret' is not a usable string; it must have at least 8 characters",
        ),
    ],
)
def test_a_mistake_in_the_file_is_told_with_its_place(tmp_path: Path, text: str, says: str) -> None:
    assert says in refused(tmp_path, text)


@pytest.mark.parametrize(
    ("name", "value", "says"),
    [
        (
            "PORT",
            "99999",
            "the setting port must be less than or equal to 65535; correct the option or the variable",
        ),
        ("LOG__LEVEL", "loud", "the setting log.level must be 'debug', 'info', 'warning' or 'error'"),
        ("PROT", "1", "the variable ETL_RUNNER_PROT is no setting; did you mean 'ETL_RUNNER_PORT'"),
        ("AWS__REGOIN", "x", "the setting aws.regoin is unknown"),
        ("AWS", "x", "the environment cannot be used: "),
    ],
)
def test_a_mistake_in_the_environment_is_told_by_its_name(
    tmp_path: Path, name: str, value: str, says: str
) -> None:
    assert says in refused(tmp_path, env={f"ETL_RUNNER_{name}": value})


@pytest.mark.parametrize(
    ("text", "env"),
    [
        (f"api_token: {SECRET}", {}),
        (f"aws: {{secret_access_key: {SECRET}}}", {}),
        (f"aws: {{secret_acess_key: '{SECRET}'}}", {}),
        (f"aws: {{session_token: [{SECRET}]}}", {}),
        ("", {"ETL_RUNNER_AWS__SECRET_KEY": SECRET}),
        ("", {"ETL_RUNNER_API_TOKN": SECRET}),
        ("", {"ETL_RUNNER_AWS": f'{{"secret_access_key": {SECRET}}}'}),
        ("", {"ETL_RUNNER_AWS": f"secret_access_key={SECRET}"}),
    ],
)
def test_no_mistake_shows_a_secret(tmp_path: Path, text: str, env: dict[str, str]) -> None:
    assert SECRET not in refused(tmp_path, text, env)


def test_settings_shown_hide_their_secrets(tmp_path: Path) -> None:
    settings = load(tmp_path, f"api_token: '{SECRET}'\naws: {{secret_access_key: '{SECRET}'}}")

    assert SECRET not in repr(settings) + str(settings) + repr(settings.aws_access())


@pytest.mark.parametrize(
    ("text", "env", "told"),
    [
        ("", {}, False),
        ("aws: {endpoint_url: 'http://127.0.0.1:1'}", {}, True),
        ("aws: {endpoint_urls: {events: 'http://127.0.0.1:1'}}", {}, True),
        ("aws: {endpoint_urls: {s3: 'http://127.0.0.1:1'}}", {}, False),
        ("", {"AWS_ENDPOINT_URL_EVENTBRIDGE": "http://127.0.0.1:1"}, True),
        ("aws: {endpoint_url: 'http://127.0.0.1:1'}\nevents: {publish_status: false}", {}, False),
        ("events: {publish_status: true}", {}, True),
    ],
)
def test_eventbridge_is_told_where_an_endpoint_stands_in_for_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, text: str, env: dict[str, str], *, told: bool
) -> None:
    monkeypatch.delenv("AWS_ENDPOINT_URL", raising=False)
    for name, value in env.items():
        monkeypatch.setenv(name, value)

    assert load(tmp_path, text).policy().tell_status is told


def test_the_docs_list_every_limit_with_its_default() -> None:
    page = (Path(__file__).resolve().parents[2] / "docs" / "aws-api.md").read_text()
    listed = dict(re.findall(r"^\| `(\w+)` \| ([\d,]+) \| ", page, re.MULTILINE))

    assert listed == {name: f"{getattr(AWS, name):,}" for name in LimitSettings.model_fields}
    assert set(listed) == set(AWS.__struct_fields__)
    assert f"go up to {MOST_PAYLOAD_BYTES:,}" in page


def test_the_bounds_of_an_execution_are_aws_s_until_they_are_lifted(tmp_path: Path) -> None:
    assert load(tmp_path).policy().limits == AWS
    assert load(tmp_path, "limits: {events: 100000}").policy().limits.events == 100_000
