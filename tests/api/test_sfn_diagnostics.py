import json
from typing import Any

import pytest

from etl_runner.api.sfn.diagnostics import diagnose, invalid_definition
from etl_runner.asl.parse import lint
from etl_runner.errors import Fault
from tests.shared_data import SHARED, needs_shared

PASS = {"Type": "Pass", "End": True}
READS = {"Resource": "arn:aws:states:::s3:getObject", "Parameters": {"Bucket": "b", "Key": "k"}}
NOT_A_NAME = "Invalid variable name 'a-b': the variable name contains invalid characters."


def told(states: Any, **top: Any) -> list[str]:
    text = json.dumps({"StartAt": next(iter(states), "X"), "States": states, **top})
    return [str(each) for each in diagnose(text, [f for f in lint(text) if f.severity == "error"])]


@pytest.mark.parametrize(
    ("states", "expected"),
    [
        pytest.param(
            {"A": {"Type": "Nope", "End": True}},
            "The field 'Type' should have one of these values: "
            "[Task, Wait, Pass, Succeed, Fail, Choice, Parallel, Map] at /States/A/Type",
            id="type",
        ),
        pytest.param(
            {"A": {"Type": "Parallel", "Branches": [], "End": True}},
            "Value cannot be empty at /States/A/Branches",
            id="empty",
        ),
        pytest.param(
            {"A": {"Type": "Wait", "Timestamp": "2026-01-01", "End": True}},
            "String does not match RFC3339 timestamp at /States/A/Timestamp",
            id="timestamp",
        ),
        pytest.param(
            {"A": {"Type": "Pass", "Parameters": {"deep": {"x.$": "nope"}}, "End": True}},
            "The value for the field 'x.$' must be a valid JSONPath or a valid intrinsic function call "
            "at /States/A/Parameters",
            id="template",
        ),
        pytest.param({"A": {**PASS, "_c": 1}}, "Field '_c' is not supported at /States/A", id="unknown"),
        pytest.param(
            {"A": {"Type": "Wait", "Seconds": "1", "End": True}},
            "Expected value of type Integer at /States/A/Seconds",
            id="type of value",
        ),
        pytest.param(
            {"A": {"Type": "Wait", "Seconds": -1, "End": True}},
            "Minimum value is 0 at /States/A/Seconds",
            id="low",
        ),
        pytest.param(
            {"A": {"Type": "Wait", "Seconds": 100_000_000, "End": True}},
            "Maximum value is 99999999 at /States/A/Seconds",
            id="high",
        ),
        pytest.param(
            {"A": {"Type": "Wait", "Seconds": 1, "SecondsPath": "$.a", "End": True}},
            "There should only be one of the following fields: "
            "[Seconds, SecondsPath, Timestamp, TimestampPath] at /States/A",
            id="exclusive",
        ),
        pytest.param(
            {"A": {"Type": "Pass", "Next": "A", "End": True}},
            "There should only be one of the following fields: [Next, End] at /States/A",
            id="next and end",
        ),
        pytest.param(
            {"A": {"Type": "Pass"}},
            "This object should have only one of the following fields: [Next, End] at /States/A",
            id="neither next nor end",
        ),
        pytest.param(
            {"A": {"Type": "Pass", "Output": 1, "End": True}},
            "The QueryLanguage is set to 'JSONPath', but field 'Output' is only supported for the 'JSONata' "
            "QueryLanguage at /States/A",
            id="other language",
        ),
        pytest.param(
            {"A": {"Type": "Task", "Resource": "nope", "End": True}},
            "Value is not a valid resource ARN at /States/A/Resource",
            id="resource",
        ),
    ],
)
def test_a_kind_of_fault_has_the_text_of_aws(states: Any, expected: str) -> None:
    assert told(states) == [f"SCHEMA_VALIDATION_FAILED: {expected}"]


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("states", "RESERVED_VARIABLE_NAME: Cannot assign to reserved variable '$states'."),
        ("a-b", f"INVALID_VARIABLE_NAME: {NOT_A_NAME}"),
    ],
)
def test_names_that_no_variable_can_have_are_told(name: str, expected: str) -> None:
    found = told({"A": {**PASS, "Assign": {name: 1}}}, QueryLanguage="JSONata")

    assert found == [f"{expected} at /States/A/Assign/{name}"]


def test_an_expression_that_is_not_closed_is_told() -> None:
    assert told({"A": {**PASS, "Output": "{% 1"}}, QueryLanguage="JSONata") == [
        "SCHEMA_VALIDATION_FAILED: JSONata string must start with {% and end with %} at /States/A/Output"
    ]


def test_what_an_object_lacks_is_one_sentence() -> None:
    text = "{}"

    assert [str(each) for each in diagnose(text, lint(text))] == [
        "SCHEMA_VALIDATION_FAILED: These fields are required: [StartAt, States] at /"
    ]


