"""The definitions of the workflows collection, the first half of the alphabet."""

from typing import Final

from tests.samples import functions as does
from tests.samples.model import Bucket, Bus, Machine, Queue, Refusal, Sample, Table, Topic

COLLECTION: Final = "step-functions-workflows-collection__"
_VIDEOS: Final = (
    "Content,VideoPublishTime,VideoTitle,Views\nv1,May 1,First,10\nv2,May 2,Second,20\nv3,May 3,Third,30\n"
)
_VIDEO_ITEMS: Final = [
    {"id": {"S": "v1"}, "VideoTitle": {"S": "First"}, "Views": {"N": "10"}},
    {"id": {"S": "v2"}, "VideoTitle": {"S": "Second"}, "Views": {"N": "20"}},
    {"id": {"S": "v3"}, "VideoTitle": {"S": "Third"}, "Views": {"N": "30"}},
]
_CHILD: Final = f"{COLLECTION}distributed-map-csv-iterator-sam-child-statemachine"
_QUERY: Final = {"statusCode": 200, "body": [{"itemid": "i-1", "sold": 7}]}
_QUERIES: Final = {"QueryItemSalesReport": _QUERY, "QueryMonthlySalesByItem": _QUERY}
_MOVED: Final = (
    "StepFunctionsSample-TransferDataRecordsc0168b74-be57-4c99-b09c-acf1831b2bcf-DDBTable-1AC2BGX60YBEG"
)
_SENT: Final = "StepFunctionsSample-TransferDataRecordsc0168b74-be57-4c99--SQSQueue-H9FO9W4vaWmw"
_PROCESSES: Final = {
    "TimeoutWait": 3,
    "Wait Before Getting Process 1 Status": 1,
    "Wait Before Getting Process 2 Status": 1,
}
_EVENTS: Final = f"{COLLECTION}event-sourcing-statemachine-event-sourcing"
_PROCESSED: Final = {
    "UpdatedProduct": '{"quantity": 5}',
    "Event": "productReceived",
    "Product_Id": "p-1",
    "EventDateTime": "2026-01-31T04:05:06Z",
}

