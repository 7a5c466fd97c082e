"""GetExecutionHistory."""

from collections.abc import Mapping
from typing import Final

from etl_runner.api.sfn.call import Action, Call, Reply
from etl_runner.api.sfn.describe import find_execution
from etl_runner.api.sfn.histories import as_json
from etl_runner.api.sfn.paging import make_token, page_size, place_of
from etl_runner.store.reads import Reads


def get_execution_history(call: Call) -> Reply:
    """GetExecutionHistory."""
    given = call.parameters
    arn, newest_first = given["executionArn"], given.get("reverseOrder", False)
    include_data = given.get("includeExecutionData", True)
    row = find_execution(Reads(call.rooms.store), arn)
    question = [arn, newest_first, include_data]
    place = place_of(given.get("nextToken"), question, int)
    events = call.rooms.histories.events(row, include_data=include_data)
    # A place is the number of events before it in time, which stays what it is while the history grows.
    if newest_first:
        end = len(events) if place is None else place
        begin = max(0, end - page_size(given))
        reply: Reply = {"events": as_json(events[begin:end][::-1])}
        return reply | ({"nextToken": make_token(question, begin)} if begin else {})
    begin = place or 0
    end = begin + page_size(given)
    reply = {"events": as_json(events[begin:end])}
    return reply | ({"nextToken": make_token(question, end)} if end < len(events) else {})


ACTIONS: Final[Mapping[str, Action]] = {"GetExecutionHistory": get_execution_history}
