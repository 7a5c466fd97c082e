"""The intrinsic functions `States.*`."""

from etl_runner.asl.jsonpath import PathSyntaxError
from etl_runner.asl.selector import Env
from etl_runner.jsontypes import Json


class IntrinsicCall:
    """A compiled call of an intrinsic function."""

    __slots__ = ("text",)

    def __init__(self, text: str) -> None:
        self.text = text

    def evaluate(self, env: Env) -> Json:
        """Give the call's result. Raises StatesError States.IntrinsicFailure, and PathNotFound."""
        raise NotImplementedError


def compile_call(text: str) -> IntrinsicCall:
    """Compile `States.Name(...)`. Raises PathSyntaxError with the offset at fault."""
    raise PathSyntaxError("intrinsic functions come with the next commit", text, 0)