SAMPLES: Final = (
    Sample(
        file=f"{COLLECTION}Transfer-Data-Records-statemachine-statemachine",
        functions={
            "StepFunctionsSample-TransferDataRe-SeedingFunction-gRchrSqb4Sfq": ["m1", "m2", "DONE"],
        },
        makes=(
            Table(
                _MOVED,
                "MessageId",
                (
                    {"MessageId": {"S": "m1"}, "Message": {"S": "hello"}},
                    {"MessageId": {"S": "m2"}, "Message": {"S": "good-bye"}},
                ),
            ),
            Queue(_SENT),
        ),
        output={"List": ["DONE"]},
        leaves={_SENT: ["hello", "good-bye"]},
    ),
    Sample(
        file=f"{COLLECTION}app-control-concurrency-with-dynamodb-tf-statemachines-dynamodb-semaphore",
        functions={"SF_LambdaARN": "worked"},
        makes=(Table("SF_TableSemaphore", "LockName"),),
        edits={"SF_ConcurrentAccessLimit": "1"},
        output=[{"payload": "worked"}],
        passes=(
            "Get Lock",
            "Acquire Lock",
            "Initialize Lock Item",
            "Acquire Lock",
            "Do Work",
            *("Here", "You", "Do", "Work", "Run Lambda Function With Controlled Concurrency"),
            "Release Lock",
            "Success State",
        ),
        leaves={"SF_TableSemaphore": [{"LockName": {"S": "SF_LockName"}, "currentlockcount": {"N": "0"}}]},
    ),
    Sample(
        file=f"{COLLECTION}async-state-machine-streaming-lambda-results-sam-statemachine-statemachine",
        express=True,
        makes=(Table("ResponseDDBTable", "ExecutionArn", sort="ResultTimestamp"),),
        edits={"${FinalResultFieldName}": "final"},
        seconds={"ProcessResults": 1},
        leaves={
            "ResponseDDBTable": [
                {"Result": {"S": "This is simulated result 4"}, "final": {"BOOL": True}},
                *({"Result": {"S": f"This is simulated result {each}"}} for each in range(4)),
            ]
        },
    ),
    Sample(
        file=(
            f"{COLLECTION}background-cropper-cdk.out-BackgroundCropperCdkStack.template__ImgCropperSFN5AD38B52"
        ),
        functions={"detectlabels80E53AC2": {"labels": ["Dog"]}, "cropimage392C997B": does.echo},
        output={"labels": ["Dog"]},
        passes=("Detect Labels", "Crop Image"),
    ),
    Sample(
        file=f"{COLLECTION}call-http-api-statemachine-statemachine",
        functions={"LambdaFunctionCallToApiFunction": does.echo},
        input={"city": "Berlin"},
        output={"Payload": {"city": "Berlin"}, "StatusCode": 200},
    ),
    Sample(
        file=f"{COLLECTION}calling-async-api-callback-statemachine-workflow_AsyncAPICallbackPattern",
        makes=(Queue("RequestorQueue"), Topic("WorkflowAsyncAPIResponseTopic")),
        input={"waitTime": 1},
        answers={"RequestorQueue": ({"status": 200},)},
        leaves={
            "RequestorQueue": [{"payload": {"waitTime": 1}}],
            "WorkflowAsyncAPIResponseTopic": [{"status": 200, "message": "API Executed Successfully"}],
        },
    ),
    Sample(
        file=f"{COLLECTION}calling-async-api-callback-statemachine-workflow_AsyncAPICallbackPattern",
        case="failed",
        makes=(Queue("RequestorQueue"), Topic("WorkflowAsyncAPIResponseTopic")),
        answers={"RequestorQueue": (Refusal("Unavailable", "The API is down"),)},
        leaves={"WorkflowAsyncAPIResponseTopic": [{"status": 500, "message": "API Failed"}]},
    ),
    Sample(
        file=f"{COLLECTION}calling-async-api-callback-statemachine-workflow_ExternalAsyncAPISimulator",
        functions={"WorkflowCallbackSimulator": does.echo},
        input={"taskToken": "of another workflow", "payload": {"waitTime": 1}},
        output={"taskToken": "of another workflow"},
        passes=("Wait -  Simulate External Processing Time", "Callback the System"),
    ),
    Sample(
        file=f"{COLLECTION}common-error-handling-statemachine-common_error_option2",
        functions={
            "NumberFunction": 1,
            "OddFunction": does.fail_any,
            "EvenFunction": 2,
            "CommonErrorOption2Function": does.echo,
        },
        output={"commonErrorLambda": {"Payload": {"Execution": {"Id": str}, "StateMachine": {"Id": str}}}},
        passes=("Number Lambda", "Odd Lambda", "Common Error Handler"),
    ),
    Sample(
        file=f"{COLLECTION}cqrs-statemachine-statemachine",
        functions=_QUERIES,
        makes=(Table("OrdersTable", "orderid"), Bus("FindInMap")),
        input={
            "id": "e-1",
            "time": "2026-01-31T04:05:06Z",
            "detail-type": "orderCommand",
            "detail": {
                "orderId": "o-1",
                "command": "created",
                "items": [{"itemid": "i-1", "quantity": 2}, {"itemid": "i-2", "quantity": 1}],
            },
        },
        leaves={
            "OrdersTable": [
                {
                    "orderid": {"S": "o-1"},
                    "items": {
                        "L": [
                            {"M": {"itemid": {"S": "i-1"}, "quantity": {"N": "2"}}},
                            {"M": {"itemid": {"S": "i-2"}, "quantity": {"N": "1"}}},
                        ]
                    },
                }
            ],
            "FindInMap": [{"detail": {"orderid": "o-1", "commandStatus": "orderCreated"}}],
        },
    ),
    Sample(
        file=f"{COLLECTION}cqrs-statemachine-statemachine",
        case="query",
        functions=_QUERIES,
        makes=(Table("OrdersTable", "orderid"), Bus("FindInMap")),
        input={"id": "e-1", "detail-type": "orderQuery", "detail": {"query": "itemsSalesReport"}},
        leaves={
            "FindInMap": [
                {
                    "detail": {
                        "query": "itemsSalesReport",
                        "queryMessageId": "e-1",
                        "queryResult": [{"itemid": "i-1", "sold": 7}],
                    }
                }
            ]
        },
    ),
    Sample(
        file=f"{COLLECTION}cqrs-statemachine-statemachine",
        case="neither",
        functions=_QUERIES,
        makes=(Table("OrdersTable", "orderid"), Bus("FindInMap")),
        input={"detail-type": "order"},
        status="FAILED",
        error="unsupportedType",
    ),
    Sample(
        file=f"{COLLECTION}distributed-batch-import-state-machine-create-organization",
        makes=(
            Bucket(
                "imports",
                {
                    "new.json": (
                        '[{"name": "A", "organization_number": "1"},'
                        ' {"name": "B", "organization_number": "2"}]'
                    )
                },
            ),
            Table("Organizations", "PK"),
        ),
        edits={"${DynamoDBTable}": "Organizations"},
        input={"detail": {"bucket": {"name": "imports"}, "object": {"key": "new.json"}}},
        leaves={
            "Organizations": [
                {"name": {"S": "A"}, "org_nr": {"S": "1"}, "SK": {"S": "organization"}},
                {"name": {"S": "B"}, "org_nr": {"S": "2"}, "SK": {"S": "organization"}},
            ]
        },
    ),
    Sample(
        file=_CHILD,
        makes=(Table("MetadataTable", "id"),),
        input={
            "StatePayload": {
                "Content": "v1",
                "VideoPublishTime": "May 1",
                "VideoTitle": "First",
                "Views": "10",
            }
        },
        output={"result": {"SdkHttpMetadata": {"HttpStatusCode": 200}}},
        leaves={"MetadataTable": _VIDEO_ITEMS[:1]},
    ),
    Sample(
        # The machine that it starts for each row is the sample before.
        file=f"{COLLECTION}distributed-map-csv-iterator-sam-statemachine",
        machines={"ChildStateMachine": Machine(file=_CHILD)},
        makes=(Table("MetadataTable", "id"), Bucket("CSVBucket", {"metrics.csv": _VIDEOS})),
        output=[{"ExecutionArn": str}, {"ExecutionArn": str}, {"ExecutionArn": str}],
        leaves={"MetadataTable": _VIDEO_ITEMS},
    ),
    Sample(
        file=f"{COLLECTION}distributed-map-csv-iterator-tf-statemachines-statemachine",
        makes=(Table("TableName", "id"), Bucket("videos", {"metrics.csv": _VIDEOS})),
        input={"BucketName": "videos", "FileKey": "metrics.csv"},
        output=[{"Content": "v1"}, {"Content": "v2"}, {"Content": "v3"}],
        leaves={"TableName": _VIDEO_ITEMS},
    ),
    Sample(
        file=f"{COLLECTION}dynamic-rest-api-statemachine-statemachine",
        case="get",
        makes=(Table("Books", "book_id", ({"book_id": {"S": "b-1"}, "Author": {"S": "Ann"}},)),),
        input={"httpMethod": "GET", "querystring": {"book_id": "b-1"}},
        output={"Item": {"book_id": {"S": "b-1"}, "Author": {"S": "Ann"}}},
    ),
    Sample(
        file=f"{COLLECTION}dynamic-rest-api-statemachine-statemachine",
        case="post",
        makes=(Table("Books", "book_id"),),
        input={"httpMethod": "POST", "body": {"book_id": "b-2", "author": "Bob"}},
        leaves={"Books": [{"book_id": {"S": "b-2"}, "Author": {"S": "Bob"}}]},
    ),
    Sample(
        file=f"{COLLECTION}dynamic-rest-api-statemachine-statemachine",
        case="delete",
        makes=(Table("Books", "book_id", ({"book_id": {"S": "b-1"}}, {"book_id": {"S": "b-2"}})),),
        input={"httpMethod": "DELETE", "path": {"book_id": "b-1"}},
        leaves={"Books": [{"book_id": {"S": "b-2"}}]},
    ),
    Sample(
        file=f"{COLLECTION}dynamically-process-data-with-map-state-statemachine-statemachine",
        functions={
            "ReadFromSQSFunction": [
                {"MessageId": "m1", "Body": "first", "ReceiptHandle": "r1"},
                {"MessageId": "m2", "Body": "second", "ReceiptHandle": "r2"},
            ],
            "DeleteFromSQSFunction": "deleted",
        },
        makes=(Table("DDBTable", "MessageId"), Topic("SNSTopic")),
        leaves={
            "DDBTable": [
                {"MessageId": {"S": "m1"}, "Body": {"S": "first"}},
                {"MessageId": {"S": "m2"}, "Body": {"S": "second"}},
            ],
            "SNSTopic": ["first", "second"],
        },
    ),
    Sample(
        file=f"{COLLECTION}dynamically-process-data-with-map-state-statemachine-statemachine",
        case="nothing",
        functions={"ReadFromSQSFunction": "No messages", "DeleteFromSQSFunction": None},
        makes=(Table("DDBTable", "MessageId"), Topic("SNSTopic")),
        output="No messages",
        passes=("Read messages from SQS queue", "Are there messages to process?", "Finish"),
    ),
    Sample(
        file=f"{COLLECTION}dynamodb-import-json-statemachine-statemachine",
        functions={"MarshallJSON": does.echo, "StartDDBImportTable": does.echo},
        makes=(Bucket("exports", {"day/a.json": "{}", "day/b.json": "{}", "other/c.json": "{}"}),),
        input={"detail": {"bucket": {"name": "exports"}, "object": {"key": "day/a.json"}}},
        output=[{"Key": "day/a.json", "Size": 2}, {"Key": "day/b.json", "Size": 2}],
        passes=("Parse S3 Params", "Distributed Map", "DDB API Import-Table"),
    ),
    Sample(
        file=f"{COLLECTION}dynamodb-transfer-statemachine-statemachine",
        functions={"TransferFunction": does.echo},
        makes=(
            # More than the first 50, so that it asks for the next ones.
            Table("SourceTableName", "id", tuple({"id": {"S": f"r-{at}"}} for at in range(52))),
            Table("TargetTableName", "id"),
        ),
        leaves={"TargetTableName": [{"id": {"S": f"r-{at}"}} for at in range(52)]},
    ),
    Sample(
        file=f"{COLLECTION}either-or-parallel-workflow-statemachine-statemachine",
        case="first",
        seconds=_PROCESSES,
        input={"Process1ToComplete": True},
        output={"Error": "States.FauxFailure1"},
    ),
    Sample(
        file=f"{COLLECTION}either-or-parallel-workflow-statemachine-statemachine",
        case="neither",
        seconds=_PROCESSES,
        output={"Error": "States.RanOutOfTime"},
    ),
    Sample(
        file=_EVENTS,
        functions={
            "ESPValidateEventArn": does.echo,
            "ESPProcessProductReceivedArn": _PROCESSED,
            "ESPProcessProductShippedArn": _PROCESSED,
            "ESPProcessProductAdjustedArn": _PROCESSED,
        },
        makes=(Table("ESPDynamoDBTableName", "Product_Id"),),
        input={"detail": {"ProductEvent": {"eventType": "productReceived"}}},
        passes=(
            "ValidateEvent",
            "Event Router",
            "Process Product Received",
            "Store Event and Product Entity state changes in the Event Store",
        ),
        leaves={
            "ESPDynamoDBTableName": [
                {"Product_Id": {"S": "p-1"}, "Product_Details": {"S": '{"quantity": 5}'}},
            ]
        },
    ),
    Sample(
        file=f"{COLLECTION}eventbridge-custom-sam-statemachine-statemachine",
        makes=(Bus("stepfunctions-sampleproject-eventbus"),),
        output={"FailedEntryCount": 0, "Entries": [{"EventId": str}]},
        leaves={
            "stepfunctions-sampleproject-eventbus": [
                {"source": "my.statemachine", "detail": {"Message": "Hello from Step Functions!"}}
            ]
        },
    ),
    Sample(
        file=f"{COLLECTION}eventbridge-replay-events-statemachine-statemachine",
        functions={"TransformEvents": does.as_today},
        makes=(Bus("EventBusName"),),
        input=[
            {"detail": {"order": 1}, "detail-type": "ordered", "source": "shop"},
            {"detail": {"order": 2}, "detail-type": "ordered", "source": "shop"},
        ],
        leaves={"EventBusName": [{"detail": {"order": 1}, "source": "shop"}, {"detail": {"order": 2}}]},
    ),
)
