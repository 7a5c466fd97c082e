"""`codebuild:startBuild`, batches of builds, and what belongs to them."""

from etl_runner.tasks.aws_jobs import Job
from etl_runner.tasks.aws_optimised import JOB, Action, Optimised, Service
from etl_runner.tasks.integration import Integration

_DONE = frozenset({"SUCCEEDED"})
_FAILED = frozenset({"FAILED", "FAULT", "TIMED_OUT", "STOPPED"})
_BATCH = Job(
    describe="BatchGetBuildBatches",
    asks=lambda submitted, _call: {"ids": [submitted["BuildBatch"]["Id"]]},
    status="buildBatches.0.buildBatchStatus",
    shown="buildBatches.0",
    done=_DONE,
    failed=_FAILED,
    result=lambda batch: {"BuildBatch": batch},
    cancel="StopBuildBatch",
    cancels=lambda submitted, _call: {"id": submitted["BuildBatch"]["Id"]},
)

INTEGRATION: Integration = Optimised(
    Service(name="codebuild", boto3_name="codebuild", title="CodeBuild", long_title="AWSCodeBuild"),
    "Start builds of AWS CodeBuild, one or a batch; .sync waits for their end",
    Action(
        name="startBuild",
        forms=JOB,
        job=Job(
            describe="BatchGetBuilds",
            asks=lambda submitted, _call: {"ids": [submitted["Build"]["Id"]]},
            status="builds.0.buildStatus",
            shown="builds.0",
            done=_DONE,
            failed=_FAILED,
            result=lambda build: {"Build": build},
            cancel="StopBuild",
            cancels=lambda submitted, _call: {"id": submitted["Build"]["Id"]},
        ),
    ),
    Action(name="startBuildBatch", forms=JOB, job=_BATCH),
    Action(name="retryBuildBatch", forms=JOB, job=_BATCH),
    Action(name="stopBuild"),
    Action(name="stopBuildBatch"),
    Action(name="deleteBuildBatch"),
    Action(name="batchDeleteBuilds"),
    Action(name="batchGetReports"),
)
