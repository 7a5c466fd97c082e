"""What makes a job that is asked for twice one job: tokens by which services tell the same request again."""

from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.tasks import integrations
from etl_runner.tasks.aws_optimised import Action, Optimised
from etl_runner.tasks.integration import PREFIX, ServiceCall, scan


def _with_a_token() -> list[Any]:
    """(integration, action, parameter) of all that start jobs and can be told the same request again."""
    found = []
    for service in scan(integrations):
        if isinstance(service, Optimised):
            for action in service.actions.values():
                if action.job is None or action.name == "runJob":
                    continue
                shape = service.service.model.operation_model(action.api_name).input_shape
                names = [name for name in shape.members if name.lower().endswith("token")]
                found += [
                    pytest.param(service, action, name, id=f"{service.name}:{action.name}") for name in names
                ]
    return found


@pytest.mark.parametrize(("service", "action", "parameter"), _with_a_token())
def test_a_job_that_is_handed_out_again_is_the_same_request(
    service: Optimised, action: Action, parameter: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("etl_runner.tasks.aws_optimised.missing_members", lambda *_: [])

    def token(key: str) -> str:
        resource = f"{PREFIX}{service.name}:{action.name}.sync"
        call = ServiceCall(resource=resource, arguments={}, aws=AwsAccess(), idempotency_key=key)
        operation = service.service.model.operation_model(action.api_name)
        action_unprepared = Action(name=action.name, operation=action.operation)
        return str(service._parameters(action_unprepared, operation, call)[parameter])

    assert token("one") == token("one")
    assert token("one") != token("two")