@pytest.mark.parametrize(
    ("fields", "expected"),
    [
        (
            {"ItemReader": {"ReaderConfig": {"InputType": "CSV", "CSVHeaderLocation": "GIVEN"}} | READS},
            "[CSVHeaders] at /States/A/ItemReader/ReaderConfig",
        ),
        ({"ItemReader": READS}, "[InputType] at /States/A/ItemReader"),
        (
            {"ResultWriter": {"Resource": "arn:aws:states:::s3:putObject"}},
            "[Parameters] at /States/A/ResultWriter",
        ),
    ],
)
def test_the_field_that_another_one_asks_for_is_named(fields: dict[str, Any], expected: str) -> None:
    config = {"Mode": "DISTRIBUTED", "ExecutionType": "STANDARD"}
    processor = {"StartAt": "B", "States": {"B": PASS}, "ProcessorConfig": config}
    states = {"A": {"Type": "Map", "ItemProcessor": processor, "End": True} | fields}

    assert told(states) == [f"SCHEMA_VALIDATION_FAILED: These fields are required: {expected}"]


def test_places_inside_arrays_are_written_with_brackets() -> None:
    branch = {"StartAt": "B", "States": {"B": {"Type": "Choice"}}}
    states = {"A": {"Type": "Parallel", "Branches": [branch], "End": True}}

    assert told(states) == [
        "SCHEMA_VALIDATION_FAILED: These fields are required: [Choices] at /States/A/Branches[0]/States/B"
    ]


def test_transitions_have_codes_of_their_own() -> None:
    states = {"pass1": {"Type": "Pass", "Next": "pass3"}, "pass2": PASS}

    assert told(states) == [
        "MISSING_TRANSITION_TARGET: Missing 'Next' target: pass3 at /States/pass1/Next",
        'MISSING_TRANSITION_TARGET: State "pass2" is not reachable. at /States/pass2',
    ]


def test_a_machine_without_end_names_no_place() -> None:
    assert told({"A": {"Type": "Pass", "Next": "A"}}) == [
        "MISSING_END_STATE: Workflow has no terminal state at null"
    ]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("{% 1 + %}", "INVALID_JSONATA_EXPRESSION: Unexpected end of expression"),
        ("{% a[1,2) %}", 'INVALID_JSONATA_EXPRESSION: Expected "]", got ","'),
        (
            "{% phone %}",
            "UNSUPPORTED_JSONATA_EXPRESSION: Reference to 'phone' at the top level is not supported.",
        ),
    ],
)
def test_expressions_that_aws_would_not_take_have_codes_of_their_own(expression: str, expected: str) -> None:
    states = {"E": {"Type": "Pass", "Output": {"v": expression}, "End": True}}

    assert told(states, QueryLanguage="JSONata") == [f"{expected} at /States/E/Output/v"]


def test_an_end_that_is_missing_is_told_after_missing_targets_and_instead_of_unreached_states() -> None:
    states = {"A": {"Type": "Pass", "Next": "nope"}, "B": {"Type": "Pass", "Next": "A"}}

    assert told(states) == [
        "MISSING_TRANSITION_TARGET: Missing 'Next' target: nope at /States/A/Next",
        "MISSING_END_STATE: Workflow has no terminal state at null",
    ]


def test_text_that_is_no_json_is_told_in_the_words_of_the_parser() -> None:
    [found] = diagnose("{'a'", lint("{'a'"))

    assert (found.code, found.location) == ("INVALID_JSON_DESCRIPTION", None)
    assert found.message.startswith(
        "Unexpected character (''' (code 39)): was expecting double-quote to start field name at [line: 1, "
    )


def test_a_warning_is_a_diagnostic_of_its_severity() -> None:
    fault = Fault(what="odd", code="entry-never-matches", path="/States/A/Retry/1", severity="warning")

    assert [each.as_json() for each in diagnose("{}", [fault])] == [
        {
            "severity": "WARNING",
            "code": "ENTRY_NEVER_MATCHES",
            "message": "Odd",
            "location": "/States/A/Retry/1",
        }
    ]


def test_a_resource_that_nobody_offers_is_named() -> None:
    text = json.dumps({"States": {"Query": {"Resource": "arn:aws:states:::dynamodb:query"}}})
    fault = Fault(what="no", code="unknown-resource", path="/States/Query/Resource")

    assert invalid_definition(text, [fault]).message == (
        "Invalid State Machine Definition: 'SCHEMA_VALIDATION_FAILED: The resource provided "
        "arn:aws:states:::dynamodb:query is not recognized. The value is not a valid resource ARN, or the "
        "resource is not available in this region. at /States/Query/Resource'"
    )


def _recorded() -> list[Any]:
    if SHARED is None:
        return []
    found = []
    for path in sorted((SHARED / "conformance").glob("sfn_api_map_run/*label*fail*.json")):
        case = json.loads(path.read_text(encoding="utf-8"))
        for call in case["calls"]:
            if call.get("error") == "InvalidDefinition":
                [name] = [key for key, answer in case["expected"].items() if "Error" in answer]
                found.append(pytest.param(case, name, id=path.stem.rpartition(".")[2]))
    return found


@needs_shared
@pytest.mark.parametrize(("case", "name"), _recorded())
def test_a_wrong_label_is_told_as_recorded(case: Any, name: str) -> None:
    [definition] = case["definitions"]
    text = definition if isinstance(definition, str) else json.dumps(definition)

    assert invalid_definition(text, lint(text)).message == case["expected"][name]["message"]
