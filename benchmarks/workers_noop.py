"""The function that benchmarks/workers.py runs."""


def handler(event: object, context: object) -> object:  # noqa: ARG001 -- a handler takes both
    return event
