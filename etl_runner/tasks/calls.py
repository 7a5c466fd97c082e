"""From an Invocation to a ServiceCall: whose credentials, which region, how long."""

from collections.abc import Callable
from dataclasses import replace
from typing import Final

from etl_runner.arn import DEFAULT_ACCOUNT, DEFAULT_REGION, Arn
from etl_runner.aws import AwsAccess, is_awss_own
from etl_runner.clock import Clock, SystemClock
from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import PAYLOAD_LIMIT_BYTES
from etl_runner.tasks.contract import Invocation
from etl_runner.tasks.integration import PREFIX, ServiceCall
from etl_runner.tasks.nested import NestedExecutions, leads_here
from etl_runner.tasks.roles import RoleSessions, role_of

_OWN_API: Final = f"{PREFIX}aws-sdk:sfn:"
_NESTED: Final = f"{PREFIX}states:"


class CallMaker:
    """Knows what a call of a service needs beside its arguments.

    `account` and `region` are this service's own: executions there call AWS where `aws` says. A call of an
    execution of another region goes to that region. Where a stand-in is in AWS's place, an execution of
    another account calls it with the account's number as its access key id: stand-ins take it for that.
    `limit_bytes` is what a result may have.

    A role of Credentials is assumed before anything is called under it. An execution of this very service
    needs none to be started; `asks_for_roles` says that its trust policy has to allow it all the same.
    """

    def __init__(
        self,
        aws: AwsAccess,
        *,
        account: str = DEFAULT_ACCOUNT,
        region: str = DEFAULT_REGION,
        clock: Clock | None = None,
        limit_bytes: int = PAYLOAD_LIMIT_BYTES,
        asks_for_roles: bool = False,
    ) -> None:
        self.nested: NestedExecutions | None = None
        self.states: Callable[[str], AwsAccess | None] | None = None
        self._aws = aws
        self._account = account
        self._region = region
        self._limit_bytes = limit_bytes
        self._asks_for_roles = asks_for_roles
        self._clock = clock or SystemClock()
        self._roles = RoleSessions(aws)
        self._accounts: dict[str, AwsAccess] = {}

    def make(self, invocation: Invocation) -> ServiceCall:
        """The call for a hand-out. Raises StatesError when its role cannot be assumed."""
        role_arn = role_of(invocation.credentials)
        account, region, machine = self._place(invocation.execution_arn)
        return ServiceCall(
            resource=invocation.resource,
            arguments=invocation.arguments,
            aws=self._access(invocation, account, role_arn),
            idempotency_key=invocation.idempotency_key,
            remaining_s=self._remaining_s(invocation),
            execution_arn=invocation.execution_arn,
            state_machine_arn=machine,
            region=None if region == self._region else region,
            task_token=invocation.task_token,
            role_arn=role_arn,
            own_role_arn=invocation.role_arn,
            limit_bytes=self._limit_bytes,
            nested=self.nested,
        )

    def close(self) -> None:
        """Let go of the clients made here."""
        self._roles.close()
        for access in self._accounts.values():
            access.close()

    def _access(self, invocation: Invocation, account: str, role_arn: str | None) -> AwsAccess:
        if invocation.resource.startswith(_OWN_API) and self.states is not None:
            own = self.states(account)
            if own is not None:
                return own
        if role_arn is not None and (self._asks_for_roles or not self._stays_here(invocation)):
            return self._roles.access(role_arn, invocation.execution_arn)
        if account == self._account or not self._has_stand_in():
            return self._aws
        found = self._accounts.get(account)
        if found is None:
            found = self._accounts[account] = replace(
                self._aws,
                access_key_id=account,
                secret_access_key=self._aws.secret_access_key or account,
                session_token=None,
            )
        return found

    def _stays_here(self, invocation: Invocation) -> bool:
        """Whether a task starts an execution of this service."""
        if self.nested is None or not invocation.resource.startswith(_NESTED):
            return False
        given = invocation.arguments
        arn = given.get("StateMachineArn") if isinstance(given, dict) else None
        return isinstance(arn, str) and leads_here(self.nested, invocation.execution_arn, arn)

    def _has_stand_in(self) -> bool:
        """Whether something else is in AWS's place, by the settings or by the SDK's own variables."""
        return not is_awss_own(self._aws.client("sts").meta.endpoint_url)

    def _place(self, execution_arn: str) -> tuple[str, str, str]:
        """Account, region and state machine of an execution."""
        try:
            arn = Arn.parse(execution_arn)
        except InvalidInput:
            return self._account, self._region, ""
        name = arn.resource.split(":")[1].partition("/")[0] if ":" in arn.resource else arn.resource
        return arn.account, arn.region, str(replace(arn, resource=f"stateMachine:{name}"))

    def _remaining_s(self, invocation: Invocation) -> float | None:
        if invocation.deadline_ms is None:
            return None
        return (invocation.deadline_ms - self._clock.now_ms()) / 1000
