"""The definitions of the older sample repositories: examples, EBS, health, image recognition."""

import re
from typing import Any, Final

from tests.samples import functions as does
from tests.samples.model import Bucket, Bus, Machine, Queue, Sample, Table, Topic

Json = Any

EXAMPLES: Final = "aws-stepfunctions-examples__sam-app-"
_SNAPSHOTS: Final = "aws-step-functions-ebs-snapshot-mgmt__"
_IMAGES: Final = "lambda-refarch-imagerecognition__"
_OWNER: Final = "arn:aws:states:us-east-1:123456789012:execution:app:first"
_LOCKED: Final = {"currentlockcount": {"N": "1"}, _OWNER: {"S": "2026-01-31T04:05:06.789Z"}}

_RESCUED: Final = {
    "LFStopInstance": {"Instance": "i-1"},
    "LFCheckInstance": does.not_yet,  # published to ask again after 5 seconds
    "LFDetachVolume": {"Instance": "i-1"},
    "LFCheckVolume": {"Instance": "i-1", "State": "available"},
    "LFRestoreSnapshot": {"Instance": "i-1"},
    "LFAttachVolume": {"Instance": "i-1"},
    "LFCheckVolumeInuse": {"Instance": "i-1"},
    "LFStartInstance": {"Instance": "i-1"},
    "LFSNSNotif": does.echo,
}
_VOLUMES: Final = (
    "aws-health-tools__automated-actions-AWS_EBS_VOLUME_LOST-"
    "aws_ebs_vol_lost_cloudformation__VolLostStateMachine"
)
_QUALITY: Final = {
    "CopyInputFileFunction": "copied",
    "DeequOnLambdaFunction": {"statusCode": 200},
    "AggregateFunction": "aggregated",
}
_METADATA: Final = {
    "ExtractImageMetadataFunction": {"format": "JPEG", "geo": None},
    "TransformMetadataFunction": {"format": "JPEG", "transformed": True},
    "RekognitionFunction": [{"Name": "Cat", "Confidence": 99.5}],
    "GenerateThumbnailFunction": {"thumbnail": "cat-small.jpg"},
    "StoreImageMetadataFunction": {"stored": True},
}
_SHIPPED: Final = {
    "detail-type": "OrderCreated",
    "detail": {
        "order_id": "o-1",
        "customer": {"customer_id": "c-1"},
        "products": [{"product_id": "common"}, {"product_id": "rare"}],
    },
}


def _images(file: str, case: str, form: str, **end: Json) -> Sample:
    functions = _METADATA | {"ExtractImageMetadataFunction": {"format": form}}
    return Sample(file=_IMAGES + file, case=case, functions=functions, input={"s3Key": "cat.jpg"}, **end)


def _image_samples(file: str) -> tuple[Sample, ...]:
    return (
        _images(
            file,
            "",
            "JPEG",
            output={
                "s3Key": "cat.jpg",
                "extractedMetadata": {"transformed": True},
                "parallelResults": [[{"Name": "Cat", "Confidence": 99.5}], {"thumbnail": "cat-small.jpg"}],
                "storeResult": {"stored": True},
            },
        ),
        _images(
            file,
            "no image",
            "TIFF",
            status="FAILED",
            error="FileTypeNotSupported",
            cause="Image type not supported!",
            passes=("ExtractImageMetadata", "ImageTypeCheck", "NotSupportedImageType"),
        ),
    )


