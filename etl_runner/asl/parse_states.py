"""Walking a definition: each object read after its table in rules.py, each state made into its model."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Any, Final

from etl_runner.asl.bounds import AWS, Bounds
from etl_runner.asl.choice import compile_rule
from etl_runner.asl.document import Node, kind_of
from etl_runner.asl.draft import Link, Report, ScopeDraft, StateDraft
from etl_runner.asl.jsonata import is_jsonata
from etl_runner.asl.make_states import MODELS, PART_MAKERS, make_state
from etl_runner.asl.model import ChoiceBranch, QueryLanguage
from etl_runner.asl.parse_fields import read_template, read_value
from etl_runner.asl.parse_jsonata import (
    is_half_open,
    read_condition,
    read_expression,
    read_items,
    read_payload,
    refuse_half_open,
)
from etl_runner.asl.rules import AT_LEAST_ONE, AT_MOST_ONE, JSONATA, JSONPATH, OPERATORS, PLACES, Field, Kind
from etl_runner.asl.validate import (
    check_fields_together,
    check_states_all_last,
    value_of,
)
from etl_runner.asl.variables import check_assign
from etl_runner.errors import InvalidInput
from etl_runner.jsontypes import Json

_BESIDE_THE_TEST: Final = frozenset({"Next", "Comment", "Assign"})
"""Fields of a top-level choice rule in JSONPath that are no part of what it tests."""


@dataclass(frozen=True, slots=True, kw_only=True)
class _Around:
    """What surrounds an object that is read: its table, its name in a sentence, and where its links go."""

    table: str
    subject: str
    language: QueryLanguage
    scope: ScopeDraft
    draft: StateDraft
    links: list[Link]


class StatesReader:
    """Reads scopes and all that is in them; the drafts are in `scopes`, by scope number."""

    def __init__(self, report: Report, *, express: bool = False, bounds: Bounds = AWS) -> None:
        self.report = report
        self._express = express
        self._bounds = bounds
        self.scopes: list[ScopeDraft] = []
        self._structures: Mapping[Kind, Callable[[Node, Field, _Around], Any]] = {
            Kind.STATE_NAME: self._state_name,
            Kind.STATES: self._states,
            Kind.BRANCHES: self._branches,
            Kind.PROCESSOR: self._processor,
            Kind.CHOICES: self._choices,
            Kind.PART: self._part,
            Kind.PARTS: self._parts,
            Kind.RULE: self._nested_rule,
            Kind.RULES: self._nested_rules,
            Kind.TEMPLATE: self._payload,
            Kind.ASSIGN: self._assign,
            Kind.ITEMS: lambda node, _, around: read_items(*self._place(node, around)),
            Kind.CONDITION: lambda node, _, around: read_condition(*self._place(node, around)),
        }

    def machine(self, root: Node) -> dict[str, Any]:
        """Read the whole definition; give the fields of its top object under their model names."""
        language = self._language(root, JSONPATH)
        return self._scope(
            root, "state machine", "the state machine", language, owner="", express=self._express
        )[1]

    def _scope(
        self,
        node: Node,
        table: str,
        subject: str,
        language: QueryLanguage,
        *,
        owner: str,
        express: bool = False,
    ) -> tuple[ScopeDraft, dict[str, Any]]:
        scope = ScopeDraft(id=len(self.scopes), node=node, owner=owner, express=express)
        self.scopes.append(scope)
        links: list[Link] = []
        nobody = StateDraft(name=owner, type="", node=node)
        around = _Around(
            table=table, subject=subject, language=language, scope=scope, draft=nobody, links=links
        )
        values = self._fields(node, around)
        scope.start = links[0] if links else None
        return scope, values

    def _fields(self, node: Node, around: _Around) -> dict[str, Any]:
        """Read the fields of one object; give those that the model has, under their model names."""
        if not isinstance(node.value, dict):
            what = f"{around.subject} has to be an object"
            self.report.fault(node, "wrong-type", what, f"found {kind_of(node.value)}")
            return {}
        table = PLACES[around.table]
        values: dict[str, Any] = {}
        for key, item in node.members():
            field = table.get(key)
            if field is None:
                what = f"{around.subject} has the field {key!r}, which {_article(around.table)} does not have"
                self.report.fault(item, "unknown-field", what, self._instead(key, table), at_key=True)
            elif not self._refused(item, field, around):
                value = self._read(item, field, around)
                if field.attr:
                    values[field.attr] = value
        self._check_presence(node, table, around)
        check_fields_together(around.table, node, around.subject, self.report)
        return values

    def _instead(self, key: str, table: Mapping[str, Field]) -> str:
        """Say what may be meant by a field that is not in the table."""
        homes = [place for place in MODELS if key in PLACES[place]]
        return f"{key} is for {', '.join(homes)}; remove it" if homes else self.report.suggest(key, table)

    def _refused(self, node: Node, field: Field, around: _Around) -> bool:
        """Refuse a field of the other query language; tell whether it is not to be read."""
        if field.language is None or field.language is around.language:
            return False
        what = f"{node.name} of {around.subject} is for {field.language} and this is {around.language}"
        self.report.fault(node, "wrong-query-language", what, "remove it", at_key=True)
        return True

    def _read(self, node: Node, field: Field, around: _Around) -> Any:
        structure = self._structures.get(field.kind)
        if structure is not None:
            return structure(node, field, around)
        if field.jsonata and around.language is JSONATA:
            if is_jsonata(node.value):
                return read_expression(*self._place(node, around))
            if is_half_open(node.value):
                return refuse_half_open(node, around.subject, self.report)
        if field.payload:
            field = replace(field, high=self._bounds.payload_bytes)
        return read_value(node, field, around.subject, self.report)

    def _place(self, node: Node, around: _Around) -> tuple[Node, Node, str, Report]:
        """Give what the readers of JSONata ask for: the node, its state, its subject and the report."""
        return node, around.draft.node, around.subject, self.report

    def _payload(self, node: Node, _field: Field, around: _Around) -> Any:
        if around.language is JSONATA:
            return read_payload(*self._place(node, around))
        return read_template(node, around.subject, self.report)

    def _assign(self, node: Node, field: Field, around: _Around) -> Any:
        before = self.report.errors
        check_assign(node, around.subject, around.language, self.report)
        around.draft.assigns.append(node)
        return self._payload(node, field, around) if self.report.errors == before else None

    def _check_presence(self, node: Node, table: Mapping[str, Field], around: _Around) -> None:
        missing = [key for key, field in table.items() if field.required and node.get(key) is None]
        for key in missing:
            what = f"{around.subject} has no {key}"
            self.report.fault(node, "missing-field", what, f"add {key}", at_key=True)
        for group in AT_MOST_ONE.get(around.table, ()):
            found = [item for key in group if (item := node.get(key)) is not None]
            for extra in found[1:]:
                what = f"{around.subject} has {found[0].name} and {extra.name}, and they exclude each other"
                self.report.fault(extra, "exclusive-fields", what, "keep one of them", at_key=True)
        for group in AT_LEAST_ONE.get(around.table, ()):
            if not any(node.get(key) is not None for key in group):
                what = f"{around.subject} has none of {', '.join(group)}"
                self.report.fault(node, "missing-field", what, "add one of them", at_key=True)

    def _state_name(self, node: Node, field: Field, around: _Around) -> Any:
        value = read_value(node, field, around.subject, self.report)
        if value is not None:
            around.links.append(Link(node, value, around.subject))
        return value

    def _states(self, node: Node, _field: Field, around: _Around) -> None:
        if not isinstance(node.value, dict) or not node.value:
            what = f"States of {around.subject} has to be an object with at least one state"
            self.report.fault(node, "wrong-type", what, f"found {kind_of(node.value)}")
            return
        for name, item in node.members():
            around.scope.states[name] = self._state(name, item, around)

    def _state(self, name: str, node: Node, around: _Around) -> StateDraft:
        kind = value_of(node, "Type")
        if not isinstance(kind, str) or kind not in MODELS:
            return self._unknown_state(name, node, kind)
        before = self.report.errors
        draft = StateDraft(name=name, type=kind, node=node)
        draft.terminal = kind in {"Succeed", "Fail"} or value_of(node, "End") is True
        language = self._language(node, around.language)
        inner = replace(
            around,
            table=kind,
            subject=f"the {kind} state {name!r}",
            language=language,
            draft=draft,
            links=draft.links,
        )
        values = self._fields(node, inner)
        if self.report.errors == before:
            draft.state = make_state(draft, values, language)
        return draft

    def _unknown_state(self, name: str, node: Node, kind: Json) -> StateDraft:
        """Refuse a state whose type is not known; what it leads to still counts as reached."""
        draft = StateDraft(name=name, type="", node=node, terminal=True)
        found = node.get("Type")
        types = ", ".join(MODELS)
        if not isinstance(node.value, dict):
            what = f"the state {name!r} has to be an object"
            self.report.fault(node, "wrong-type", what, f"found {kind_of(node.value)}")
        elif found is None:
            what = f"the state {name!r} has no Type"
            self.report.fault(node, "missing-field", what, f"add one of {types}", at_key=True)
        else:
            remedy = self.report.suggest(kind, MODELS) if isinstance(kind, str) else ""
            what = f"the Type of the state {name!r} is {kind_of(kind)}, and it has to be one of {types}"
            self.report.fault(found, "unknown-state-type", what, remedy)
        entries = [
            entry for key in ("Catch", "Choices") for entry in getattr(node.get(key), "elements", list)()
        ]
        named = [node.get("Default"), *(entry.get("Next") for entry in [node, *entries])]
        draft.links = [
            Link(item, item.value, f"the state {name!r}")
            for item in named
            if item and isinstance(item.value, str)
        ]
        return draft

    def _language(self, node: Node, around: QueryLanguage) -> QueryLanguage:
        """Tell which query language holds in an object."""
        found = node.get("QueryLanguage")
        if found is None or found.value not in list(QueryLanguage):
            return around
        if found.value == JSONPATH and around is JSONATA:
            what = "a state cannot be JSONPath in a state machine whose QueryLanguage is JSONata"
            self.report.fault(found, "query-language-downgrade", what, "set JSONata on single states instead")
        return QueryLanguage(found.value)

    def _branches(self, node: Node, _field: Field, around: _Around) -> tuple[int, ...]:
        if not isinstance(node.value, list) or not node.value:
            what = f"Branches of {around.subject} has to be an array that is not empty"
            self.report.fault(node, "wrong-type", what, f"found {kind_of(node.value)}")
            return ()
        return tuple(self._inner_scope(branch, "branch", around) for branch in node.elements())

    def _processor(self, node: Node, _field: Field, around: _Around) -> int:
        kind = value_of(node, "ProcessorConfig", "ExecutionType")
        return self._inner_scope(node, "processor", around, express=kind == "EXPRESS")

    def _inner_scope(self, node: Node, table: str, around: _Around, *, express: bool = False) -> int:
        name = f"Branches[{node.name}]" if table == "branch" else node.name
        scope, _ = self._scope(
            node,
            table,
            f"{name} of {around.subject}",
            self._machine_language(),
            owner=around.draft.name,
            express=express or around.scope.express,
        )
        around.draft.inner.append(scope)
        return scope.id

    def _machine_language(self) -> QueryLanguage:
        """States inside a Parallel or Map take the machine's language, not that of the state around them."""
        return JSONATA if value_of(self.scopes[0].node, "QueryLanguage") == JSONATA else JSONPATH

    def _part(self, node: Node, field: Field, around: _Around) -> Any:
        return self._one_part(node, field.part, f"{node.name} of {around.subject}", around)

    def _parts(self, node: Node, field: Field, around: _Around) -> tuple[Any, ...]:
        if not isinstance(node.value, list):
            what = f"{node.name} of {around.subject} has to be an array"
            self.report.fault(node, "wrong-type", what, f"found {kind_of(node.value)}")
            return ()
        check_states_all_last(node, around.subject, self.report)
        return tuple(
            self._one_part(entry, field.part, f"{node.name}[{entry.name}] of {around.subject}", around)
            for entry in node.elements()
        )

    def _one_part(self, node: Node, part: str, subject: str, around: _Around) -> Any:
        before = self.report.errors
        values = self._fields(node, replace(around, table=part, subject=subject))
        if self.report.errors > before:
            return None
        return PART_MAKERS[part](values)

    def _choices(self, node: Node, _field: Field, around: _Around) -> tuple[ChoiceBranch, ...]:
        rules = self._rule_list(node, around)
        return tuple(branch for rule in rules if (branch := self._choice(rule, around)) is not None)

    def _rule_list(self, node: Node, around: _Around) -> list[Node]:
        rules = list(node.elements())
        if not rules:
            what = f"{node.name} of {around.subject} has to be an array of rules that is not empty"
            self.report.fault(node, "wrong-type", what, f"found {kind_of(node.value)}")
        return rules

    def _choice(self, node: Node, around: _Around) -> ChoiceBranch | None:
        before = self.report.errors
        subject = f"Choices[{node.name}] of {around.subject}"
        values = self._rule(node, replace(around, table="choice rule", subject=subject))
        if self.report.errors > before:
            return None
        if around.language is JSONATA:
            return ChoiceBranch(**values)
        test = {key: value for key, value in node.value.items() if key not in _BESIDE_THE_TEST}
        try:
            return ChoiceBranch(rule=compile_rule(test), **values)
        except InvalidInput as error:
            self.report.fault(node, "invalid-choice-rule", f"{subject}: {error}")
            return None

    def _nested_rules(self, node: Node, _field: Field, around: _Around) -> None:
        for rule in self._rule_list(node, around):
            subject = f"{node.name}[{rule.name}] of {around.subject}"
            self._rule(rule, replace(around, table="nested choice rule", subject=subject))

    def _nested_rule(self, node: Node, _field: Field, around: _Around) -> None:
        subject = f"Not of {around.subject}"
        self._rule(node, replace(around, table="nested choice rule", subject=subject))

    def _rule(self, node: Node, around: _Around) -> dict[str, Any]:
        values = self._fields(node, around)
        if not isinstance(node.value, dict):
            return values
        if around.language is JSONATA:
            if node.get("Condition") is None:
                what = f"{around.subject} has no Condition"
                self.report.fault(node, "missing-field", what, "add Condition")
            return values
        tests = [key for key in node.value if key in {"And", "Or", "Not"} or key in OPERATORS]
        compares = any(key in OPERATORS for key in tests)
        if len(tests) != 1:
            found = f"found {', '.join(tests)}" if tests else "found none"
            what = f"{around.subject} has to have one comparison, or one of And, Or and Not"
            self.report.fault(node, "choice-rule-tests", what, found)
        elif compares and node.get("Variable") is None:
            what = f"{around.subject} compares with {tests[0]} and has no Variable"
            self.report.fault(node, "missing-field", what, "say in Variable what to compare")
        elif not compares and (variable := node.get("Variable")) is not None:
            what = f"{around.subject} has Variable beside {tests[0]}"
            self.report.fault(
                variable, "exclusive-fields", what, "move it into the rules inside", at_key=True
            )
        return values


def _article(table: str) -> str:
    what = f"{table} state" if table in MODELS else table
    return f"an {what}" if what[0] in "AEIOU" else f"a {what}"
