"""`emr-containers:*`: jobs of Amazon EMR on EKS."""

from etl_runner.tasks.aws_jobs import Job, given
from etl_runner.tasks.aws_optimised import JOB, Action, Optimised, Service
from etl_runner.tasks.integration import Integration

INTEGRATION: Integration = Optimised(
    Service(
        name="emr-containers",
        boto3_name="emr-containers",
        title="EMRContainers",
        long_title="AmazonEMRContainers",
    ),
    "Run jobs of Amazon EMR on EKS and make its virtual clusters; .sync waits for their end",
    Action(
        name="startJobRun",
        forms=JOB,
        job=Job(
            describe="DescribeJobRun",
            asks=given(id="Id", virtualClusterId="VirtualClusterId"),
            status="jobRun.state",
            done=frozenset({"COMPLETED"}),
            failed=frozenset({"FAILED", "CANCELLED"}),
            cancel="CancelJobRun",
        ),
    ),
    Action(name="createVirtualCluster"),
    Action(
        name="deleteVirtualCluster",
        forms=JOB,
        job=Job(
            describe="DescribeVirtualCluster",
            asks=given(id="Id"),
            status="virtualCluster.state",
            done=frozenset({"TERMINATED"}),
            failed=frozenset({"ARRESTED"}),
        ),
    ),
)
