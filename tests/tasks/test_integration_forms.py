"""The forms of a resource: callbacks, jobs and their ends, executions of this service, roles."""

import json
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from typing import Any

import pytest

from etl_runner.aws import AwsAccess
from etl_runner.errors import StatesError
from etl_runner.jsontypes import Json, loads
from etl_runner.tasks.calls import CallMaker
from etl_runner.tasks.contract import Failed, Invocation, Pending, Succeeded
from etl_runner.tasks.integration import (
    CALLBACK,
    PLAIN,
    PREFIX,
    SYNC,
    SYNC2,
    ServiceCall,
    split_form,
)
from etl_runner.tasks.nested import NestedRefused, NestedStarted
from etl_runner.tasks.router import TaskRouter
from etl_runner.tasks.services import PollPace, Services
from tests.conftest import access_to
from tests.tasks.collector import Collector, invoke

JOB = f"{PREFIX}job:run.sync"
QUICK = PollPace(first_s=0.01, most_s=0.02)
MACHINE = "arn:aws:states:us-east-1:123456789012:stateMachine:child"
EXECUTION = "arn:aws:states:us-east-1:123456789012:execution:child:"


@pytest.mark.parametrize(
    ("resource", "base", "form"),
    [
        ("arn:aws:states:::sqs:sendMessage", "arn:aws:states:::sqs:sendMessage", PLAIN),
        ("arn:aws:states:::batch:submitJob.sync", "arn:aws:states:::batch:submitJob", SYNC),
        (
            "arn:aws:states:::states:startExecution.sync:2",
            "arn:aws:states:::states:startExecution",
            SYNC2,
        ),
        ("arn:aws:states:::lambda:invoke.waitForTaskToken", "arn:aws:states:::lambda:invoke", CALLBACK),
        ("arn:aws:lambda:us-east-1:1:function:f:2", "arn:aws:lambda:us-east-1:1:function:f:2", PLAIN),
    ],
)
def test_a_resource_is_taken_apart(resource: str, base: str, form: str) -> None:
    assert split_form(resource) == (base, form)


# ------------------------------------------------------------------------------------------------- jobs


class Jobs:
    """An integration with one job, which is whatever a test makes of it."""

    name = "job"
    summary = "runs a job"
    pattern = "job:run"
    examples: tuple[str, ...] = (JOB,)

    def __init__(self) -> None:
        self.started: list[str] = []
        self.asked = 0
        self.stopped = threading.Event()
        self.begin: Callable[[], Json] = lambda: {"Id": "1"}
        self.poll_: Callable[[], Json | None] = lambda: {"Done": True}
        self.ended: Future[object] | None = None

    def claims(self, resource: str) -> bool:
        return resource.startswith(f"{PREFIX}job:")

    def accepts(self, resource: str) -> str | None:
        return None if self.claims(resource) else resource

    def check_arguments(self, resource: str, template: Json) -> list[str]:
        return [resource] if template else []

    def call(self, call: ServiceCall) -> Json:
        self.started.append(call.idempotency_key)
        return self.begin()

    def jobs(self, resource: str) -> "Jobs":
        assert self.claims(resource)
        return self

    def poll(self, call: ServiceCall, submitted: Json) -> Json | None:
        assert (call.form, submitted) == (SYNC, {"Id": "1"})
        self.asked += 1
        return self.poll_()

    def stop(self, call: ServiceCall, submitted: Json) -> None:
        assert (call.form, submitted) == (SYNC, {"Id": "1"})
        self.stopped.set()

    def when_ended(self, call: ServiceCall, submitted: Json) -> Future[object] | None:
        assert (call.form, submitted) == (SYNC, {"Id": "1"})
        return self.ended


@pytest.fixture
def job() -> Jobs:
    return Jobs()


@pytest.fixture
def runner(job: Jobs) -> Iterator[Services]:
    made = Services(AwsAccess(), found=[job], pace=QUICK)
    yield made
    made.close(10)


def second(sink: Collector, token: str) -> Any:
    """What follows a Pending."""
    with sink.changed:
        assert sink.changed.wait_for(lambda: len(sink.outcomes.get(token, ())) > 1, 60)
        return sink.outcomes[token][1]


