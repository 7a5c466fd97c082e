"""The definitions of the developer guide."""

from typing import Final

from tests.samples import functions as does
from tests.samples.model import Machine, Queue, Sample, Table, Topic

GUIDE: Final = "aws-step-functions-developer-guide__doc_source-"
_SQS: Final = "https://sqs.us-east-1.amazonaws.com/123456789012"
_TEXTS: Final = [{"messageId": "1", "body": "SGVsbG8sIGhlbGxvIHdvcmxkIQ=="}]  # Hello, hello world!


def _checkpointing(case: str, *, express: bool) -> Sample:
    return Sample(
        file=f"{GUIDE}sample-project-express-selective-checkpointing__0",
        case=case,
        makes=(Queue("Approvals"), Topic("Orders"), Table("Backend", "id")),
        edits={
            "<SQS_QUEUE_URL>": f"{_SQS}/Approvals",
            "<SNS_ARN>": "arn:aws:sns:us-east-1:123456789012:Orders",
            "<UPDATE_DATABASE_EXPRESS_STATE_MACHINE_ARN>": (
                "arn:aws:states:us-east-1:123456789012:stateMachine:UpdateDatabase"
            ),
        },
        machines={
            "UpdateDatabase": Machine(
                express=express,
                definition={
                    "StartAt": "Update",
                    "States": {
                        "Update": {
                            "Type": "Task",
                            "Resource": "arn:aws:states:::dynamodb:putItem",
                            "Parameters": {
                                "TableName": "Backend",
                                "Item": {
                                    "id": {"S": "updated"},
                                    "by": {"S.$": "$.AWS_STEP_FUNCTIONS_STARTED_BY_EXECUTION_ID"},
                                },
                            },
                            "End": True,
                        }
                    },
                },
            )
        },
        answers={"Approvals": ("approved", "paid")},
        passes=(
            "Approve Order Request",
            "Notify Order Success",
            "Process Payment",
            "Notify Payment Success",
            "Workflow to Update Backend Systems",
            "Ship the Package",
        ),
        leaves={
            "Backend": [{"id": {"S": "updated"}, "by": {"S": str}}],
            "Orders": [
                "Order has been approved. Resuming workflow.",
                "Payment processing succeeded. Resuming workflow.",
                "Order and payment received, database is updated and the package is ready to ship.",
            ],
        },
    )


