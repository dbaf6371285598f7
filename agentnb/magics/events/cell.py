"""The body of ``%%events on``: a function's, with ``event`` in scope."""

from __future__ import annotations

import ast
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["handler_of"]

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


def handler_of(
    source: str, namespace: dict[str, Any], *, name: str, filename: str, flags: int = 0
) -> Callable[..., Any]:
    r"""Return the function of which a cell is the body.

    It is made of the syntax tree, since to indent the source would alter its texts. Names that
    it assigns are its own, unless it says ``global``; all others are the notebook's.

    Parameters
    ----------
    source
        Python, in which IPython's own syntax has been replaced already.
    namespace
        The notebook's names.
    name
        What it is called.
    filename
        Under which IPython keeps the source, so that a traceback can show it.
    flags
        The compiler's, for what earlier cells imported from ``__future__``.

    Raises
    ------
    SyntaxError
        It is not Python.
    UsageError
        It has nothing to do, or yields.

    Examples
    --------
    >>> found = []
    >>> handle = handler_of("found.append(event * 2)", {"found": found}, name="h", filename="c")
    >>> handle(21), found
    (None, [42])
    """
    tree = ast.parse(source, filename)
    if not tree.body:
        raise UsageError(
            "the cell has no body that could handle an event",
            service="events",
            hint="under the line, such as: print(event.data)",
        )
    inner = list(_within(tree))
    if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in inner):
        raise UsageError(
            "a handler cannot yield: nobody would take it", service="events", hint="publish it"
        )
    waits = any(
        isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith)
        or (isinstance(node, ast.comprehension) and node.is_async)
        for node in inner
    )
    head = f"{'async ' if waits else ''}def {name}(event): pass"
    made = ast.parse(head)
    function: Any = made.body[0]
    function.body = tree.body
    code = compile(ast.fix_missing_locations(made), filename, "exec", flags, dont_inherit=True)
    scope: dict[str, Any] = {}
    exec(code, namespace, scope)  # noqa: S102 - to run the user's cell is what was asked for
    handler: Callable[..., Any] = scope[name]
    return handler


def _within(node: ast.AST) -> Any:
    """Yield the nodes of a tree that are not inside of its functions."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, _SCOPES):
            yield from _within(child)
