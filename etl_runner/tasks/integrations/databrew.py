"""`databrew:startJobRun`: a run of an AWS Glue DataBrew job."""

from etl_runner.tasks.aws_jobs import Job
from etl_runner.tasks.aws_optimised import JOB, Action, Optimised, Service
from etl_runner.tasks.integration import Integration

INTEGRATION: Integration = Optimised(
    Service(name="databrew", boto3_name="databrew", title="GlueDataBrew", long_title="AWSGlueDataBrew"),
    "Start a run of an AWS Glue DataBrew job; .sync waits for its end",
    Action(
        name="startJobRun",
        forms=JOB,
        job=Job(
            describe="DescribeJobRun",
            asks=lambda submitted, call: {"Name": call.arguments["Name"], "RunId": submitted["RunId"]},
            status="State",
            done=frozenset({"SUCCEEDED"}),
            failed=frozenset({"FAILED", "STOPPED", "TIMEOUT"}),
            cancel="StopJobRun",
        ),
    ),
)
