"""The names of the notebook that a cell reads: its inputs, for ``--on auto``."""

from __future__ import annotations

import ast
import dis
import re
import symtable
from types import CodeType, FunctionType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

__all__ = ["inputs_of", "names_read"]

_GLOBAL = frozenset({"LOAD_GLOBAL", "LOAD_NAME"})
_COMPREHENSIONS = frozenset({"listcomp", "setcomp", "dictcomp", "genexpr"})

# IPython's forms of ``%magic``, ``%%magic``, ``!command`` and ``x = !command``.
_MAGICS = frozenset({"run_line_magic", "run_cell_magic"})
_COMMANDS = frozenset({"system", "getoutput"})
_WORD = re.compile(r"[^\W\d]\w*")
_FILLED_IN = re.compile(r"\$[^\W\d]\w*|\{[^{}]*\}")

_ALIKE = {
    "AsyncFor": "For",
    "AsyncFunctionDef": "FunctionDef",
    "ImportFrom": "Import",
    "TryStar": "Try",
    **dict.fromkeys(("ListComp", "SetComp", "DictComp", "GeneratorExp"), "comprehensions"),
}


def names_read(source: str) -> set[str]:
    """Return the names that a cell reads before it has assigned them itself.

    Names in functions count unless the cell assigns them anywhere, since they are read later.
    Magics find names in their texts, such as ``:least`` and frames in the SQL of ``%db``: each word
    of these counts.

    >>> sorted(names_read("x = x + k; y = x; later = lambda: w + late; late = [y * f for y in df]"))
    ['df', 'f', 'k', 'w', 'x']
    """
    reader = _Reader()
    tree = ast.parse(source)
    reader.visit(tree)
    later = _read_in_functions(symtable.symtable(source, "<cell>", "exec"))
    later.update(*(_read_by_magic(node) for node in ast.walk(tree) if isinstance(node, ast.Call)))
    return reader.read | (later - reader.assigned)


def inputs_of(source: str, namespace: Mapping[str, Any], hidden: Iterable[str]) -> set[str]:
    """Return the names of a notebook that the outcome of a cell depends on.

    A function of the notebook brings the names that it reads with it.

    Parameters
    ----------
    source
        The cell as Python.
    namespace
        The notebook's names.
    hidden
        Those that are not the user's.
    """
    left_out = set(hidden)
    found: set[str] = set()
    waiting = names_read(source)
    while waiting:
        name = waiting.pop()
        if name in found or name in left_out or name not in namespace:
            continue
        found.add(name)
        value = namespace[name]
        if isinstance(value, FunctionType) and value.__globals__ is namespace:
            waiting |= set(_globals_of(value.__code__))
    return found


def _read_by_magic(call: ast.Call) -> set[str]:
    """Return the words of a magic's text, or the names that IPython fills into a command."""
    function = call.func
    if not isinstance(function, ast.Attribute) or function.attr not in _MAGICS | _COMMANDS:
        return set()
    values = [one.value for one in call.args if isinstance(one, ast.Constant)]
    texts = [value for value in values if isinstance(value, str)]
    if function.attr in _COMMANDS:
        return _words(*(filled for text in texts for filled in _FILLED_IN.findall(text)))
    return _words(*texts[1:])


def _words(*texts: str) -> set[str]:
    """Return the words of some texts.

    >>> sorted(_words("select :least from orders", "{k + 1}"))
    ['from', 'k', 'least', 'orders', 'select']
    """
    return {word for text in texts for word in _WORD.findall(text)}


def _globals_of(code: CodeType) -> Iterator[str]:
    if _MAGICS.union(_COMMANDS).intersection(code.co_names):
        yield from _words(*(text for text in code.co_consts if isinstance(text, str)))
    for one in dis.get_instructions(code):
        if one.opname in _GLOBAL:
            yield one.argval
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _globals_of(constant)


def _read_in_functions(table: symtable.SymbolTable) -> set[str]:
    """Return the names of the notebook that functions, lambdas and classes of a cell read."""
    found: set[str] = set()
    for child in table.get_children():
        if child.get_name() in _COMPREHENSIONS and table.get_type() == "module":
            found |= _read_in_functions(child)  # it runs at once: see `_Reader`
            continue
        for symbol in child.get_symbols():
            if symbol.is_global() and symbol.is_referenced():
                found.add(symbol.get_name())
        found |= _read_in_functions(child)
    return found


