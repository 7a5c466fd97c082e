import json
from pathlib import Path

import pytest

from etl_runner.asl.parse import lint, parse_definition
from etl_runner.errors import DefinitionError, Fault
from tests.shared_data import SHARED, needs_shared, shared_file

NOT_YET = "not-yet-supported"

LABELS_WE_DOUBT = {
    "asl-validator__-valid-path-array-context": "Jayway, which AWS runs, knows no [(@.length-1)]",
    "asl-validator__-valid-task-credentials": "AWS answers: the field 'RoleArn' is required in Credentials",
}

ODD_BUT_VALID = {"callback-without-timeout", "unresolved-substitution"}

REFUSED_ON_CREATION = "SCHEMA_VALIDATION_FAILED"

ABOVE_THIS_ROOM = {
    "dynamodb_task_service.test_invalid_integration": "which integrations there are",
    "sfn_api_express.test_illegal_callbacks_SYNC": "the type of the state machine",
    "sfn_api_express.test_illegal_callbacks_WAIT_FOR_TASK_TOKEN": "the type of the state machine",
    "sfn_api_validation.test_validate_state_machine_definition_type_express_ILLEGAL_WFTT": "its type",
}

PLACEHOLDERS = {
    "activities.test_activity_task": "the Resource is a placeholder of the recording",
    "activities.test_activity_task_no_worker_name": "the Resource is a placeholder of the recording",
}


def _files(*parts: str) -> list[Path]:
    return sorted(SHARED.glob("/".join(parts))) if SHARED else []


def _name(path: Path) -> str:
    return path.name.removesuffix(".asl.json")


def _refusal(text: str) -> tuple[Fault, ...]:
    try:
        parse_definition(text)
    except DefinitionError as error:
        return error.faults
    return ()


def _needs_the_next_release(text: str) -> bool:
    """Whether a published definition uses JSONata, variables, or items that are no records of one object."""
    later = ("JSONata", '"Assign"', '"MANIFEST"', '"PARQUET"', ":states:::s3:listObjectsV2")
    return any(name in text for name in later)


@needs_shared
@pytest.mark.parametrize("path", _files("corpus", "valid", "*.json"), ids=_name)
def test_a_published_definition_is_accepted_or_refused_by_the_feature_that_is_missing(path: Path) -> None:
    text = path.read_text()
    codes = {fault.code for fault in _refusal(text)}
    if _name(path) in LABELS_WE_DOUBT:
        assert codes
    elif _needs_the_next_release(text):
        assert codes == {NOT_YET}
    else:
        assert codes == set()


@needs_shared
@pytest.mark.parametrize("path", _files("corpus", "valid", "*.json"), ids=_name)
def test_a_published_definition_gets_no_false_alarm(path: Path) -> None:
    found = {fault.code for fault in lint(path.read_text()) if fault.severity == "warning"}

    assert found <= ODD_BUT_VALID


@needs_shared
@pytest.mark.parametrize("path", _files("corpus", "invalid", "*.json"), ids=_name)
def test_a_published_mistake_is_refused_with_a_place(path: Path) -> None:
    faults = _refusal(path.read_text())

    assert faults
    assert all(fault.line and fault.column and fault.code for fault in faults)


@needs_shared
@pytest.mark.parametrize("path", _files("conformance", "*", "*.json"), ids=lambda path: path.stem)
def test_what_aws_answered_to_a_definition_is_answered_here(path: Path) -> None:
    case = json.loads(path.read_text())
    definitions = [
        json.dumps(one) for one in case["definitions"] if isinstance(one, dict) and "States" in one
    ]
    answers = [{fault.code for fault in _refusal(text)} for text in definitions]
    id_without_hash = path.stem.rpartition(".")[0]
    if "InvalidDefinition" in path.read_text() or REFUSED_ON_CREATION in path.read_text():
        assert any(answers) or not answers or id_without_hash in ABOVE_THIS_ROOM
    elif id_without_hash not in PLACEHOLDERS:
        assert all(codes <= {NOT_YET} for codes in answers)


@needs_shared
def test_the_corpus_is_there() -> None:
    assert len(_files("corpus", "valid", "*.json")) >= 166
    assert shared_file("corpus", "index.jsonl").is_file()
