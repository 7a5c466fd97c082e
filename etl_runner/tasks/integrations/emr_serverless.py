"""`emr-serverless:*`: applications and jobs of Amazon EMR Serverless."""

from etl_runner.tasks.aws_jobs import Job, given
from etl_runner.tasks.aws_optimised import JOB, Action, Optimised, Service
from etl_runner.tasks.integration import Integration, ServiceCall


def _application(_submitted: object, call: ServiceCall) -> dict[str, object]:
    return {"applicationId": call.arguments["ApplicationId"]}


def _run(_submitted: object, call: ServiceCall) -> dict[str, object]:
    return {"applicationId": call.arguments["ApplicationId"], "jobRunId": call.arguments["JobRunId"]}


def _until(*states: str) -> Job:
    return Job(
        describe="GetApplication",
        asks=_application,
        status="application.state",
        done=frozenset(states),
        failed=frozenset({"TERMINATED"}) - frozenset(states),
    )


INTEGRATION: Integration = Optimised(
    Service(
        name="emr-serverless",
        boto3_name="emr-serverless",
        title="EMRServerless",
        long_title="AmazonEMRServerless",
    ),
    "Run jobs of Amazon EMR Serverless and look after its applications; .sync waits for each",
    Action(
        name="createApplication",
        forms=JOB,
        job=Job(
            describe="GetApplication",
            asks=given(applicationId="ApplicationId"),
            status="application.state",
            done=frozenset({"CREATED", "STARTED"}),
            failed=frozenset({"TERMINATED"}),
        ),
    ),
    Action(name="startApplication", forms=JOB, job=_until("STARTED")),
    Action(name="stopApplication", forms=JOB, job=_until("STOPPED")),
    Action(name="deleteApplication", forms=JOB, job=_until("TERMINATED")),
    Action(
        name="startJobRun",
        forms=JOB,
        job=Job(
            describe="GetJobRun",
            asks=given(applicationId="ApplicationId", jobRunId="JobRunId"),
            status="jobRun.state",
            done=frozenset({"SUCCESS"}),
            failed=frozenset({"FAILED", "CANCELLED"}),
            cancel="CancelJobRun",
        ),
    ),
    Action(
        name="cancelJobRun",
        forms=JOB,
        job=Job(
            describe="GetJobRun",
            asks=_run,
            status="jobRun.state",
            done=frozenset({"CANCELLED", "SUCCESS", "FAILED"}),
        ),
    ),
)
