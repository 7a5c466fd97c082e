"""The definitions of the workflows collection, the second half of the alphabet, and its odd ones."""

import json
import re
from typing import Any, Final

from tests.samples import functions as does
from tests.samples.model import Bucket, Bus, Machine, Queue, Sample, Table, Topic

Json = Any

COLLECTION: Final = "step-functions-workflows-collection__"
_WORKER: Final = f"{COLLECTION}parallel-agent-early-stopping-statemachine-worker"
_HUMAN: Final = f"{COLLECTION}human-in-the-loop-statemachine-statemachine"
_STOCK: Final = f"{COLLECTION}inventory-management-sam-statemachine-check-inventory-level-statemachine"
_QUORUM: Final = f"{COLLECTION}quorum-with-parallel-pattern-statemachine-statemachine"
_TEXTS: Final = [{"messageId": "1", "body": "SGVsbG8sIGhlbGxvIHdvcmxkIQ=="}]  # Hello, hello world!
_TOPIC: Final = "arn:aws:sns:us-east-1:123456789012"
_RANGES: Final = {"byteRanges": [{"start": 0, "end": 2}, {"start": 3, "end": 4}]}
_RANGE: Final = {"start": 0, "end": 4}


def _upload(key: str) -> Json:
    """What SQS hands over for an object that was put into the bucket."""
    record = {"s3": {"bucket": {"name": "documents"}, "object": {"key": key}}}
    return [{"body": json.dumps({"Records": [record]})}]


def _ingests(**answer: Json) -> dict[str, Json]:
    """The functions that read a document, each with this answer."""
    return {f"Ingest{kind}Function": answer for kind in ("Text", "PDF", "Doc")}


