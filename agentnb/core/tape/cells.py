"""Cells of a notebook as units of work: their source, and the names that they take from it."""

from __future__ import annotations

import ast
import symtable
import textwrap
import tokenize
from collections.abc import Sized
from contextlib import suppress
from io import StringIO
from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.cellmodule import imports_of, is_builtin
from agentnb.core.tape.values import dump, load, raw

if TYPE_CHECKING:
    from collections.abc import Mapping

__all__ = ["CellSource", "cell_source", "definition"]

_LARGEST = 64_000
_OWN = frozenset({"hub"})
_MAGIC = "get_ipython"


class CellSource(NamedTuple):
    """A cell, and all that it takes from its notebook.

    Attributes
    ----------
    source
        The cell as Python.
    names
        The values of the names that it uses, as plain values.
    imports
        The statements that import the others.
    missing
        The names that are neither: a test has not got them.
    """

    source: str
    names: dict[str, Any]
    imports: list[str]
    missing: list[str]

    def unit(self, number: object, trace_id: str) -> dict[str, Any]:
        """Return the cell as the unit of a tape."""
        return {"kind": "cell", "id": number, "attempt": 1, **self._asdict(), "trace_id": trace_id}


def cell_source(
    source: str, namespace: Mapping[str, Any], cells: list[str] | None = None
) -> CellSource:
    """Return a cell with the values that its names have now, before it runs.

    Parameters
    ----------
    source
        The cell as Python: magics are calls of ``get_ipython()``.
    namespace
        The names of the notebook.
    cells
        The earlier cells, which say where a name was imported from.

    Examples
    --------
    >>> cell_source("n = rate * len(x)", {"rate": 2, "x": [1], "n": object(), "hub": None})[1:]
    ({'rate': 2, 'x': [1]}, [], [])
    """
    try:
        used, assigned = _names(source)
    except SyntaxError:
        return CellSource(source, {}, [], [])  # it calls nothing
    names: dict[str, Any] = {}
    imports: list[str] = []
    missing: list[str] = []
    for name in sorted(used - _OWN):
        if name not in namespace:
            if name == _MAGIC:
                missing.append("magics")
            continue  # a builtin, or the error that ends the cell
        value = namespace[name]
        if name == _MAGIC:
            missing.append("magics")
        elif is_builtin(name, namespace):
            continue
        elif found := imports_of(name, value, source, cells or []):
            imports += found
        elif (kept := _kept(value)) is not _NOT_KEPT:
            names[name] = kept
        elif name not in assigned:  # else it is most likely what an earlier run has left
            missing.append(name)
    return CellSource(source, names, imports, missing)


_NOT_KEPT = object()


def _kept(value: Any) -> Any:
    try:
        if isinstance(value, Sized) and len(value) > _LARGEST:
            return _NOT_KEPT  # without a look at each item, before each cell
        plain = dump(value, raw)
        load(plain)
    except Exception:  # noqa: BLE001 - a value of the user's may do anything
        return _NOT_KEPT
    return plain if len(repr(plain)) <= _LARGEST else _NOT_KEPT


def _names(source: str) -> tuple[set[str], set[str]]:
    """Return the names of the notebook that a cell uses, and those that it assigns."""
    used: set[str] = set()
    assigned: set[str] = set()
    tree = _WithGenerators().visit(ast.parse(_synchronous(source)))
    tables = [symtable.symtable(ast.unparse(tree), "<cell>", "exec")]
    while tables:
        table = tables.pop()
        for one in table.get_symbols():
            is_top = table.get_type() == "module"
            if one.is_referenced() and (is_top or one.is_global()):
                used.add(one.get_name())
            if is_top and one.is_assigned():
                assigned.add(one.get_name())
        tables += table.get_children()
    return used, assigned


def _synchronous(source: str) -> str:
    """Return a source that the compiler takes as a module: an await of a cell is a call there."""
    try:
        compile(source, "<cell>", "exec", dont_inherit=True)
    except SyntaxError:
        return ast.unparse(_WithoutAwait().visit(ast.parse(source)))
    return source


class _WithGenerators(ast.NodeTransformer):
    """Makes generators of comprehensions, whose names belong to the module since Python 3.12."""

    def visit_ListComp(self, node: ast.ListComp) -> Any:
        self.generic_visit(node)
        return ast.GeneratorExp(node.elt, node.generators)

    def visit_SetComp(self, node: ast.SetComp) -> Any:
        self.generic_visit(node)
        return ast.GeneratorExp(node.elt, node.generators)

    def visit_DictComp(self, node: ast.DictComp) -> Any:
        self.generic_visit(node)
        both = ast.Tuple([node.key, node.value], ast.Load())
        return ast.GeneratorExp(both, node.generators)


class _WithoutAwait(ast.NodeTransformer):
    def visit_Await(self, node: ast.Await) -> Any:
        return self.visit(node.value)

    def visit_AsyncFor(self, node: ast.AsyncFor) -> Any:
        self.generic_visit(node)
        return ast.For(node.target, node.iter, node.body, node.orelse, lineno=node.lineno)

    def visit_AsyncWith(self, node: ast.AsyncWith) -> Any:
        self.generic_visit(node)
        return ast.With(node.items, node.body, lineno=node.lineno)


def definition(name: str, source: str, names: list[str]) -> tuple[str, bool]:
    """Return a function whose body is a cell, and whether it is a coroutine function.

    Raises
    ------
    SyntaxError
        The cell has what no function may, such as ``from x import *``.

    Examples
    --------
    >>> print(definition("cell_3", "x = rate", ["rate"])[0])
    def cell_3(hub, rate):
        x = rate
    """
    body = source.strip("\n") or "pass"
    if _has_long_strings(body):
        body = ast.unparse(ast.parse(body))
    head = f"def {name}({', '.join(['hub', *names])}):\n" + textwrap.indent(body, "    ")
    for text in (head, f"async {head}"):
        with suppress(SyntaxError):
            compile(text, "<cell>", "exec", dont_inherit=True)
            return text, text is not head
    compile(head, "<cell>", "exec", dont_inherit=True)
    raise AssertionError(head)  # the line above raises


def _has_long_strings(source: str) -> bool:
    """Return whether a token has several lines, such as a string, which must not be indented."""
    tokens = tokenize.generate_tokens(StringIO(source).readline)
    return any(one.start[0] != one.end[0] and one.string.strip() for one in tokens)