class _Reader(ast.NodeVisitor):
    """Follows the top level of a cell in the order in which it runs.

    Attributes
    ----------
    read
        The names that are read before they were assigned.
    assigned
        Those that were assigned, whichever way the cell goes.
    """

    def __init__(self) -> None:
        self.read: set[str] = set()
        self.assigned: set[str] = set()

    def visit(self, node: ast.AST) -> None:
        """Follow a node."""
        kind = type(node).__name__
        getattr(self, f"visit_{_ALIKE.get(kind, kind)}", self.generic_visit)(node)

    def visit_Name(self, node: ast.Name) -> None:
        if isinstance(node.ctx, ast.Store):
            self.assigned.add(node.id)
        elif isinstance(node.ctx, ast.Del):
            self.assigned.discard(node.id)
        elif node.id not in self.assigned:
            self.read.add(node.id)

    def _in_order(self, *nodes: Any) -> None:
        for node in nodes:
            if isinstance(node, list):
                self._in_order(*node)
            elif isinstance(node, ast.AST):
                self.visit(node)

    def _perhaps(self, *ways: list[Any]) -> None:
        """Follow each way from here; what all of them assign is assigned."""
        before, ends = set(self.assigned), []
        for way in ways:
            self.assigned = set(before)
            self._in_order(way)
            ends.append(self.assigned)
        self.assigned = set.intersection(*ends)

    def visit_Call(self, node: ast.Call) -> None:
        self.read |= _read_by_magic(node) - self.assigned
        self.generic_visit(node)

    def visit_Assign(self, node: ast.Assign) -> None:
        self._in_order(node.value, node.targets)

    def visit_AnnAssign(self, node: ast.AnnAssign) -> None:
        if node.value is not None:
            self._in_order(node.value, node.target)

    def visit_AugAssign(self, node: ast.AugAssign) -> None:
        if isinstance(node.target, ast.Name) and node.target.id not in self.assigned:
            self.read.add(node.target.id)
        self._in_order(node.value, node.target)

    def visit_NamedExpr(self, node: ast.NamedExpr) -> None:
        self._in_order(node.value, node.target)

    def visit_For(self, node: ast.For | ast.AsyncFor) -> None:
        self.visit(node.iter)
        self._perhaps([node.target, node.body], [])
        self._in_order(node.orelse)

    def visit_While(self, node: ast.While) -> None:
        self.visit(node.test)
        self._perhaps([node.body], [])
        self._in_order(node.orelse)

    def visit_If(self, node: ast.If) -> None:
        self.visit(node.test)
        self._perhaps([node.body], [node.orelse])

    def visit_IfExp(self, node: ast.IfExp) -> None:
        self.visit(node.test)
        self._perhaps([node.body], [node.orelse])

    def visit_Try(self, node: ast.Try | ast.TryStar) -> None:
        self._perhaps([node.body, node.orelse], *[[one] for one in node.handlers])
        self._in_order(node.finalbody)

    def visit_ExceptHandler(self, node: ast.ExceptHandler) -> None:
        self._in_order(node.type)
        if node.name:
            self.assigned.add(node.name)
        self._in_order(node.body)

    def visit_Match(self, node: ast.Match) -> None:
        self.visit(node.subject)
        self._perhaps([], *[[one] for one in node.cases])

    def generic_visit(self, node: ast.AST) -> None:
        super().generic_visit(node)
        name = getattr(node, "name", None) if isinstance(node, ast.pattern) else None
        rest = getattr(node, "rest", None) if isinstance(node, ast.MatchMapping) else None
        self.assigned |= {one for one in (name, rest) if one}

    def visit_Import(self, node: ast.Import | ast.ImportFrom) -> None:
        self.assigned |= {(one.asname or one.name).partition(".")[0] for one in node.names}

    def visit_FunctionDef(self, node: ast.FunctionDef | ast.AsyncFunctionDef) -> None:
        arguments = node.args
        self._in_order(node.decorator_list, arguments.defaults, arguments.kw_defaults)
        self.assigned.add(node.name)

    def visit_Lambda(self, node: ast.Lambda) -> None:
        self._in_order(node.args.defaults, node.args.kw_defaults)

    def visit_ClassDef(self, node: ast.ClassDef) -> None:
        self._in_order(node.decorator_list, node.bases, [one.value for one in node.keywords])
        self.assigned.add(node.name)

    def visit_comprehensions(self, node: Any) -> None:
        before = set(self.assigned)
        for one in node.generators:
            self._in_order(one.iter, one.target, one.ifs)
        for name in ("key", "value", "elt"):
            self._in_order(getattr(node, name, None))
        named = {one.target.id for one in ast.walk(node) if isinstance(one, ast.NamedExpr)}
        self.assigned = before | (named & self.assigned)