SAMPLES: Final = (
    Sample(
        file=f"{COLLECTION}explicit-failure-with-parallel-states-statemachine-statemachine",
        functions={"SuccessFunction": {"ok": True}, "QuickFailFunction": does.fail_custom},
        status="FAILED",
        error="CustomError",
        cause=str,
    ),
    Sample(
        file=f"{COLLECTION}explicit-failure-with-parallel-states-statemachine-statemachine",
        case="no failure",
        functions={"SuccessFunction": {"ok": True}, "QuickFailFunction": {"ok": True}},
        output=[{"ok": True}, {"ok": True}],
    ),
    Sample(
        file=f"{COLLECTION}gif-generator-statemachine-workflow",
        functions={
            "LambdaFunctionsnippet": [{"start": 0}, {"start": 5}, {"start": 10}],
            "LambdaFunctiongenerate": "made",
        },
        input={"detail": {"requestParameters": {"key": "film.mp4", "bucketName": "films"}}},
        output={
            "SourceBucket": "films",
            "key": "film.mp4",
            "gifs": 3,
            "destinationBucket": "gif-destination-bucket",
        },
    ),
    Sample(
        file=_HUMAN,
        functions={"SendApprovalEmailFunction": does.ask_for_approval, "ProcessingLambda": does.echo},
        makes=(Queue("inbox"),),
        input={"inbox": "inbox", "amount": 5},
        answers={"inbox": ({"result": True},)},
        output={
            "Payload": {"result": "approved", "input": {"amount": 5, "approvalStatus": {"result": True}}}
        },
        passes=("Notify Approver", "Approved?", "Handle approval"),
    ),
    Sample(
        file=_HUMAN,
        case="rejected",
        functions={"SendApprovalEmailFunction": does.ask_for_approval, "ProcessingLambda": does.echo},
        makes=(Queue("inbox"),),
        input={"inbox": "inbox", "amount": 5},
        answers={"inbox": ({"result": False},)},
        output={"Payload": {"result": "rejected"}},
        passes=("Notify Approver", "Approved?", "Handle rejection"),
    ),
    Sample(
        file=f"{COLLECTION}human-task-reminder-statemachine-statemachine",
        makes=(Table("DDBTable", "id"), Topic("NotificationTopic")),
        seconds={"Sleep for Reminder": 1},
        answers={"NotificationTopic": ("done",)},
        leaves={"DDBTable": [{"id": {"S": str}, "taskComplete": {"S": "true"}}]},
    ),
    Sample(
        file=f"{COLLECTION}image-processing-app-statemachine-statemachine",
        functions={
            "BucketCreation": does.echo,
            "GetChequeIDs": {"cheques": [{"id": "c-1"}, {"id": "c-2"}]},
            "GetChequeImages": does.echo,
            "ZipImages": "all.zip",
        },
        output={
            "BucketName": {"Payload": {"token": {"Execution": {"Id": str}, "StateMachine": {"Name": str}}}},
            "ChequesImagesList": [
                {"id": "c-1", "ChequesImages": {"Payload": {"input": "c-1"}}},
                {"id": "c-2", "ChequesImages": {"Payload": {"input": "c-2"}}},
            ],
            "ZipFile": {"Payload": "all.zip"},
        },
    ),
    Sample(
        file=_STOCK,
        makes=(
            Bus("InventoryEventBus"),
            Topic("InventoryManagementTopic"),
            Table("InventoryTable", "id", ({"id": {"S": "p-1"}, "status": {"S": "IN STOCK"}},)),
        ),
        input={
            "id": {"S": "p-1"},
            "stock": {"N": "0"},
            "threshold": {"N": "10"},
            "minPOAmount": {"N": "100"},
        },
        leaves={
            "InventoryEventBus": [
                {"detail-type": "create-purchase-order", "detail": {"productId": "p-1", "minPOAmount": 100}}
            ],
            "InventoryTable": [{"id": {"S": "p-1"}, "status": {"S": "OUT OF STOCK"}}],
            "InventoryManagementTopic": [
                {
                    "message": (
                        "Stock for product id p-1 is 0 which is below the threshold of 10. "
                        "A create-purchase-order event has been sent."
                    )
                },
                {
                    "message": (
                        "Stock for product id p-1 is 0. "
                        'The product status has been updated to "OUT OF STOCK".'
                    )
                },
            ],
        },
    ),
    Sample(
        file=_STOCK,
        case="enough",
        makes=(
            Bus("InventoryEventBus"),
            Topic("InventoryManagementTopic"),
            Table("InventoryTable", "id"),
        ),
        input={
            "id": {"S": "p-1"},
            "stock": {"N": "50"},
            "threshold": {"N": "10"},
            "minPOAmount": {"N": "100"},
        },
        output=[{"stockNumeric": 50}, {"stockNumeric": 50}],
        leaves={"InventoryEventBus": [], "InventoryManagementTopic": []},
    ),
    Sample(
        # It lists its own executions, of which there are more than the 100 of one page.
        file=f"{COLLECTION}pagination-loop-statemachine-statemachine",
        before=101,
        output={"executions": {"Executions": [{"Status": "SUCCEEDED"}]}},
        passes=("ListExecutions", "more results?", "List Executions nextPage", "more results?", "Success"),
    ),
    Sample(
        # The machine that it starts is the next sample.
        file=f"{COLLECTION}parallel-agent-early-stopping-statemachine-main",
        machines={"WorkerStateMachine": Machine(file=_WORKER)},
        functions={
            "WorkerAgentFunction": does.second_agent_quick,
            "EvaluationFunction": does.evaluate,
            "SynthesisFunction": {"synthesized_result": "in short"},
        },
        input=[{"body": '{"query": "what is best?"}'}],
        output={
            "early_termination": True,
            "original_query": "what is best?",
            "winning_approach": ["service_specific"],
            "result": "found by service_specific",
            "synthesized_result": "in short",
            "agent_id": 2,
        },
    ),
    Sample(
        file=_WORKER,
        case="no result",
        functions={"WorkerAgentFunction": does.fail_any, "EvaluationFunction": None},
        input={
            "workers": [{"workerId": 1, "approach": "general"}],
            "taskToken": "of another workflow",
            "executionName": "one",
            "query": "what is best?",
        },
        status="FAILED",
        error="WorkerAgentError",
        cause="Worker agent execution failed",
        passes=("Initialize Workers", "Call Worker Agent", "Worker Error"),
    ),
    Sample(
        file=f"{COLLECTION}parallelized-embedding-pipeline-statemachine",
        functions={
            # As published it reads $.Map.Item.Value of its input, where $$ is meant; so that is there.
            **_ingests(Bucket="documents", SourceKey="report.txt", Map={"Item": {"Value": _RANGE}}),
            "GetByteRangesFunction": _RANGES,
            "VectorizeFunction": does.echo,
        },
        makes=(Bucket("documents", {"report.txt": "12345"}),),
        input=_upload("report.txt"),
        output={
            "objectMetadata": {"ContentLength": 5},
            "vectorizeResult": [
                {"Bucket": str, "Key": "report.txt", "ByteRangeStart": 0, "ByteRangeEnd": 4},
                {"ByteRangeStart": 0, "ByteRangeEnd": 4},
            ],
        },
        passes=(
            *("ParseS3String", "CheckFileType", "IngestTextFile", "GetObjectMetadata", "GetByteRanges"),
            *("ParallelProcessing", "ProcessChunk", "ProcessChunk"),
        ),
    ),
    Sample(
        file=f"{COLLECTION}parallelized-embedding-pipeline-statemachine",
        case="no document",
        functions=_ingests() | {"GetByteRangesFunction": None, "VectorizeFunction": None},
        input=_upload("film.mp4"),
        status="FAILED",
        error="UnsupportedFileType",
        cause="Unsupported file type",
    ),
    Sample(
        # Its other ways cannot be gone on AWS either: see the next.
        file=f"{COLLECTION}parallelized-embedding-pipeline-example-workflow",
        case="no document",
        functions=_ingests() | {"GetByteRangesFunction": None, "VectorizeFunction": None},
        input=_upload("film.mp4"),
        status="FAILED",
        error="UnsupportedFileType",
        cause="Unsupported file type",
        passes=("ParseS3String", "CheckFileType", "UnsupportedFileType"),
    ),
    Sample(
        # It looks for $.Bucket in what lambda:invoke gives, which has it in $.Payload.
        file=f"{COLLECTION}parallelized-embedding-pipeline-example-workflow",
        functions={
            **_ingests(Bucket="documents", SourceKey="report.txt"),
            "GetByteRangesFunction": None,
            "VectorizeFunction": None,
        },
        makes=(Bucket("documents", {"report.txt": "12345"}),),
        input=_upload("report.txt"),
        status="FAILED",
        error="States.Runtime",
        cause=re.compile(
            r"The JSONPath '\$\.Bucket' specified for the field 'Bucket\.\$' could not be found"
        ),
        passes=("ParseS3String", "CheckFileType", "IngestTextFile", "GetObjectMetadata"),
    ),
    Sample(
        file=_QUORUM,
        functions={"MockProcessLambdaFunction": does.first_two_quick},
        makes=(Table("DDBTable", "id"),),
        input={"quorum": 2},
        output={"Item": {"successful_processes": {"L": [{"S": str}, {"S": str}]}}},
        leaves={
            "DDBTable": [
                {
                    "timeout_occurred": {"BOOL": False},
                    "successful_processes": {"L": [{"S": str}, {"S": str}]},
                    "failed_processes": {"L": []},
                }
            ]
        },
    ),
    Sample(
        file=_QUORUM,
        case="out of time",
        functions={"MockProcessLambdaFunction": does.first_two_quick},
        makes=(Table("DDBTable", "id"),),
        seconds={"TimeoutWait": 1},
        input={"quorum": 3},
        output={"Item": {"timeout_occurred": {"BOOL": True}}},
    ),
    Sample(
        file=f"{COLLECTION}request-response-cdk-python-statemachine-statemachine",
        makes=(Topic("RequestResponsePython-topic"),),
        input={"timer_seconds": 1, "message": "hello"},
        leaves={"RequestResponsePython-topic": [{"input": "hello"}]},
    ),
    Sample(
        file=f"{COLLECTION}request-response-cdk-typescript-statemachine-statemachine",
        makes=(Topic("RequestResponseTypescript-topic"),),
        input={"timer_seconds": 1, "message": "hello"},
        leaves={"RequestResponseTypescript-topic": [{"input": "hello"}]},
    ),
    Sample(
        file=f"{COLLECTION}request-response-statemachine-statemachine",
        makes=(Topic("SNSTopic"),),
        input={"timer_seconds": 1},
        leaves={"SNSTopic": [{"Input": "Hello from Step Functions!"}]},
    ),
    Sample(
        file=f"{COLLECTION}s3-bucket-nested-distributed-map-statemachine-statemachine",
        makes=(
            Bucket("bucket", {f"{at}.json": json.dumps({"number": at}) for at in range(12)}),
            Topic("published"),
        ),
        edits={"topic": f"{_TOPIC}:published"},
        passes=("S3 Distributed Map State Machine", "Fail", "End"),
        leaves={"published": [{"number": at, "NewField": "MyValue"} for at in range(12)]},
    ),
    Sample(
        file=f"{COLLECTION}s3-sfn-lambda-bedrock-statemachine-statemachine",
        functions={
            **_ingests(next_key="report.txt", bucket="texts"),
            "SummarizeTextFileFunction": does.echo,
        },
        input={"detail": {"object": {"key": "report.pdf"}}},
        output={"SourceKey": "report.txt", "Bucket": "texts"},
        passes=("CheckFileType", "IngestPDFFile", "SummarizeTextFile"),
    ),
    Sample(
        file=f"{COLLECTION}s3-sfn-lambda-bedrock-statemachine-statemachine",
        case="no document",
        functions=_ingests() | {"SummarizeTextFileFunction": None},
        input={"detail": {"object": {"key": "film.mp4"}}},
        status="FAILED",
        error="UnsupportedFileType",
    ),
    Sample(
        file=(
            f"{COLLECTION}text-processing-sqs-express-cdk-cdk.out-"
            "ProcesshighvolumemessagesSqsExpressStack.template__ExpressStateMachineFor"
        ),
        express=True,
        functions={
            "Base64Decode7789B883": does.decode,
            "GenerateStatistics62712191": does.statistics,
            "StringCleanerACAF150C": does.clean,
            "TokenizeandCount1C7B3816": does.count_words,
        },
        input=_TEXTS,
        output={"words": {"hello": 2, "world": 1}},
    ),
    Sample(
        # The machine behind it is not published. It reads resultCount of the result of .sync:2, which has the
        # child's output in Output: the state's Assign fails on AWS as here.
        file=f"{COLLECTION}distributed-data-stream-aggregator-statemachine-data-extraction-child",
        machines={
            "child2": Machine(
                definition={
                    "StartAt": "Done",
                    "States": {
                        "Done": {"Type": "Pass", "Result": {"resultCount": 0, "offset": 0}, "End": True}
                    },
                }
            )
        },
        makes=(Bucket("s3-bucket-name"),),
        edits={"{% 'child2' %}": "arn:aws:states:us-east-1:123456789012:stateMachine:child2"},
        input={"locationId": "l-1", "taskId": "t-1", "taskToken": "of another workflow"},
        status="FAILED",
        error="States.QueryEvaluationError",
        cause=re.compile(r"'Assign/resultCount' returned nothing"),
    ),
)
