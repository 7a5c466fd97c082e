"""Parallel and Map: work that is done by branches, iterations, or children of a map run."""

from etl_runner.asl import model
from etl_runner.asl.dataflow import JsonataExpression, JsonataPayload, PathNotFound, Selector, invalid_path
from etl_runner.errors import RUNTIME, QueryEvaluationError, StatesError
from etl_runner.jsontypes import Json, dumps_text
from etl_runner.machine import facts as f
from etl_runner.machine.decision import Decision
from etl_runner.machine.flow import effective_input, is_jsonata
from etl_runner.machine.groups import guarded_finish, open_children
from etl_runner.machine.map_plan import jsonata_number, make_plan, not_a_number
from etl_runner.machine.state import Frame, Group


def start_parallel(decision: Decision, frame: Frame, state: model.ParallelState) -> None:
    """Open every branch with the same input."""
    data = effective_input(decision, frame, state)
    if state.parameters is not None:
        data = state.parameters.evaluate(decision.env(frame, data))
    decision.emit(f.ParallelStarted(frame=frame.id, branches=len(state.branches), input=data))
    group = frame.open
    assert isinstance(group, Group)
    open_children(decision, frame, group)


def start_map(decision: Decision, frame: Frame, state: model.MapState) -> None:
    """Open the iterations, or hand the items to a map run."""
    data = effective_input(decision, frame, state)
    if state.mode is model.MapMode.DISTRIBUTED:
        items = _items(decision, frame, state, data)
        try:
            reads = decision.definition.variable_references.get(state.name, ())
            plan = make_plan(state, decision.env(frame, data), items=items, reads=reads)
        except StatesError:
            decision.emit(f.MapRunRefused(frame=frame.id, length=len(items or ())))
            raise
        decision.emit(f.MapRunStarted(frame=frame.id, token=decision.machine.next_token, plan=plan))
        return
    items = _items(decision, frame, state, data)
    assert isinstance(items, list)
    concurrency = _concurrency(decision, frame, state, data)
    decision.emit(f.MapStarted(frame=frame.id, items=items, concurrency=concurrency))
    group = frame.open
    assert isinstance(group, Group)
    if not items:
        decision.emit(f.MapSucceeded(frame=frame.id))
        guarded_finish(decision, frame, state, [])
        return
    open_children(decision, frame, group)


def _items(decision: Decision, frame: Frame, state: model.MapState, data: Json) -> Json:
    """What to map over; None when an ItemReader brings the items.

    It is an array. For a Distributed Map it may be an object too, whose pairs are the items then. Source:
    developer guide, "ItemReader", JSON data from a previous step.
    """
    if state.item_reader is not None:
        return None
    kinds = (list, dict) if state.mode is model.MapMode.DISTRIBUTED else (list,)
    if is_jsonata(state):
        return _jsonata_items(decision, frame, state, kinds)
    try:
        found = state.items_path.evaluate(decision.env(frame, data))
    except PathNotFound as miss:
        raise invalid_path(state.items_path, miss) from miss
    if not isinstance(found, kinds):
        raise StatesError(RUNTIME, f'Reference path "{state.items_path.text}" must point to array.')
    return found


def _jsonata_items(decision: Decision, frame: Frame, state: model.MapState, kinds: tuple[type, ...]) -> Json:
    """What Items gives; without it the input itself."""
    if state.items is not None:
        assert isinstance(state.items, JsonataPayload)
        env = decision.env(frame, frame.data)
        if dict not in kinds:
            return state.items.evaluate(env, "array")
        found = state.items.evaluate(env)
        # The second time, it fails with AWS's words for the type.
        return found if isinstance(found, kinds) else state.items.evaluate(env, "array")
    if not isinstance(frame.data, kinds):
        raise QueryEvaluationError(f"Map state input must be an array but was: {dumps_text(frame.data)}")
    return frame.data


def _concurrency(decision: Decision, frame: Frame, state: model.MapState, data: Json) -> int:
    given = state.max_concurrency
    found: Json = given if isinstance(given, int) else None
    if isinstance(given, JsonataExpression):
        env = decision.env(frame, data)
        found = jsonata_number(given, env, "MaxConcurrency", least=0, most=float("inf"))
    elif isinstance(given, Selector):
        env = decision.env(frame, data)
        try:
            found = given.evaluate(env)
        except PathNotFound as miss:
            raise invalid_path(given, miss) from miss
        if isinstance(found, bool) or not isinstance(found, int):
            raise StatesError(RUNTIME, not_a_number(given, "MaxConcurrencyPath", found))
        if found < 0:
            raise StatesError(RUNTIME, f"MaxConcurrency must not be negative, but it is {found}.")
    assert isinstance(found, int)
    most = decision.limits.inline_concurrency
    return min(found or most, most)