def test_a_job_is_submitted_then_asked_after_until_it_ends(
    runner: Services, job: Jobs, sink: Collector
) -> None:
    job.poll_ = lambda: {"Done": True} if job.asked == 3 else None
    router = TaskRouter([runner])
    router.start(task := invoke({}, resource=JOB), sink)

    assert second(sink, task.token) == Succeeded(token=task.token, output={"Done": True})
    assert sink.outcomes[task.token][0] == Pending(token=task.token, output={"Id": "1"}, continues=True)
    assert (job.asked, len(job.started)) == (3, 1)
    router.close(10)


def test_a_job_that_failed_fails_its_task(runner: Services, job: Jobs, sink: Collector) -> None:
    def fail() -> Json:
        raise StatesError("States.TaskFailed", '{"Status":"FAILED"}')

    job.poll_ = fail
    runner.start(task := invoke({}, resource=JOB), sink)

    assert second(sink, task.token) == Failed(
        token=task.token, error="States.TaskFailed", cause='{"Status":"FAILED"}'
    )


def test_a_job_that_could_not_be_asked_after_is_asked_again(
    runner: Services, job: Jobs, sink: Collector
) -> None:
    def stumble() -> Json:
        if job.asked < 3:
            raise ConnectionError("no answer")
        return {"Done": True}

    job.poll_ = stumble
    runner.start(task := invoke({}, resource=JOB), sink)

    assert second(sink, task.token).output == {"Done": True}


def test_a_job_that_was_submitted_before_is_not_started_again(
    runner: Services, job: Jobs, sink: Collector
) -> None:
    runner.start(task := invoke({}, resource=JOB, submitted={"Id": "1"}), sink)

    assert sink.succeeded(task.token).output == {"Done": True}
    assert job.started == []


def test_a_job_whose_end_is_told_is_asked_once(runner: Services, job: Jobs, sink: Collector) -> None:
    job.ended = Future()
    runner.start(task := invoke({}, resource=JOB), sink)
    assert isinstance(sink.wait(task.token), Pending)
    job.ended.set_result(None)

    assert second(sink, task.token).output == {"Done": True}
    assert job.asked == 1


def test_a_cancelled_task_ends_its_job_and_tells_nothing(
    runner: Services, job: Jobs, sink: Collector
) -> None:
    job.poll_ = lambda: None
    runner.start(task := invoke({}, resource=JOB), sink)
    assert isinstance(sink.wait(task.token), Pending)
    runner.cancel(task.token)

    assert job.stopped.wait(60)
    assert len(sink.outcomes[task.token]) == 1


def test_a_task_that_is_cancelled_while_its_job_is_being_submitted_ends_the_job_too(
    runner: Services, job: Jobs, sink: Collector
) -> None:
    task = invoke({}, resource=JOB)

    def begin() -> Json:
        runner.cancel(task.token)
        return {"Id": "1"}

    job.begin = begin
    runner.start(task, sink)

    assert job.stopped.wait(60)
    assert sink.outcomes == {}


def test_the_end_of_the_service_leaves_jobs_running(job: Jobs, sink: Collector) -> None:
    services = Services(AwsAccess(), found=[job], pace=QUICK)
    job.poll_ = lambda: None
    services.start(task := invoke({}, resource=JOB), sink)
    assert isinstance(sink.wait(task.token), Pending)
    services.close(10)

    assert not job.stopped.is_set()


def test_a_callback_is_pending_and_nobody_asks(runner: Services, job: Jobs, sink: Collector) -> None:
    task = invoke({}, resource=f"{PREFIX}job:run.waitForTaskToken", task_token="t")
    runner.start(task, sink)

    assert sink.wait(task.token) == Pending(token=task.token, output={"Id": "1"})
    assert job.asked == 0


# ------------------------------------------------------------------------- executions of this service


