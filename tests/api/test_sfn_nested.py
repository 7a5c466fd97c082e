"""The door through which tasks start executions of their own service."""

from collections.abc import Iterator

import pytest

from etl_runner.api.sfn.nested import Nested, OwnApi
from etl_runner.tasks.nested import NestedRefused
from tests.api.sfn_stage import Served, serving
from tests.engine.harness import PASS, single

WAITS_S = 20


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("nested")) as served:
        yield served


@pytest.fixture(scope="module")
def door(api: Served) -> Nested:
    return Nested(api.stage)


@pytest.fixture
def machine(api: Served) -> str:
    return api.machine(single(PASS))


def test_state_machines_of_the_service_are_known(door: Nested, machine: str) -> None:
    assert door.knows(machine)
    assert not door.knows(f"{machine}-of-someone-else")
    assert not door.knows("nonsense")


def test_a_task_that_is_handed_out_again_finds_the_execution_it_started(door: Nested, machine: str) -> None:
    def start(origin: str) -> str:
        asked = door.start(
            state_machine_arn=machine, name="x", input_text='{"a": 1}', origin=origin, awaited=True
        )
        return asked.result(WAITS_S).arn

    once = start("task:1")
    door.when_ended(once).result(WAITS_S)
    described = door.describe(once)

    assert start("task:1") == once
    assert (described["status"], described["output"]) == ("SUCCEEDED", '{"a": 1}')
    with pytest.raises(NestedRefused, match=f"Execution Already Exists: '{once}'") as taken:
        start("task:2")
    assert taken.value.code == "ExecutionAlreadyExists"


def test_an_express_execution_that_is_waited_for_can_be_found(api: Served, door: Nested) -> None:
    machine = api.machine(single(PASS), type="EXPRESS")

    def start() -> str:
        asked = door.start(state_machine_arn=machine, name="e", input_text="7", origin="task:4", awaited=True)
        return asked.result(WAITS_S).arn

    arn = start()
    door.when_ended(arn).result(WAITS_S)
    described = door.describe(arn)

    assert start() == arn
    assert ":express:" in arn
    assert (described["status"], described["output"]) == ("SUCCEEDED", "7")


def test_what_the_api_would_refuse_is_refused(door: Nested, machine: str) -> None:
    missing = f"{machine.replace(':stateMachine:', ':execution:')}:none"

    with pytest.raises(NestedRefused, match="InvalidExecutionInput"):
        door.start(state_machine_arn=machine, name="y", input_text="{", origin="task:3", awaited=False)
    for ask in (door.describe, door.when_ended, door.stop):
        with pytest.raises(NestedRefused, match="ExecutionDoesNotExist"):
            ask(missing)


def test_the_api_of_the_service_itself_is_reached_on_behalf_of_an_account(api: Served) -> None:
    access = OwnApi(api.url, "us-east-1", token=None).of("222222222222")
    made = access.client("stepfunctions").create_activity(name="a")

    assert made["activityArn"] == "arn:aws:states:us-east-1:222222222222:activity:a"
