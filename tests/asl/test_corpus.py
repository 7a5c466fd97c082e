import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from etl_runner.asl.parse import lint, parse_definition
from etl_runner.errors import DefinitionError, Fault
from tests.shared_data import SHARED, needs_shared, shared_file

NOT_YET = "not-yet-supported"

LABELS_WE_DOUBT = {
    "asl-validator__-valid-assign": "the guide wants Unicode identifiers, and 'top-level' is none",
    "asl-validator__-valid-path-array-context": "Jayway, which AWS runs, knows no [(@.length-1)]",
    "asl-validator__-valid-task-credentials": "AWS answers: the field 'RoleArn' is required in Credentials",
    "asl-validator__-invalid-jsonata-surround-syntax-no-spaces": "deployed samples leave out the blanks",
}

ODD_BUT_VALID = {"callback-without-timeout", "unresolved-substitution"}

RIGHT_ALARMS = {
    "step-functions-workflows-collection__parallelized-embedding-pipeline-example-workflow": (
        "reads-what-was-replaced",
        "what lambda:invoke gives has Payload and no Bucket: the state after it fails in every run",
    ),
}

ABOVE_THIS_ROOM = {
    "dynamodb_task_service.test_invalid_integration": "which integrations there are",
    "base_scenarios.test_map_item_batching_base_json_max_per_batch_jsonata": (
        "a peer refused it; the recorded history shows that AWS ran it"
    ),
}

PLACEHOLDERS = {
    "activities.test_activity_task": "the Resource is a placeholder of the recording",
    "activities.test_activity_task_no_worker_name": "the Resource is a placeholder of the recording",
    "base_scenarios.test_illegal_escapes_ESCAPE_SEQUENCES_ILLEGAL_INTRINSIC_FUNCTION": (
        "a peer took it; the recorded answer is AWS's refusal"
    ),
    "base_scenarios.test_illegal_escapes_ESCAPE_SEQUENCES_ILLEGAL_INTRINSIC_FUNCTION_2": (
        "a peer took it; the recorded answer is AWS's refusal"
    ),
}


def _files(*parts: str) -> list[Path]:
    return sorted(SHARED.glob("/".join(parts))) if SHARED else []


def _name(path: Path) -> str:
    return path.name.removesuffix(".asl.json")


def _refusal(text: str, *, express: bool = False) -> tuple[Fault, ...]:
    try:
        parse_definition(text, express=express)
    except DefinitionError as error:
        return error.faults
    return ()


@needs_shared
@pytest.mark.parametrize("path", _files("corpus", "valid", "*.json"), ids=_name)
def test_a_published_definition_is_accepted(path: Path) -> None:
    codes = {fault.code for fault in _refusal(path.read_text())}

    if _name(path) in LABELS_WE_DOUBT:
        assert codes
    else:
        assert codes <= ({NOT_YET} if '"PARQUET"' in path.read_text() else set())


@needs_shared
@pytest.mark.parametrize("path", _files("corpus", "valid", "*.json"), ids=_name)
def test_a_published_definition_gets_no_false_alarm(path: Path) -> None:
    found = {fault.code for fault in lint(path.read_text()) if fault.severity == "warning"}

    assert found <= ODD_BUT_VALID | set(RIGHT_ALARMS.get(_name(path), ())[:1])


@needs_shared
@pytest.mark.parametrize("path", _files("corpus", "invalid", "*.json"), ids=_name)
def test_a_published_mistake_is_refused_with_a_place(path: Path) -> None:
    faults = _refusal(path.read_text())

    assert bool(faults) is (_name(path) not in LABELS_WE_DOUBT)
    assert all(fault.line and fault.column and fault.code for fault in faults)


def _creations(path: Path) -> Iterator[tuple[str, bool, bool]]:
    """The definitions that clients gave to AWS: text, whether it is for EXPRESS, whether it was refused."""
    case = json.loads(path.read_text())
    express: dict[str, bool] = {}
    for call in case["calls"]:
        parameters = call["parameters"]
        name = parameters.get("name") or parameters.get("stateMachineArn", "").rpartition(":")[2]
        if call["operation"] == "CreateStateMachine":
            express[name] = parameters.get("type") == "EXPRESS"
        elif call["operation"] != "UpdateStateMachine":
            continue
        given = parameters.get("definition")
        if given is None or call.get("error") not in {None, "InvalidDefinition"}:
            continue
        found = re.fullmatch(r"@definitions\[(\d+)\]", given)
        one = case["definitions"][int(found[1])] if found else given
        text = one if isinstance(one, str) else json.dumps(one)
        yield text, express.get(name, False), call.get("error") is not None


@needs_shared
@pytest.mark.parametrize("path", _files("conformance", "*", "*.json"), ids=lambda path: path.stem)
def test_what_aws_answered_to_a_definition_is_answered_here(path: Path) -> None:
    name = path.stem.rpartition(".")[0]
    creations = list(_creations(path))
    answers = [bool(_refusal(text, express=express)) for text, express, _ in creations]
    if name in ABOVE_THIS_ROOM:
        assert not any(answers)
    elif name in PLACEHOLDERS:
        assert any(answers)
    else:
        assert answers == [refused for _, _, refused in creations]


@needs_shared
@pytest.mark.parametrize("path", _files("conformance", "sfn_api_variable_references", "*.json"), ids=_name)
def test_the_variables_that_states_read_are_those_that_aws_names(path: Path) -> None:
    case = json.loads(path.read_text())
    answers = [one["variableReferences"] for one in case["expected"].values() if "variableReferences" in one]
    found = parse_definition(json.dumps(case["definitions"][0])).variable_references

    assert [{name: list(names) for name, names in found.items()}] == (answers[:1] or [{}])


@needs_shared
def test_the_corpus_is_there() -> None:
    assert len(_files("corpus", "valid", "*.json")) >= 166
    assert shared_file("corpus", "index.jsonl").is_file()