class Door:
    """Executions of this service, kept in a dict."""

    def __init__(self) -> None:
        self.started: dict[str, dict[str, Any]] = {}
        self.origins: list[str] = []
        self.ended: dict[str, Future[object]] = {}
        self.stopped: list[str] = []
        self.awaited: list[str] = []
        self.result: dict[str, Any] = {"status": "SUCCEEDED", "output": '{"a":1}'}

    def knows(self, state_machine_arn: str) -> bool:
        return state_machine_arn.startswith(MACHINE)

    def start(
        self, *, state_machine_arn: str, name: str, input_text: str, origin: str, awaited: bool
    ) -> Future[NestedStarted]:
        done: Future[NestedStarted] = Future()
        arn = EXECUTION + name
        self.awaited += [arn] if awaited else []
        if not self.knows(state_machine_arn):
            message = f"State Machine Does Not Exist: '{state_machine_arn}'"
            raise NestedRefused("StateMachineDoesNotExist", message)
        if arn in self.started and origin not in self.origins:
            fault = NestedRefused("ExecutionAlreadyExists", f"Execution Already Exists: '{arn}'")
            done.set_exception(fault)
            return done
        self.origins.append(origin)
        self.started[arn] = {"input": input_text, "name": name, "stateMachineArn": state_machine_arn}
        self.ended.setdefault(arn, Future())
        done.set_result(NestedStarted(arn=arn, started_ms=1_713_421_621_123))
        return done

    def describe(self, execution_arn: str) -> dict[str, Json]:
        return {
            "executionArn": execution_arn,
            **self.started[execution_arn],
            "inputDetails": {"included": True},
            "startDate": 1_713_421_621.123,
            "stopDate": 1_713_421_622.0,
            "redriveCount": 0,
            "redriveStatus": "NOT_REDRIVABLE",
            **self.result,
        }

    def when_ended(self, execution_arn: str) -> Future[object]:
        return self.ended[execution_arn]

    def stop(self, execution_arn: str, *, error: str | None = None, cause: str | None = None) -> None:
        assert (error, cause) == (None, None)
        self.stopped.append(execution_arn)
        self.ended[execution_arn].set_result(None)


@pytest.fixture
def door() -> Door:
    return Door()


@pytest.fixture
def nesting(door: Door) -> Iterator[Services]:
    made = Services(access_to("http://127.0.0.1:1"), pace=QUICK)
    made.use_nested(door)
    yield made
    made.close(10)


def child(form: str = "", **more: Any) -> Invocation:
    given = {"StateMachineArn": MACHINE, **more.pop("given", {})}
    return invoke(given, resource=f"{PREFIX}states:startExecution{form}", **more)


def test_an_execution_is_started_here_and_told_with_metadata(
    nesting: Services, door: Door, sink: Collector
) -> None:
    nesting.start(task := child(given={"Name": "n", "Input": {"a": 1}}), sink)
    told = sink.succeeded(task.token).output

    assert told["ExecutionArn"] == f"{EXECUTION}n"
    assert told["StartDate"] == 1_713_421_621_123
    assert door.started[f"{EXECUTION}n"]["input"] == '{"a":1}'
    body = f'{{"executionArn":"{EXECUTION}n","startDate":1.713421621123E9}}'
    assert told["SdkHttpMetadata"]["HttpHeaders"]["Content-Length"] == str(len(body))
    assert told["SdkHttpMetadata"]["HttpHeaders"]["x-amzn-RequestId"]


ELSEWHERE = "arn:aws:states:us-east-1:999988887777:execution:m:e"


@pytest.mark.parametrize("role", [None, "arn:aws:iam::999988887777:role/theirs"])
def test_what_another_account_has_is_not_started(
    nesting: Services, door: Door, sink: Collector, role: str | None
) -> None:
    credentials = None if role is None else {"RoleArn": role}
    own = "arn:aws:iam::999988887777:role/service/own"
    task = child(execution_arn=ELSEWHERE, credentials=credentials, role_arn=own)
    nesting.start(task, sink)
    failed = sink.failed(task.token)
    user = f"arn:aws:sts::999988887777:assumed-role/{'own' if role is None else 'theirs'}/e"

    assert (failed.error, door.started) == ("StepFunctions.AWSStepFunctionsException", {})
    assert failed.cause.startswith(
        f"User: {user} is not authorized to perform: states:StartExecution on resource: {MACHINE} because no "
        "resource-based policy allows the states:StartExecution action (Service: AWSStepFunctions; Status "
        "Code: 400; Error Code: AccessDeniedException; Request ID: "
    )


def test_what_another_account_has_is_started_under_a_role_of_it(
    nesting: Services, door: Door, sink: Collector
) -> None:
    credentials = {"RoleArn": "arn:aws:iam::123456789012:role/trusting"}
    nesting.start(task := child(execution_arn=ELSEWHERE, credentials=credentials), sink)

    assert sink.succeeded(task.token).output["ExecutionArn"] in door.started


