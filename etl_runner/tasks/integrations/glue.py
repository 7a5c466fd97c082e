"""`glue:startJobRun`: a run of an AWS Glue job."""

from etl_runner.tasks.aws_jobs import Job
from etl_runner.tasks.aws_optimised import JOB, Action, Optimised, Service
from etl_runner.tasks.integration import Integration

INTEGRATION: Integration = Optimised(
    Service(name="glue", boto3_name="glue", title="Glue", long_title="AWSGlue"),
    "Start a run of an AWS Glue job; .sync waits for its end",
    Action(
        name="startJobRun",
        forms=JOB,
        job=Job(
            describe="GetJobRun",
            asks=lambda submitted, call: {
                "JobName": call.arguments["JobName"],
                "RunId": submitted["JobRunId"],
            },
            status="JobRun.JobRunState",
            shown="JobRun",
            done=frozenset({"SUCCEEDED"}),
            failed=frozenset({"FAILED", "STOPPED", "TIMEOUT", "ERROR", "EXPIRED"}),
            cancel="BatchStopJobRun",
            cancels=lambda submitted, call: {
                "JobName": call.arguments["JobName"],
                "JobRunIds": [submitted["JobRunId"]],
            },
        ),
    ),
)