SAMPLES: Final = (
    Sample(
        file=f"{GUIDE}amazon-states-language-state-machine-structure__1",
        output="Hello World!",
        passes=("HelloWorld",),
    ),
    Sample(
        file=f"{GUIDE}concepts-amazon-states-language__0",
        functions={
            "FUNCTION_NAME": does.echo,
            "OnFirstMatch": {"foo": 1, "matched": "first"},
            "OnSecondMatch": None,
        },
        input={"foo": 1},
        output={"foo": 1, "matched": "first"},
        passes=("FirstState", "ChoiceState", "FirstMatchState", "NextState"),
    ),
    Sample(
        file=f"{GUIDE}concepts-amazon-states-language__0",
        case="no match",
        functions={"FUNCTION_NAME": does.echo, "OnFirstMatch": None, "OnSecondMatch": None},
        input={"foo": 3},
        status="FAILED",
        error="DefaultStateError",
        cause="No Matches!",
        passes=("FirstState", "ChoiceState", "DefaultState"),
    ),
    Sample(
        file=f"{GUIDE}concepts-error-handling__12",
        functions={"sleep10": does.outlast},
        output="Hello, AWS Step Functions!",
        passes=("HelloWorld", "fallback"),
    ),
    Sample(
        # The function always fails; what is shown is that it is called three times.
        file=f"{GUIDE}concepts-error-handling__8",
        functions={"FailFunction": does.fail_custom},
        status="FAILED",
        error="CustomError",
        cause=str,
        passes=("HelloWorld",),
    ),
    Sample(
        file=f"{GUIDE}concepts-state-machine-data__1",
        functions={"Add": does.add},
        input={"val1": 3, "val2": 4},
        output=7,
    ),
    Sample(
        file=f"{GUIDE}connect-lambda__0",
        functions={"MyFunction": "called"},
        output={"Payload": "called", "StatusCode": 200},
    ),
    Sample(
        # The function is only told; nobody waits for its answer.
        file=f"{GUIDE}connect-lambda__2",
        functions={"echo": does.echo},
        output={"StatusCode": 202},
    ),
    Sample(
        file=f"{GUIDE}connect-sns__3",
        makes=(Topic("myTopic"),),
        input={"order": 1},
        answers={"myTopic": ({"answered": True},)},
        output={"answered": True},
        leaves={"myTopic": [{"Input": {"order": 1}, "TaskToken": str}]},
    ),
    Sample(
        file=f"{GUIDE}connect-sqs__0",
        makes=(Queue("myQueue"),),
        edits={"my attribute no ": "my-attribute-no-"},  # SQS takes no spaces in the names of attributes
        input={"input": {"message": "by queue"}},
        output={"MessageId": str, "MD5OfMessageBody": str},
        leaves={"myQueue": ["by queue"]},
    ),
    Sample(
        file=f"{GUIDE}input-output-contextobject__3",
        input={"kept": 1},
        output={"kept": 1, "executionContext": {"startTime": str, "execName": str}},
    ),
    Sample(
        file=f"{GUIDE}input-output-contextobject__5",
        input=[{"who": "bob"}, {"who": "meg"}],
        output=[
            {"ContextIndex": 0, "ContextValue": {"who": "bob"}},
            {"ContextIndex": 1, "ContextValue": {"who": "meg"}},
        ],
    ),
    Sample(
        file=f"{GUIDE}input-output-example__7",
        functions={"check-identity": {"approved": True}, "check-address": {"approved": False}},
        input={"identity": {"ssn": "123-45-6789"}, "address": {"zip": "98101"}},
        output=[
            {"Payload": {"approved": True}, "StatusCode": 200},
            {"Payload": {"approved": False}, "StatusCode": 200},
        ],
    ),
    Sample(
        file=f"{GUIDE}sample-lambda-orchestration__0",
        functions={
            "StepFunctionsSample-HelloLam-CheckStockPriceLambda-444455556666": {"stock_price": 55},
            "StepFunctionsSample-Hello-GenerateBuySellRecommend-123456789012": "sell",
            "StepFunctionsSample-HelloLambda-BuyStockLambda-000000000000": None,
            "StepFunctionsSample-HelloLambda-SellStockLambda-111111111111": {"sold": True},
        },
        makes=(
            Queue("StepFunctionsSample-HelloLambda4444-5555-6666-RequestHumanApprovalSqs-777788889999"),
            Topic("StepFunctionsSample-HelloLambda1111-2222-3333-ReportResultSnsTopic-222222222222"),
        ),
        answers={
            "StepFunctionsSample-HelloLambda4444-5555-6666-RequestHumanApprovalSqs-777788889999": ("yes",)
        },
        passes=(
            "Check Stock Price",
            "Generate Buy/Sell recommendation",
            "Request Human Approval",
            "Buy or Sell?",
            "Sell Stock",
            "Report Result",
        ),
        leaves={
            "StepFunctionsSample-HelloLambda4444-5555-6666-RequestHumanApprovalSqs-777788889999": [
                {"Input": {"stock_price": 55, "recommended_type": "sell"}, "TaskToken": str}
            ],
            "StepFunctionsSample-HelloLambda1111-2222-3333-ReportResultSnsTopic-222222222222": [
                {"Input": {"sold": True}}
            ],
        },
    ),
    Sample(
        file=f"{GUIDE}sample-project-express-high-volume-sqs__2",
        express=True,
        functions={
            "Decoder": does.decode,
            "Statistics": does.statistics,
            "Cleaner": does.clean,
            "Counter": does.count_words,
        },
        edits={
            "<BASE64_DECODER_LAMBDA_FUNCTION_NAME>": "Decoder",
            "<TEXT_STATS_GENERATING_LAMBDA_FUNCTION_NAME>": "Statistics",
            "<STRING_CLEANING_LAMBDA_FUNCTION_NAME>": "Cleaner",
            "<TOKENIZING_AND_WORD_COUNTING_LAMBDA_FUNCTION_NAME>": "Counter",
        },
        input=_TEXTS,
        output={"words": {"hello": 2, "world": 1}},
    ),
    _checkpointing("", express=False),
    # As published: the nested machine is an Express one.
    _checkpointing("express child", express=True),
    Sample(
        file=f"{GUIDE}sample-start-workflow__0",
        machines={
            "NestingPatternAnotherStateMachine-HZ9gtgspmdun": Machine(
                definition={
                    "StartAt": "Need callback?",
                    "States": {
                        "Need callback?": {
                            "Type": "Choice",
                            "Choices": [
                                {"Variable": "$.NeedCallback", "BooleanEquals": True, "Next": "Call back"}
                            ],
                            "Default": "No callback",
                        },
                        "Call back": {
                            "Type": "Task",
                            "Resource": "arn:aws:states:::aws-sdk:sfn:sendTaskSuccess",
                            "Parameters": {"TaskToken.$": "$.TaskToken", "Output": {"from": "callback"}},
                            "End": True,
                        },
                        "No callback": {"Type": "Pass", "Result": "no callback", "End": True},
                    },
                },
            )
        },
        # .sync gives the child's output as its text.
        output=['"no callback"', {"from": "callback"}],
    ),
    Sample(
        file=f"{GUIDE}tutorial-creating-map-state-machine__3",
        functions={"HelloFunction": does.echo},
        input=[{"who": "bob"}, {"who": "meg"}, {"who": "joe"}],
        output=[{"who": "bob"}, {"who": "meg"}, {"who": "joe"}],
    ),
    Sample(
        file=f"{GUIDE}tutorial-handling-error-conditions__2",
        functions={"FailFunction": does.fail_custom},
        output="This is a fallback from a custom Lambda function exception",
        passes=("CreateAccount", "CustomErrorFallback"),
    ),
    Sample(
        file=f"{GUIDE}tutorial-handling-error-conditions__2",
        case="another error",
        functions={"FailFunction": does.fail_any},
        output="This is a fallback from a reserved error code",
        passes=("CreateAccount", "ReservedTypeFallback"),
    ),
    Sample(
        file=f"{GUIDE}tutorial-workflow-studio-using__0",
        input={"IsHelloWorldExample": True},
        seconds={"Wait 3 sec": 1},
        output=[{"IsHelloWorldExample": True}, {"IsHelloWorldExample": True}],
    ),
    Sample(
        file=f"{GUIDE}tutorial-workflow-studio-using__0",
        case="no",
        input={"IsHelloWorldExample": False},
        status="FAILED",
        cause="Not Hello World",
        passes=("Pass", "IsHelloWorldExample", "No"),
    ),
    Sample(
        file=f"{GUIDE}tutorial-xray-traces__2",
        functions={
            "test-function1": {"status": "one"},
            "test-function2": {"status": "two"},
            "test-function3": {"status": "three"},
        },
        output={"status": "three"},
        passes=("CallTestFunction1", "CallTestFunction2", "CallTestFunction3", "Succeed"),
    ),
    Sample(
        file=f"{GUIDE}tutorial-xray-traces__2",
        case="failed",
        functions={"test-function1": {}, "test-function2": does.fail_any, "test-function3": {}},
        status="FAILED",
        passes=("CallTestFunction1", "CallTestFunction2", "AfterTaskFailed"),
    ),
)
