"""A cell that is the body of a function, as those of ``%%events on`` and ``%%queue task`` are."""

from __future__ import annotations

import ast
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentnb.magics.grammar import Call

__all__ = ["FunctionBody", "Role", "body_of", "kernel_only", "no_python"]

_SCOPES = (ast.FunctionDef, ast.AsyncFunctionDef, ast.ClassDef, ast.Lambda)


@dataclass(frozen=True, slots=True)
class Role:
    """The purpose of a cell's function.

    Attributes
    ----------
    service
        Whose it is.
    name
        The name of the function.
    parameter
        The names in its scope.
    called
        Its name in messages.
    example
        A line that it could consist of.
    instead_of_yield
        The way to do without a ``yield``.
    returns
        Whether its value matters: where it returns none, that of its last expression is it.
    """

    service: str
    name: str
    parameter: str
    called: str
    example: str
    instead_of_yield: str
    returns: bool = False


class FunctionBody:
    r"""The function of which a cell is the body.

    It is made of the syntax tree, since to indent the source would alter its texts. Names that
    it assigns are its own, unless it says ``global``; all others are the notebook's. ``await``
    makes it a coroutine function.

    Parameters
    ----------
    source
        Python, in which IPython's own syntax has been replaced already.
    role
        Its purpose.
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
    >>> role = Role("queue", "process", "job", "a processor", "job.data", "return it", returns=True)
    >>> process = FunctionBody("twice = job * factor\ntwice + 1", role).bound({"factor": 2})
    >>> process(21)
    43
    """

    def __init__(
        self, source: str, role: Role, *, filename: str = "<cell>", flags: int = 0
    ) -> None:
        self._filename = filename
        self._flags = flags
        tree = ast.parse(source, filename)
        self._check(tree, role)
        body = tree.body
        if role.returns and isinstance(body[-1], ast.Expr):
            last = body[-1]
            body[-1] = ast.copy_location(ast.Return(last.value), last)
        waits = any(map(_waits, _within(tree)))
        head = f"{'async ' if waits else ''}def {role.name}({role.parameter}): pass"
        self._tree = ast.parse(head)
        function: Any = self._tree.body[0]
        function.body = body
        ast.fix_missing_locations(self._tree)
        self.name = role.name
        # Some errors only the compiler sees, and nothing is replaced by what has one.
        self._code = compile(self._tree, filename, "exec", flags, dont_inherit=True)

    @staticmethod
    def _check(tree: ast.Module, role: Role) -> None:
        if not tree.body:
            raise UsageError(
                f"the cell has no body that could be {role.called}",
                service=role.service,
                hint=f"under the line, such as: {role.example}",
            )
        if any(isinstance(node, ast.Yield | ast.YieldFrom) for node in _within(tree)):
            raise UsageError(
                f"{role.called} cannot yield: no caller takes the values",
                service=role.service,
                hint=role.instead_of_yield,
            )

    @property
    def source(self) -> str:
        """The function as Python, without its comments."""
        return ast.unparse(self._tree)

    def bound(self, namespace: dict[str, Any]) -> Callable[..., Any]:
        """Return the function, whose names are those of a notebook."""
        scope: dict[str, Any] = {}
        exec(self._code, namespace, scope)  # noqa: S102 - to run the user's cell is what was asked for
        function: Callable[..., Any] = scope[self.name]
        return function


def body_of(call: Call, line: str, role: Role, shell: Any) -> FunctionBody:
    """Return the function of which the cell of a magic is the body.

    Parameters
    ----------
    call
        The magic's line, understood.
    line
        The line, in short.
    role
        The purpose of the function.
    shell
        The IPython shell.

    Raises
    ------
    UsageError
        There is no cell, it is no Python, has nothing to do, or yields.
    """
    if call.body is None:
        raise UsageError(
            f"{role.called} is the body of the cell",
            service=role.service,
            hint=f"{line}, and under it such as: {role.example}",
        )
    source = shell.transform_cell(call.body)
    # The line of the magic is counted, so that a traceback's lines are the notebook's.
    filename = shell.compile.cache(
        f"{line}\n{source}", shell.execution_count, raw_code=f"{line}\n{call.body}"
    )
    try:
        return FunctionBody(f"\n{source}", role, filename=filename, flags=shell.compile.flags)
    except SyntaxError as error:
        raise no_python(error, role.service, f"{line}\n{call.body}") from error


def no_python(error: SyntaxError, service: str, cell: str) -> UsageError:
    r"""Return the error of a cell that is no Python.

    IPython would show a SyntaxError with all the calls that led to the compiler.

    Parameters
    ----------
    error
        The compiler's, its lines counted from the magic's.
    service
        Whose the cell is.
    cell
        All of it, the line of the magic as well.

    Examples
    --------
    >>> try:
    ...     compile("\nx = (", "<cell>", "exec")
    ... except SyntaxError as error:
    ...     print(no_python(error, "queue", "%%queue task q\nx = (").message)
    SyntaxError: '(' was never closed, in line 2 of the cell: x = (
    """
    lines, number = cell.splitlines(), error.lineno or 0
    text = lines[number - 1].strip() if 0 < number <= len(lines) else ""
    where = f", in line {number} of the cell: {text}" if text else ""
    return UsageError(
        f"{type(error).__name__}: {error.msg}{where}",
        service=service,
        hint="mend the cell and run it again",
    )


def kernel_only(needs: Iterable[str]) -> str:
    """Return why a cell's function works in its notebook only, and how to change that.

    >>> kernel_only(["rate", "get_ipython"])[:80]
    "in this kernel only, since a worker process does not have rate, IPython's own sy"
    """
    shown = ["IPython's own syntax" if one == "get_ipython" else one for one in needs]
    return (
        f"in this kernel only, since a worker process does not have {', '.join(shown)}: "
        "import or define it in the cell"
    )


def _waits(node: ast.AST) -> bool:
    return isinstance(node, ast.Await | ast.AsyncFor | ast.AsyncWith) or (
        isinstance(node, ast.comprehension) and bool(node.is_async)
    )


def _within(node: ast.AST) -> Any:
    """Yield the nodes of a tree that are not inside of its functions."""
    for child in ast.iter_child_nodes(node):
        yield child
        if not isinstance(child, _SCOPES):
            yield from _within(child)