def test_where_roles_are_asked_for_one_that_cannot_be_assumed_starts_nothing(
    door: Door, sink: Collector
) -> None:
    nowhere = access_to("http://127.0.0.1:1")
    services = Services(nowhere, calls=CallMaker(nowhere, asks_for_roles=True))
    services.use_nested(door)
    credentials = {"RoleArn": "arn:aws:iam::123456789012:role/trusting"}
    services.start(task := child(execution_arn=ELSEWHERE, credentials=credentials), sink)
    failed = sink.failed(task.token)
    services.close(10)

    assert (failed.error, door.started) == ("States.Permissions", {})


def test_a_name_that_was_not_given_is_the_same_for_a_second_hand_out(
    nesting: Services, door: Door, sink: Collector
) -> None:
    arns = []
    for key in ("first", "first", "second"):
        nesting.start(task := child(idempotency_key=key), sink)
        arns.append(sink.succeeded(task.token).output["ExecutionArn"])

    assert arns[0] == arns[1] != arns[2]
    assert len(door.started) == 2


@pytest.mark.parametrize(("form", "shown"), [(SYNC, '{"a":1}'), (SYNC2, {"a": 1})])
def test_the_end_of_an_execution_is_the_result_of_sync(
    nesting: Services, door: Door, sink: Collector, form: str, shown: Json
) -> None:
    nesting.start(task := child(form, given={"Name": "n", "Input": {"b": 2}}), sink)
    assert isinstance(sink.wait(task.token), Pending)
    door.ended[f"{EXECUTION}n"].set_result(None)
    told = second(sink, task.token).output

    assert told["Output"] == shown
    assert list(told) == [
        "ExecutionArn", "Input", "InputDetails", "Name", "Output", "StartDate", "StateMachineArn", "Status",
        "StopDate",
    ]  # fmt: skip
    assert told["InputDetails"] == {"Included": True}
    assert told["StopDate"] == 1_713_421_622_000


def test_an_execution_that_failed_fails_its_task_with_its_description(
    nesting: Services, door: Door, sink: Collector
) -> None:
    door.result = {"status": "FAILED", "error": "Oops", "cause": "because"}
    nesting.start(task := child(SYNC, given={"Name": "n"}), sink)
    assert isinstance(sink.wait(task.token), Pending)
    door.ended[f"{EXECUTION}n"].set_result(None)
    failed = second(sink, task.token)

    assert failed.error == "States.TaskFailed"
    cause = loads(failed.cause)
    assert (cause["Error"], cause["Cause"], cause["Status"]) == ("Oops", "because", "FAILED")


def test_a_name_that_is_taken_is_refused_in_awss_words(
    nesting: Services, door: Door, sink: Collector
) -> None:
    nesting.start(first := child(given={"Name": "n"}), sink)
    sink.succeeded(first.token)
    nesting.start(task := child(given={"Name": "n"}), sink)
    failed = sink.failed(task.token)

    assert failed.error == "StepFunctions.ExecutionAlreadyExistsException"
    assert failed.cause.startswith(
        f"Execution Already Exists: '{EXECUTION}n' (Service: AWSStepFunctions; Status Code: 400; "
        "Error Code: ExecutionAlreadyExists; Request ID: "
    )


def test_a_state_machine_that_is_not_where_it_should_be_does_not_exist(
    nesting: Services, sink: Collector
) -> None:
    nesting.start(task := child(given={"StateMachineArn": MACHINE.replace("child", "other")}), sink)
    failed = sink.failed(task.token)

    assert failed.error == "StepFunctions.StateMachineDoesNotExistException"
    assert failed.cause.startswith("State Machine Does Not Exist: 'arn:aws:states:us-east-1:123456789012:")


def test_stopping_the_task_stops_the_execution(nesting: Services, door: Door, sink: Collector) -> None:
    nesting.start(task := child(SYNC, given={"Name": "n"}), sink)
    assert isinstance(sink.wait(task.token), Pending)
    assert door.awaited == [f"{EXECUTION}n"]
    nesting.cancel(task.token)

    door.ended[f"{EXECUTION}n"].result(60)
    assert door.stopped == [f"{EXECUTION}n"]


