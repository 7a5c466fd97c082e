"""Express executions over Step Functions' API."""

from collections.abc import Iterator

import pytest

from tests.api.sfn_stage import Served, refusal, serving, told
from tests.engine.harness import PASS, single

FAIL = single({"Type": "Fail", "Error": "Broken", "Cause": "on purpose"})


@pytest.fixture(scope="module")
def api(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    with serving(tmp_path_factory.mktemp("express")) as served:
        yield served


def test_a_synchronous_execution_is_answered_with_what_became_of_it(api: Served) -> None:
    machine = api.machine(single(PASS), type="EXPRESS")
    answer = told(api.sfn.start_sync_execution(stateMachineArn=machine, name="x", input='{"a": 1}'))
    kind, _, name, _ = answer["executionArn"].split(":")[5:]

    assert (kind, name, answer["name"], answer["status"]) == ("express", "x", "x", "SUCCEEDED")
    assert (answer["input"], answer["output"]) == ('{"a": 1}', '{"a": 1}')
    assert answer["inputDetails"] == answer["outputDetails"] == {"included": True}
    assert answer["billingDetails"]["billedMemoryUsedInMB"] == 64
    assert answer["billingDetails"]["billedDurationInMilliseconds"] % 100 == 0
    assert answer["stateMachineArn"] == machine


def test_a_synchronous_execution_that_fails_is_an_answer_too(api: Served) -> None:
    answer = told(api.sfn.start_sync_execution(stateMachineArn=api.machine(FAIL, type="EXPRESS")))

    assert (answer["status"], answer["error"], answer["cause"]) == ("FAILED", "Broken", "on purpose")
    assert "output" not in answer
    assert answer["outputDetails"] == {"included": True}


def test_of_a_synchronous_execution_the_metadata_alone_may_be_asked_for(api: Served) -> None:
    machine = api.machine(single(PASS), type="EXPRESS")
    answer = told(api.sfn.start_sync_execution(stateMachineArn=machine, includedData="METADATA_ONLY"))

    assert answer["inputDetails"] == answer["outputDetails"] == {"included": False}
    assert not {"input", "output"} & set(answer)


def test_a_standard_state_machine_does_not_run_synchronously(api: Served) -> None:
    assert refusal(api.sfn.start_sync_execution, stateMachineArn=api.machine(single(PASS))) == (
        "StateMachineTypeNotSupported",
        "This operation is not supported by this type of state machine",
    )


def test_each_start_of_an_express_state_machine_is_an_execution_of_its_own(api: Served) -> None:
    machine = api.machine(single(PASS), type="EXPRESS")
    once, again = api.start(machine, name="x"), api.start(machine, name="x")

    assert once != again
    assert once.split(":")[5:8] == again.split(":")[5:8] == ["express", machine.rpartition(":")[2], "x"]
