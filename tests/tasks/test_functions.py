import pytest

from etl_runner.errors import InvalidInput
from etl_runner.tasks.functions import FunctionRegistry
from tests.tasks.collector import ARN, spec


@pytest.mark.parametrize(
    "text",
    [
        ARN + "import",
        ARN + "import:$LATEST",
        ARN + "import:7",
        ARN + "import:live",
        "import",
        "import:$LATEST",
        "123456789012:function:import",
        "function:import",
    ],
)
def test_a_function_is_found_under_every_form_of_its_name(text: str) -> None:
    registry = FunctionRegistry([spec("import"), spec("other")])

    assert registry.find(text) == spec("import")


@pytest.mark.parametrize(
    "text",
    [
        "imports",
        ARN.replace("123456789012", "999999999999") + "import",
        ARN.replace("us-east-1", "eu-west-1") + "import",
        "arn:aws:lambda:us-east-1:123456789012:layer:import",
        "",
        "a b",
    ],
)
def test_what_names_no_function_finds_none_and_is_explained(text: str) -> None:
    registry = FunctionRegistry([spec("import")])

    assert registry.find(text) is None
    assert registry.explain_missing(text)


def test_a_near_name_is_suggested_and_the_way_to_bind_is_told() -> None:
    registry = FunctionRegistry([spec("daily-import")])

    assert registry.explain_missing("dayly-import") == (
        "no function dayly-import is bound here; did you mean daily-import? If not, add "
        "`dayly-import: {handler: MODULE.FUNCTION}` to a functions.yaml under workflows/"
    )


def test_a_function_in_another_region_is_pointed_to() -> None:
    registry = FunctionRegistry([spec("import")])

    told = registry.explain_missing(ARN.replace("us-east-1", "eu-west-1") + "import")
    assert told.startswith(f"the function import is bound to {ARN}import, not to ")


def test_a_registry_is_replaced_whole_or_not_at_all() -> None:
    registry = FunctionRegistry([spec("old")])
    with pytest.raises(InvalidInput, match="two functions have the ARN"):
        registry.replace([spec("new"), spec("new", module="elsewhere")])
    with pytest.raises(InvalidInput, match="it should read arn:aws:lambda"):
        registry.replace([spec("new"), spec("odd", arn="odd")])
    assert registry.all() == (spec("old"),)

    registry.replace([spec("new")])

    assert registry.find("old") is None
    assert registry.find("new") == spec("new")


def test_a_thread_function_cannot_have_an_environment_of_its_own() -> None:
    with pytest.raises(InvalidInput, match="take run_in: process or remove its environment"):
        spec("f", run_in="thread", environment={"A": "b"})


def test_a_timeout_must_be_positive() -> None:
    with pytest.raises(InvalidInput, match="it must be positive"):
        spec("f", timeout_s=0)