def test_an_execution_of_aws_is_started_and_awaited_over_the_api(aws: AwsAccess, sink: Collector) -> None:
    definition = json.dumps({"StartAt": "A", "States": {"A": {"Type": "Succeed"}}})
    client = aws.client("stepfunctions")
    role = "arn:aws:iam::123456789012:role/r"
    arn = client.create_state_machine(name="far", definition=definition, roleArn=role)["stateMachineArn"]
    services = Services(aws, pace=QUICK)
    services.use_nested(Door())
    here = "arn:aws:states:us-east-1:999988887777:execution:m:e"
    given = {"StateMachineArn": arn, "Name": "n"}
    services.start(task := child(SYNC, given=given, execution_arn=here), sink)
    assert isinstance(sink.wait(task.token), Pending)
    running = client.list_executions(stateMachineArn=arn)["executions"]
    client.stop_execution(executionArn=running[0]["executionArn"])
    failed = second(sink, task.token)
    services.close(10)

    assert failed.error == "States.TaskFailed"
    assert loads(failed.cause)["Status"] == "ABORTED"


# ------------------------------------------------------------------------------- jobs of real services


def test_a_query_of_athena_runs_to_its_end(aws: AwsAccess, sink: Collector) -> None:
    services = Services(aws, pace=QUICK)
    given = {"QueryString": "SELECT 1", "ResultConfiguration": {"OutputLocation": "s3://b/"}}
    services.start(task := invoke(given, resource=f"{PREFIX}athena:startQueryExecution.sync"), sink)
    told = second(sink, task.token).output["QueryExecution"]
    services.close(10)

    submitted = sink.outcomes[task.token][0]
    assert isinstance(submitted, Pending)
    assert told["QueryExecutionId"] == submitted.output["QueryExecutionId"]
    assert told["Status"]["State"] == "SUCCEEDED"
    assert isinstance(told["Status"]["SubmissionDateTime"], int)


def test_a_run_of_glue_is_described_as_the_job_run_that_it_is(aws: AwsAccess, sink: Collector) -> None:
    glue = aws.client("glue")
    command = {"Name": "glueetl", "ScriptLocation": "s3://b/k"}
    glue.create_job(Name="j", Role="r", Command=command)
    services = Services(aws, pace=QUICK)
    services.start(task := invoke({"JobName": "j"}, resource=f"{PREFIX}glue:startJobRun.sync"), sink)
    told = second(sink, task.token)
    services.close(10)

    assert told.output["JobRunState"] == "SUCCEEDED"
    assert told.output["JobName"] == "j"


def test_a_training_job_is_described_by_the_name_it_was_given(aws: AwsAccess, sink: Collector) -> None:
    services = Services(aws, pace=QUICK)
    given = {
        "TrainingJobName": "train",
        "AlgorithmSpecification": {"TrainingImage": "i", "TrainingInputMode": "File"},
        "OutputDataConfig": {"S3OutputPath": "s3://b/o"},
        "ResourceConfig": {"InstanceCount": 1, "InstanceType": "ml.m5.large", "VolumeSizeInGB": 1},
        "RoleArn": "arn:aws:iam::123456789012:role/sagemaker-role",
        "StoppingCondition": {"MaxRuntimeInSeconds": 60},
    }
    services.start(task := invoke(given, resource=f"{PREFIX}sagemaker:createTrainingJob.sync"), sink)
    told = second(sink, task.token)
    services.close(10)

    assert told.output["TrainingJobStatus"] == "Completed"


def test_a_build_runs_to_its_end(aws: AwsAccess, sink: Collector) -> None:
    aws.client("codebuild").create_project(
        name="project",
        source={"type": "S3", "location": "b/k"},
        artifacts={"type": "NO_ARTIFACTS"},
        environment={"type": "LINUX_CONTAINER", "image": "i", "computeType": "BUILD_GENERAL1_SMALL"},
        serviceRole="arn:aws:iam::123456789012:role/service-role/r",
    )
    services = Services(aws, pace=QUICK)
    resource = f"{PREFIX}codebuild:startBuild.sync"
    services.start(task := invoke({"ProjectName": "project"}, resource=resource), sink)
    told = second(sink, task.token)
    services.close(10)

    assert told.output["Build"]["BuildStatus"] == "SUCCEEDED"


