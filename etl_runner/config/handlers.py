"""Whether a handler exists, told from its source text: nothing is imported to find out."""

import ast
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches


@dataclass(frozen=True, slots=True)
class Problem:
    """Why a handler cannot be used. `line` and `column` are in `file` when the fault is in the code."""

    what: str
    remedy: str
    file: str = ""
    line: int = 0
    column: int = 0


def check_handler(handler: str, files: Mapping[str, bytes], folder: str) -> Problem | None:
    """Look for MODULE.FUNCTION among the Python files of a folder, given by their path in it.

    A name counts as defined when the module assigns, defines or imports it at its top; after `import *`
    anything may be. A plain function must take two arguments.
    """
    module, _, function = handler.rpartition(".")
    path = module.replace(".", "/")
    name = next((each for each in (f"{path}.py", f"{path}/__init__.py") if each in files), None)
    if name is None:
        modules = [each.removesuffix(".py").replace("/", ".") for each in files]
        close = get_close_matches(module, modules, n=2)
        hint = f"; did you mean {' or '.join(close)}?" if close else ""
        return Problem(f"there is no {path}.py in {folder}", f"write that file or correct the module{hint}")
    try:
        tree = ast.parse(files[name])
    except (SyntaxError, ValueError) as error:
        line, column = getattr(error, "lineno", 0) or 0, getattr(error, "offset", 0) or 0
        what = getattr(error, "msg", None) or str(error)
        return Problem(f"the module cannot be read: {what}", "correct the code", name, line, column)
    return _in_module(tree, function, name)


def _in_module(tree: ast.Module, function: str, name: str) -> Problem | None:
    defined = dict(_names(tree.body))
    if function not in defined:
        if "*" in defined:
            return None
        close = get_close_matches(function, defined, n=2)
        remedy = f"did you mean {' or '.join(close)}?" if close else f"write def {function}(event, context)"
        return Problem(f"{name} defines no {function}", remedy)
    node = defined[function]
    if isinstance(node, ast.AsyncFunctionDef):
        remedy = "write a plain function; it may run an event loop inside"
        return Problem(f"the handler {function} is async", remedy, name, node.lineno, node.col_offset + 1)
    if isinstance(node, ast.FunctionDef) and not node.decorator_list and not _takes_two(node.args):
        remedy = f"write def {function}(event, context)"
        what = f"the handler {function} cannot be called with (event, context)"
        return Problem(what, remedy, name, node.lineno, node.col_offset + 1)
    return None


def _names(body: list[ast.stmt]) -> Iterator[tuple[str, ast.AST]]:
    for node in body:
        match node:
            case ast.FunctionDef() | ast.AsyncFunctionDef() | ast.ClassDef():
                yield node.name, node
            case ast.Import() | ast.ImportFrom():
                for alias in node.names:
                    yield (alias.asname or alias.name).split(".")[0], node
            case ast.Assign():
                for target in node.targets:
                    yield from ((each.id, node) for each in ast.walk(target) if isinstance(each, ast.Name))
            case ast.AnnAssign(target=ast.Name() as target, value=ast.expr()):
                yield target.id, node
            case ast.If() | ast.Try() | ast.With():
                yield from _names([*node.body, *getattr(node, "orelse", []), *getattr(node, "finalbody", [])])
                for clause in getattr(node, "handlers", []):
                    yield from _names(clause.body)
            case _:
                pass


def _takes_two(arguments: ast.arguments) -> bool:
    positional = len(arguments.posonlyargs) + len(arguments.args)
    required = positional - len(arguments.defaults)
    keyword_only = any(default is None for default in arguments.kw_defaults)
    return required <= 2 and (positional >= 2 or arguments.vararg is not None) and not keyword_only
