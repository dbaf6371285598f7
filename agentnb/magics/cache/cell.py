"""Running a cell's body: its last expression's value, and the names that it assigns."""

from __future__ import annotations

import ast
import inspect
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping
    from types import TracebackType

    from agentnb.core.loop import LoopThread

__all__ = ["Body"]

_DEFINITIONS: tuple[type[ast.AST], ...] = (
    ast.Import,
    ast.ImportFrom,
    ast.FunctionDef,
    ast.AsyncFunctionDef,
    ast.ClassDef,
)
if hasattr(ast, "TypeAlias"):  # Python 3.12
    _DEFINITIONS += (ast.TypeAlias,)
_BRANCHES = (ast.If, ast.Try, ast.TryStar)
_SCOPES = (*_DEFINITIONS, ast.Lambda)
_COMPREHENSIONS = (ast.ListComp, ast.SetComp, ast.DictComp, ast.GeneratorExp)


class Body:
    r"""The Python of a cell.

    Parameters
    ----------
    source
        Python, in which IPython's own syntax has been replaced already.
    quiet
        Whether a closing semicolon asks not to display the value.
    filename
        Under which IPython keeps the source, so that a traceback can show it.
    flags
        The compiler's, for what earlier cells imported from ``__future__``.

    Attributes
    ----------
    names
        The public names that it assigns.
    changed
        Those that it changes a part of only, as in ``d["a"] = 1``.
    text
        The source without what does not matter, such as comments.

    Raises
    ------
    SyntaxError
        It is not Python.

    Examples
    --------
    >>> body = Body("import math\nhalf = math.pi / 2\n_hidden = 1\nround(half, 2)")
    >>> namespace = {}
    >>> body.run(namespace), sorted(body.names)
    (1.57, ['half'])
    """

    def __init__(
        self,
        source: str,
        *,
        quiet: bool = False,
        filename: str = "<cached cell>",
        flags: int = 0,
    ) -> None:
        self._filename = filename
        self._flags = flags | ast.PyCF_ALLOW_TOP_LEVEL_AWAIT
        self._tree = ast.parse(source, filename)
        self.text = f"{ast.dump(self._tree)}{';' if quiet else ''}"
        nodes = self._tree.body
        self._last: ast.Expr | None = None
        if nodes and isinstance(nodes[-1], ast.Expr) and not quiet:
            self._last = nodes.pop()  # type: ignore[assignment]  # it is one, as was just asked
        stored = [node for node in nodes if not _defines(node)]
        shown: list[ast.AST] = [*stored, *([self._last] if self._last else [])]
        self.names = _public(name for node in shown for name in _names_in(node, _bound))
        changed = _public(name for node in shown for name in _names_in(node, _base))
        self.changed = changed - self.names

    def run(self, namespace: dict[str, Any], loop: LoopThread | None = None) -> Any:
        """Run it in a namespace and return the value of its last expression.

        Parameters
        ----------
        namespace
            The notebook's names.
        loop
            Where ``await`` at the top of the cell waits.
        """
        __tracebackhide__ = True
        self._execute(self._tree, namespace, loop)
        if self._last is None:
            return None
        return self._execute(ast.Expression(self._last.value), namespace, loop)

    def restore(self, namespace: dict[str, Any], kept: Mapping[str, Any]) -> bool:
        """Put back the names that were kept, and what the cell defines, which is not.

        Returns
        -------
        bool
            Whether all were restored: a definition may need a private name, which is not kept.
        """
        nodes = [node for node in self._tree.body if _defines(node)]
        namespace.update(kept)  # which a definition may need
        try:
            self._execute(ast.Module(nodes, []), namespace, None)
        except Exception:  # noqa: BLE001 - the cell will run, and raise it if it is the user's
            return False
        namespace.update(kept)  # which may be what became of a definition
        return True

    def _execute(
        self, tree: ast.Module | ast.Expression, namespace: dict[str, Any], loop: LoopThread | None
    ) -> Any:
        __tracebackhide__ = True  # of a failing cell its own lines are of interest
        mode = "eval" if isinstance(tree, ast.Expression) else "exec"
        # Without what this module imports from __future__ itself.
        code = compile(tree, self._filename, mode, flags=self._flags, dont_inherit=True)
        result = eval(code, namespace)  # noqa: S307 - to run the user's cell is what was asked for
        if not code.co_flags & inspect.CO_COROUTINE or loop is None:
            return result
        try:
            return loop.call(lambda: result)
        except BaseException as error:
            # How it came back from the loop's thread is nobody's concern.
            error.__traceback__ = _from(error.__traceback__, self._filename)
            raise


def _defines(node: ast.stmt) -> bool:
    """Return whether a statement only defines, such as an import with one to fall back on."""
    if isinstance(node, _DEFINITIONS):
        return True
    if not isinstance(node, _BRANCHES):
        return False
    inner = [one for one in ast.iter_child_nodes(node) if isinstance(one, ast.stmt)]
    for handler in getattr(node, "handlers", ()):
        inner += handler.body
    return any(map(_defines, inner)) and all(
        _defines(one)
        or isinstance(one, ast.Pass)
        or (isinstance(one, ast.Assign) and isinstance(one.value, ast.Constant))
        for one in inner
    )


def _public(names: Iterable[str]) -> set[str]:
    return {name for name in names if not name.startswith("_")}


def _names_in(node: ast.AST, of: Callable[[ast.AST], set[str]]) -> set[str]:
    """Return what is found at the top of a tree, not inside of its functions."""
    if isinstance(node, _SCOPES):
        return set()
    if isinstance(node, _COMPREHENSIONS):
        # Its own variables stay inside; what := assigns does not.
        inner = [one.target for one in ast.walk(node) if isinstance(one, ast.NamedExpr)]
        return set().union(*map(of, inner))
    return of(node).union(*(_names_in(child, of) for child in ast.iter_child_nodes(node)))


def _bound(node: ast.AST) -> set[str]:
    """Return the name that this one node assigns."""
    if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
        return {node.id}
    if isinstance(node, (ast.MatchAs, ast.MatchStar)) and node.name:
        return {node.name}
    if isinstance(node, ast.MatchMapping) and node.rest:
        return {node.rest}
    return set()


def _base(node: ast.AST) -> set[str]:
    """Return the name of which this one node changes a part."""
    if not (isinstance(node, (ast.Subscript, ast.Attribute)) and isinstance(node.ctx, ast.Store)):
        return set()
    base: ast.AST = node.value
    while isinstance(base, (ast.Subscript, ast.Attribute)):
        base = base.value
    return {base.id} if isinstance(base, ast.Name) else set()


def _from(trace: TracebackType | None, filename: str) -> TracebackType | None:
    """Return a traceback without what comes before a file, or whole if it never gets there."""
    at = trace
    while at is not None and at.tb_frame.f_code.co_filename != filename:
        at = at.tb_next
    return at or trace