SAMPLES: Final = (
    Sample(
        file=_VOLUMES,
        functions=_RESCUED
        | {"FindVol": {"Device": "/dev/xvda"}, "LFFindLatestSnapshot": {"Snapshot": "snap-1"}},
        output={
            "Instance": "i-1",
            "SNS": {
                "Message": (
                    "New volume has been restored from the latest snapshot, and attached to the instance. "
                    "Please double check everything is OK with the instance."
                )
            },
        },
    ),
    Sample(
        file=_VOLUMES,
        case="no snapshot",
        functions=_RESCUED
        | {"FindVol": {"Device": "/dev/xvda"}, "LFFindLatestSnapshot": {"Snapshot": "No Snapshot Found"}},
        status="FAILED",
        cause="No Snapshot Found for the Volume.",
    ),
    Sample(
        file=f"{_SNAPSHOTS}DR_RegionTemplate__SnapshotMgmtStateMachine",
        functions={
            "TagSnapshotCopy": "vol-1",
            "CountSnapshots": {"numSnapshots": 3},
            "DeleteOldSnapshots": {"deleted": 2},
            "NotifyUser": "told",
        },
        input={"detail": {"snapshot_id": "snap-1"}},
        output={"deleted": 2},
        passes=(
            "TagSnapshot",
            "EvaluateContinue",
            "RetrieveNumberOfSnapshots",
            "EvaluateSnapshotDeletion",
            "CleanupSnapshotsPastRetention",
        ),
    ),
    Sample(
        file=f"{_SNAPSHOTS}DR_RegionTemplate__SnapshotMgmtStateMachine",
        case="trouble",
        functions={
            "TagSnapshotCopy": does.fail_any,
            "CountSnapshots": {},
            "DeleteOldSnapshots": {},
            "NotifyUser": does.echo,
        },
        input={"detail": {"snapshot_id": "snap-1"}},
        output={"detail": {"snapshot_id": "snap-1"}, "errorMsg": {"Error": "ValueError", "Cause": str}},
        passes=("TagSnapshot", "NotifyUser"),
    ),
    Sample(
        file=f"{_SNAPSHOTS}PrimaryRegionTemplate__SnapshotMgmtStateMachine",
        functions={
            "TagSnapshots": "vol-1",
            "CountSnapshots": {"numSnapshots": 3},
            "CopySnapshotToDRRegion": {"copied": "snap-2"},
            "DeleteOldSnapshots": {"deleted": 2},
            "NotifyUser": "told",
        },
        input={"detail": {"snapshot_id": "snap-1"}},
        output=[{"copied": "snap-2"}, {"deleted": 2}],
    ),
    Sample(
        file=f"{EXAMPLES}control-concurrency-with-dynamodb-statemachines-dynamodb-semaphore-cleanfromincomplete",
        makes=(
            Table(
                "ParameterInstancePrefix-locktable",
                "LockName",
                ({"LockName": {"S": "ParameterLockName"}} | _LOCKED,),
            ),
        ),
        input={"detail": {"executionArn": _OWNER}},
        passes=("Get Current Lock Item", "Check If Lock Is Held", "Clean Up Lock", "Success State"),
        leaves={"ParameterInstancePrefix-locktable": [{"currentlockcount": {"N": "0"}}]},
    ),
    Sample(
        file=f"{EXAMPLES}dataquality-using-lambda-statemachine-dataquality",
        functions=_QUALITY,
        makes=(
            Bucket(
                "MyScriptBucket",
                {"OUTPUT/verification-results/part-0.csv": "rows,Error,Success,Size,Success,\n"},
            ),
            Topic("DataQualityUsingLambdaTopic"),
        ),
        leaves={"DataQualityUsingLambdaTopic": [re.compile("results are good")]},
    ),
    Sample(
        file=f"{EXAMPLES}dataquality-using-lambda-statemachine-dataquality",
        case="bad data",
        functions=_QUALITY,
        makes=(
            Bucket(
                "MyScriptBucket",
                {"OUTPUT/verification-results/part-0.csv": "rows,Error,Error,Size,Failure,too few\n"},
            ),
            Topic("DataQualityUsingLambdaTopic"),
        ),
        status="FAILED",
        error="Data Quality check failed for the input file",
        cause=re.compile("too few"),
        leaves={"DataQualityUsingLambdaTopic": [re.compile("contraints that failed .*Size")]},
    ),
    Sample(
        file=f"{EXAMPLES}decompose-for-parallelism-statemachine-main",
        functions={
            "FunctionCreateBatchesInS3": {"batch_index": [0, 1], "s3_bucket": "tests", "s3_key": "batches"},
            "FunctionGetBatcheFromS3": does.batch,
            "LambdaGetTestRunReport": {"summary": {"test_count": 2}},
        },
        makes=(Table("ParameterInstancePrefix-testrunstable", "TestRunId"), Queue("Distributed")),
        machines={
            "StateMachineDistributor": Machine(
                definition={
                    "StartAt": "Distribute",
                    "States": {
                        "Distribute": {
                            "Type": "Task",
                            "Resource": "arn:aws:states:::sqs:sendMessage",
                            "Parameters": {
                                "QueueUrl": "https://sqs.us-east-1.amazonaws.com/123456789012/Distributed",
                                "MessageBody.$": "$.tests-to-run",
                            },
                            "End": True,
                        }
                    },
                }
            )
        },
        output={"summary": {"test_count": 2}},
        leaves={
            "Distributed": [["test of batch 0"], ["test of batch 1"]],
            "ParameterInstancePrefix-testrunstable": [
                {"Status": {"S": "Complete"}, "IterationCount": {"N": "2"}, "EndTime": {"S": str}}
            ],
        },
    ),
    Sample(
        file=f"{EXAMPLES}kyc-with-eventbridge-statemachine-kyc",
        makes=(Bus("CentralEventBus"),),
        input={"customerName": "Bob", "customerAddress": "Main Street"},
        leaves={
            "CentralEventBus": [
                {
                    "source": "com.aws.kyc",
                    "detail-type": "Identity check completed",
                    "detail": {"identityChecked": True, "agencyChecked": True, "customerName": "Bob"},
                },
                {"detail-type": "New account approved", "detail": {"checksPassed": True}},
            ]
        },
    ),
    Sample(
        # The machine that it starts for each lock is the next sample.
        file=f"{EXAMPLES}meeting-summarization-statemachines-clean-locks-on-failure",
        machines={
            "StateMachineUtilReleaseLock": Machine(
                file=f"{EXAMPLES}meeting-summarization-statemachines-release-lock", express=True
            )
        },
        makes=(
            Table(
                "ParameterPrefixFindInMap",
                "LockName",
                (
                    {"LockName": {"S": "one"}} | _LOCKED,
                    {"LockName": {"S": "two"}} | _LOCKED,
                    {"LockName": {"S": "free"}, "currentlockcount": {"N": "0"}},
                ),
            ),
        ),
        input={"detail": {"executionArn": _OWNER}},
        output=[{"LockName": {"S": str}}, {"LockName": {"S": str}}],
        leaves={"ParameterPrefixFindInMap": [{"currentlockcount": {"N": "0"}}] * 3},
    ),
    Sample(
        file=f"{EXAMPLES}meeting-summarization-statemachines-release-lock",
        express=True,
        makes=(Table("ParameterPrefixFindInMap", "LockName", ({"LockName": {"S": "one"}} | _LOCKED,)),),
        input={"lock_name": "one", "lock_entry": _OWNER},
        leaves={"ParameterPrefixFindInMap": [{"currentlockcount": {"N": "0"}}]},
    ),
    Sample(
        file=f"{EXAMPLES}order-management-statemachines-ship-order",
        functions={"LambdaGetCustomerStatus": {"status": "good"}, "LambdaReserveProduct": does.reserve},
        makes=(Topic("SNSNewOrderForShipping"), Bus("OrderProcessingEventBus"), Queue("SQSForCallback")),
        seconds={"Wait for availability": 1},
        input=_SHIPPED,
        answers={"SQSForCallback": ({"shipped": True},)},
        leaves={
            "SNSNewOrderForShipping": [_SHIPPED],
            "SQSForCallback": [{"reservations": [{"product_id": "common"}, {"product_id": "rare"}]}],
            "OrderProcessingEventBus": [
                {"detail-type": "OrderShippingDelayed", "detail": {"product_id": "rare", "order_id": "o-1"}},
                {"detail-type": "OrderShippingProductsReserved"},
                {"detail-type": "ShippingSuccessful", "detail": {"order_event": _SHIPPED}},
            ],
        },
    ),
    Sample(
        file=f"{EXAMPLES}order-management-statemachines-ship-order",
        case="fraud",
        functions={"LambdaGetCustomerStatus": {"status": "fraudulent"}, "LambdaReserveProduct": None},
        makes=(Topic("SNSNewOrderForShipping"), Bus("OrderProcessingEventBus"), Queue("SQSForCallback")),
        seconds={"Wait for availability": 1},
        input=_SHIPPED,
        status="FAILED",
        error="order_shipping_failed",
        passes=(
            "Validate Input",
            "Get Customer Status",
            "Do Fraud Check",
            "Notify Fraudulent Customer",
            "Order Shipping Failed",
        ),
        leaves={
            "OrderProcessingEventBus": [
                {"detail-type": "OrderShippingFailed", "detail": {"error_message": "FraudulentCustomer"}}
            ]
        },
    ),
    Sample(
        file=f"{EXAMPLES}s3-athena-dataprocessing-statemachines-initialize_account",
        functions={
            "LambdaCreateS3Folder": does.echo,
            "LambdaListGlueCrawlers": ["raw", "curated"],
            "LambdaStartGlueCrawler": does.echo,
        },
        output=[
            {"FunctionResult": {"crawler_name": "raw"}},
            {"FunctionResult": {"crawler_name": "curated"}},
        ],
    ),
    Sample(
        file=f"{_IMAGES}Workshop-step-1__0",
        functions={"sfn-workshop-setup-ExtractMetadata": {"format": "JPEG"}},
        output={"format": "JPEG"},
    ),
    Sample(
        file=f"{_IMAGES}Workshop-step-1__1",
        functions={"REPLACE_WITH_YOUR_LAMBDA_ARN": {"format": "JPEG"}},
        output={"format": "JPEG"},
    ),
    Sample(
        file=f"{_IMAGES}Workshop-step-1__3",
        functions={"REPLACE_WITH_YOUR_LAMBDA_ARN": {"format": "JPEG"}},
        input={"s3Key": "cat.jpg"},
        output={"s3Key": "cat.jpg", "extractedMetadata": {"format": "JPEG"}},
    ),
    *_image_samples("cloudformation-image-processing.output__ImageProcStateMachine"),
    *_image_samples("cloudformation-state-machine"),
)
