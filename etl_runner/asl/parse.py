"""The way in: definition text to StateMachine, or all that is wrong with it."""

import hashlib

from etl_runner.asl.advice import advise
from etl_runner.asl.bounds import AWS, Bounds
from etl_runner.asl.document import Document, Source
from etl_runner.asl.draft import Report, ScopeDraft
from etl_runner.asl.json_text import read_json
from etl_runner.asl.model import MapState, Place, QueryLanguage, Scope, StateMachine, TaskState
from etl_runner.asl.not_yet import check_not_yet
from etl_runner.asl.parse_states import StatesReader
from etl_runner.asl.references import variable_references
from etl_runner.asl.validate import check_express, check_graph, check_labels, check_names
from etl_runner.asl.variables import check_outer_names
from etl_runner.asl.yaml_text import read_yaml
from etl_runner.errors import DefinitionError, Fault


def parse_definition(
    text: str, *, file: str = "", yaml: bool = False, express: bool = False, bounds: Bounds = AWS
) -> StateMachine:
    """Read, check and compile a definition. Everything is compiled here, nothing when it runs.

    `file` only serves the faults. `express`: it is to be a state machine of type EXPRESS, which can do less.
    Raises DefinitionError with all faults, in the order of the text.
    """
    source = Source(text, file)
    machine, _, faults = _read(source, yaml=yaml, express=express, bounds=bounds)
    if machine is None:
        raise DefinitionError(_in_order(faults))
    return machine


def lint(
    text: str, *, file: str = "", yaml: bool = False, express: bool = False, bounds: Bounds = AWS
) -> list[Fault]:
    """Give all faults of a definition in the order of the text: errors, and warnings about what is odd.

    A text that cannot be read as far as its states gets no warnings.
    """
    source = Source(text, file)
    _, scopes, faults = _read(source, yaml=yaml, express=express, bounds=bounds)
    return _in_order([*faults, *advise(source, scopes, bounds)])


def resources(machine: StateMachine) -> list[tuple[str, int, str, Place]]:
    """Give what the machine asks others to do: resource, scope number, state name, and the state's place.

    In document order; a Map with ItemReader or ResultWriter has their resources too. Whether anyone can
    do it is for the rooms above to say.
    """
    found: list[tuple[str, int, str, Place]] = []
    for scope in machine.scopes:
        for name, state in scope.states.items():
            names: list[str] = []
            if isinstance(state, TaskState):
                names = [state.resource]
            elif isinstance(state, MapState):
                parts = (state.item_reader, state.result_writer)
                names = [part.resource for part in parts if part is not None and part.resource]
            found.extend((resource, scope.id, name, state.place) for resource in names)
    return found


def _read(
    source: Source, *, yaml: bool, express: bool, bounds: Bounds
) -> tuple[StateMachine | None, list[ScopeDraft], list[Fault]]:
    """Give the machine (None unless it is without fault), the drafts of its scopes, and the faults."""
    refused = _refuse_text(source, bounds)
    if refused is not None:
        return None, [], [refused]
    document = read_yaml(source) if yaml else read_json(source)
    if document.root is None:
        return None, [], list(document.faults)
    return _read_document(document, express=express, bounds=bounds)


def _refuse_text(source: Source, bounds: Bounds) -> Fault | None:
    try:
        size = len(source.text.encode())
    except UnicodeEncodeError as error:
        what = "the text has half of a surrogate pair here, which no file can hold"
        return source.fault(error.start, "invalid-text", what, "remove that character")
    if size > bounds.definition_bytes:
        what = f"the definition has {size:,} bytes, and {bounds.definition_bytes:,} are allowed"
        return source.fault(0, "definition-too-large", what, "move parts to state machines of their own")
    return None


def _read_document(
    document: Document, *, express: bool, bounds: Bounds
) -> tuple[StateMachine | None, list[ScopeDraft], list[Fault]]:
    assert document.root is not None
    report = Report(document.source, document.faults)
    reader = StatesReader(report, express=express, bounds=bounds)
    values = reader.machine(document.root)
    check_names(reader.scopes, report)
    check_labels(reader.scopes, report)
    check_graph(reader.scopes, report)
    check_outer_names(reader.scopes, report)
    check_express(reader.scopes, report)
    if not report.faults:
        check_not_yet(reader.scopes, report)
    if report.faults:
        return None, reader.scopes, report.faults
    values["query_language"] = QueryLanguage(values.get("query_language", QueryLanguage.JSONPATH))
    scopes = tuple(_scope(draft) for draft in reader.scopes)
    machine = StateMachine(
        scopes=scopes,
        variable_references=variable_references(scopes),
        sha256=hashlib.sha256(document.source.text.encode()).hexdigest(),
        **values,
    )
    return machine, reader.scopes, []


def _scope(draft: ScopeDraft) -> Scope:
    assert draft.start is not None
    states = {}
    for name, of_state in draft.states.items():
        assert of_state.state is not None, name
        states[name] = of_state.state
    return Scope(id=draft.id, start_at=draft.start.target, states=states, owner=draft.owner)


def _in_order(faults: list[Fault]) -> list[Fault]:
    return sorted(faults, key=lambda fault: (fault.line, fault.column))
