"""`athena:startQueryExecution` and what belongs to it."""

from etl_runner.tasks.aws_jobs import Job, given
from etl_runner.tasks.aws_optimised import JOB, Action, Optimised, Service
from etl_runner.tasks.integration import Integration

INTEGRATION: Integration = Optimised(
    Service(name="athena", boto3_name="athena", title="Athena", long_title="AmazonAthena"),
    "Run a query of Amazon Athena and read its results; .sync waits for the query's end",
    Action(
        name="startQueryExecution",
        forms=JOB,
        job=Job(
            describe="GetQueryExecution",
            asks=given(QueryExecutionId="QueryExecutionId"),
            status="QueryExecution.Status.State",
            done=frozenset({"SUCCEEDED"}),
            failed=frozenset({"FAILED", "CANCELLED"}),
            cancel="StopQueryExecution",
        ),
    ),
    Action(name="stopQueryExecution"),
    Action(name="getQueryExecution"),
    Action(name="getQueryResults"),
)
