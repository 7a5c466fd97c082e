"""`sagemaker:*`: jobs, models and endpoints of Amazon SageMaker AI."""

from etl_runner.tasks.aws_jobs import Job
from etl_runner.tasks.aws_optimised import JOB, Action, Optimised, Service
from etl_runner.tasks.integration import Integration


def _job(kind: str) -> Action:
    """A job that is made, described and stopped by the name that its maker gave it."""
    name = f"{kind}JobName"
    return Action(
        name=f"create{kind}Job",
        forms=JOB,
        job=Job(
            describe=f"Describe{kind}Job",
            asks=lambda _submitted, call: {name: call.arguments[name]},
            status=f"{kind}JobStatus",
            done=frozenset({"Completed"}),
            failed=frozenset({"Failed", "Stopped"}),
            cancel=f"Stop{kind}Job",
        ),
    )


INTEGRATION: Integration = Optimised(
    Service(name="sagemaker", boto3_name="sagemaker", title="SageMaker", long_title="AmazonSageMaker"),
    "Run jobs of Amazon SageMaker AI and make models and endpoints; .sync waits for a job's end",
    _job("Training"),
    _job("Transform"),
    _job("Processing"),
    Action(
        name="createHyperParameterTuningJob",
        forms=JOB,
        job=Job(
            describe="DescribeHyperParameterTuningJob",
            asks=lambda _submitted, call: {
                "HyperParameterTuningJobName": call.arguments["HyperParameterTuningJobName"]
            },
            status="HyperParameterTuningJobStatus",
            done=frozenset({"Completed"}),
            failed=frozenset({"Failed", "Stopped"}),
            cancel="StopHyperParameterTuningJob",
        ),
    ),
    Action(
        name="createLabelingJob",
        forms=JOB,
        job=Job(
            describe="DescribeLabelingJob",
            asks=lambda _submitted, call: {"LabelingJobName": call.arguments["LabelingJobName"]},
            status="LabelingJobStatus",
            done=frozenset({"Completed"}),
            failed=frozenset({"Failed", "Stopped"}),
            cancel="StopLabelingJob",
        ),
    ),
    Action(name="createModel"),
    Action(name="createEndpointConfig"),
    Action(name="createEndpoint"),
    Action(name="updateEndpoint"),
)
