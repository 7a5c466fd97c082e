"""`mediaconvert:createJob`: a job of AWS Elemental MediaConvert."""

from etl_runner.tasks.aws_jobs import Job
from etl_runner.tasks.aws_optimised import JOB, Action, Optimised, Service
from etl_runner.tasks.integration import Integration

INTEGRATION: Integration = Optimised(
    Service(
        name="mediaconvert",
        boto3_name="mediaconvert",
        title="MediaConvert",
        long_title="AWSMediaConvert",
    ),
    "Make a job of AWS Elemental MediaConvert; .sync waits for its end",
    Action(
        name="createJob",
        forms=JOB,
        job=Job(
            describe="GetJob",
            asks=lambda submitted, _call: {"Id": submitted["Job"]["Id"]},
            status="Job.Status",
            done=frozenset({"COMPLETE"}),
            failed=frozenset({"ERROR", "CANCELED"}),
            cancel="CancelJob",
        ),
    ),
)