def test_a_cluster_of_emr_gets_a_step(aws: AwsAccess, sink: Collector) -> None:
    services = Services(aws, pace=QUICK)
    cluster = {
        "Name": "c",
        "Instances": {"MasterInstanceType": "m5.xlarge", "KeepJobFlowAliveWhenNoSteps": True},
        "JobFlowRole": "r",
        "ServiceRole": "r",
    }
    services.start(made := invoke(cluster, resource=f"{PREFIX}elasticmapreduce:createCluster.sync"), sink)
    found = second(sink, made.token).output["Cluster"]["Id"]
    step = {"Name": "s", "ActionOnFailure": "CONTINUE", "HadoopJarStep": {"Jar": "j"}}
    given = {"ClusterId": found, "Step": step}
    services.start(task := invoke(given, resource=f"{PREFIX}elasticmapreduce:addStep"), sink)
    added = sink.succeeded(task.token).output
    services.close(10)

    steps = aws.client("emr").list_steps(ClusterId=found)["Steps"]
    assert [each["Id"] for each in steps] == [added["StepId"]]


# ------------------------------------------------------------------------------------- roles, places


def test_a_task_with_credentials_calls_under_the_role(aws: AwsAccess, sink: Collector) -> None:
    services = Services(aws)
    role = "arn:aws:iam::444455556666:role/other"
    resource = f"{PREFIX}aws-sdk:sts:getCallerIdentity"
    services.start(task := invoke({}, resource=resource, credentials={"RoleArn": role}), sink)
    told = sink.succeeded(task.token).output
    services.start(again := invoke({}, resource=resource, credentials={"RoleArn": role}), sink)
    sink.succeeded(again.token)
    services.close(10)

    assert told["Account"] == "444455556666"
    assert told["Arn"].startswith("arn:aws:sts::444455556666:assumed-role/other/etl-runner-e")


@pytest.mark.parametrize("credentials", [{}, {"RoleArn": 1}, "role"])
def test_credentials_without_a_role_are_refused(sink: Collector, credentials: Json) -> None:
    services = Services(access_to("http://127.0.0.1:1"))
    resource = f"{PREFIX}aws-sdk:sts:getCallerIdentity"
    services.start(task := invoke({}, resource=resource, credentials=credentials), sink)
    failed = sink.failed(task.token)
    services.close(10)

    assert (failed.error, failed.cause) == (
        "States.Runtime",
        "Credentials needs the field RoleArn with the ARN of a role",
    )


def test_a_role_that_cannot_be_assumed_is_a_lack_of_permissions(sink: Collector) -> None:
    services = Services(access_to("http://127.0.0.1:1"))
    role = {"RoleArn": "arn:aws:iam::1:role/r"}
    resource = f"{PREFIX}aws-sdk:sts:getCallerIdentity"
    services.start(task := invoke({}, resource=resource, credentials=role), sink)
    failed = sink.failed(task.token)
    services.close(10)

    assert failed.error == "States.Permissions"


def test_a_call_goes_to_the_region_and_the_account_of_its_execution(aws: AwsAccess) -> None:
    calls = CallMaker(aws)
    here = calls.make(invoke())
    far = "arn:aws:states:eu-west-1:999988887777:execution:m/label:e"
    there = calls.make(invoke(execution_arn=far))

    assert (here.region, here.aws) == (None, aws)
    assert (there.region, there.aws.access_key_id) == ("eu-west-1", "999988887777")
    assert there.state_machine_arn == "arn:aws:states:eu-west-1:999988887777:stateMachine:m"
    assert here.client("sqs").meta.region_name == "us-east-1"
    assert there.client("sqs").meta.region_name == "eu-west-1"
    calls.close()


def test_calls_of_the_sfn_api_go_to_this_service(sink: Collector) -> None:
    own = access_to("http://127.0.0.1:2")
    calls = CallMaker(access_to("http://127.0.0.1:1"))
    calls.states = lambda account: own if account == "123456789012" else None
    resource = f"{PREFIX}aws-sdk:sfn:sendTaskSuccess"

    assert calls.make(invoke(resource=resource)).aws is own
    assert calls.make(invoke(resource=f"{PREFIX}aws-sdk:sqs:sendMessage")).aws is not own
