"""`batch:submitJob`: a job of AWS Batch."""

from etl_runner.tasks.aws_jobs import Job
from etl_runner.tasks.aws_optimised import ALL_FORMS, Action, Optimised, Service
from etl_runner.tasks.integration import Integration

INTEGRATION: Integration = Optimised(
    Service(name="batch", boto3_name="batch", title="Batch", long_title="AWSBatch"),
    "Submit a job to AWS Batch; .sync waits for its end",
    Action(
        name="submitJob",
        forms=ALL_FORMS,
        job=Job(
            describe="DescribeJobs",
            asks=lambda submitted, _call: {"jobs": [submitted["JobId"]]},
            status="jobs.0.status",
            shown="jobs.0",
            done=frozenset({"SUCCEEDED"}),
            failed=frozenset({"FAILED"}),
            cancel="TerminateJob",
            cancels=lambda submitted, _call: {
                "jobId": submitted["JobId"],
                "reason": "The state that submitted the job was stopped or timed out",
            },
        ),
    ),
)
