"""Modules made of cells: a function that another process can run, or why it cannot.

A cell's function may use names of its notebook. An imported name becomes an import of the module.
Any other name is missing in another process: the module then only lists them, for the loader's
error.
"""

from __future__ import annotations
import __future__

import ast
import builtins
import errno
import os
import symtable
import sys
import tempfile
from contextlib import suppress
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.core.paths import ensure_home, home_error
from agentnb.core.trust import private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

__all__ = ["CellModule", "imports_of", "is_builtin", "keep_module"]

# Put among the builtins by IPython, which a worker process has not.
_OF_A_NOTEBOOK = {"get_ipython", "display", "__IPYTHON__"}
_NOTHING = object()
_OF_A_MODULE = {"__name__", "__file__", "__doc__"}


class CellModule:
    r"""A function as the source of a module of its own.

    Parameters
    ----------
    source
        The function, ``def`` or ``async def``.
    name
        Its name.
    namespace
        The notebook's names, by which it was written.
    marked
        The module and the function that mark it, and what is given to that, as Python: such as
        ``("agentnb.core.queue", "processor", "'mail'")``.
    also
        Names that the function needs besides those in its source.
    flags
        The compiler's, for what earlier cells imported from ``__future__``.
    cells
        The notebook's cells, as Python: they say where a value came from that does not know.

    Attributes
    ----------
    needs
        The names of the notebook's that keep it in the notebook, sorted.
    text
        The module.

    Examples
    --------
    >>> import math
    >>> made = CellModule(
    ...     "def process(job):\n    return math.sqrt(job.data)",
    ...     "process",
    ...     {"math": math},
    ...     ("agentnb.core.queue", "processor", "'roots'"),
    ... )
    >>> print(made.text)
    from agentnb.core.queue import processor as _processor
    import math
    <BLANKLINE>
    @_processor('roots')
    def process(job):
        return math.sqrt(job.data)
    <BLANKLINE>
    >>> made = CellModule("def f(job):\n    return rate * job", "f", {"rate": 2}, ("m", "p", ""))
    >>> made.needs, made.text
    (('rate',), "KERNEL_ONLY = ('rate',)\n")
    """

    def __init__(
        self,
        source: str,
        name: str,
        namespace: Mapping[str, Any],
        marked: tuple[str, str, str],
        *,
        also: tuple[str, ...] = (),
        flags: int = 0,
        cells: Sequence[str] = (),
    ) -> None:
        imports, needs = [], list(also)
        # The function's own name is not bound in the notebook.
        future = [f"from __future__ import {one}" for one in _features(flags)]
        for free in sorted(_free("\n".join([*future, source]), namespace)):
            found = [] if free == name else imports_of(free, namespace.get(free), source, cells)
            imports += found
            if not found:
                needs.append(free)
        self.needs = tuple(sorted(set(needs)))
        if self.needs:
            self.text = f"KERNEL_ONLY = {self.needs!r}\n"
            return
        of, mark, given = marked
        head = [*future, f"from {of} import {mark} as _{mark}", *imports]
        lines = [*head, "", f"@_{mark}({given})", source]
        self.text = "\n".join(lines) + "\n"


def _free(source: str, namespace: Mapping[str, Any]) -> set[str]:
    """Return the names that a function takes from around it, and that Python itself has not."""
    top = symtable.symtable(source, "<cell>", "exec")
    used = {name for table in top.get_children() for name in _globals(table)}
    return {name for name in used - _OF_A_MODULE if not is_builtin(name, namespace)}


def _globals(table: symtable.SymbolTable) -> Iterator[str]:
    if table.get_type() == "annotation":  # which nothing evaluates
        return
    for symbol in table.get_symbols():
        if symbol.is_global():
            yield symbol.get_name()
    for child in table.get_children():
        yield from _globals(child)


def is_builtin(name: str, namespace: Mapping[str, Any]) -> bool:
    """Return whether a name of a notebook stands for what every process has."""
    if name in _OF_A_NOTEBOOK or not hasattr(builtins, name):
        return False
    ours = getattr(builtins, name)
    value = namespace.get(name, ours)
    # A shell puts an ``open`` of its own, wrapped around Python's, into every notebook.
    return value is ours or getattr(value, "__wrapped__", None) is ours


def imports_of(name: str, value: object, source: str, cells: Sequence[str]) -> list[str]:
    """Return the statements that import what a name stands for, none if it cannot be imported."""
    module = _importable(value)
    if module is not None:
        first = f"import {module}" + ("" if module == name else f" as {name}")
        return [first, *(f"import {one}" for one in _inner(source, name, module))]
    for home, own in (*_by_itself(value), *_as_written(name, cells)):
        there = sys.modules.get(home)
        if there is not None and _importable(there) and getattr(there, own, _NOTHING) is value:
            return [f"from {home} import {own}" + ("" if own == name else f" as {name}")]
    return []


def _by_itself(value: object) -> list[tuple[str, str]]:
    """Return where a function or a class says that it is from, and its name there."""
    home, own = getattr(value, "__module__", None), getattr(value, "__name__", None)
    return [(home, own)] if isinstance(home, str) and isinstance(own, str) else []


def _as_written(name: str, cells: Sequence[str]) -> Iterator[tuple[str, str]]:
    """Yield where the cells have imported a name from, the last first, and its name there."""
    for cell in reversed(cells):
        if "import" not in cell:
            continue
        with suppress(SyntaxError, ValueError):
            for node in ast.walk(ast.parse(cell)):
                if isinstance(node, ast.ImportFrom) and node.module and not node.level:
                    for one in node.names:
                        if one.name == "*" or (one.asname or one.name) == name:
                            yield node.module, name if one.name == "*" else one.name


def _importable(value: object) -> str | None:
    """Return the name by which a module is imported anywhere, or None."""
    if not isinstance(value, ModuleType) or value.__name__ == "__main__":
        return None
    found = sys.modules.get(value.__name__) is value and getattr(value, "__spec__", None)
    return value.__name__ if found else None


def _inner(source: str, name: str, module: str) -> list[str]:
    """Return the modules inside of one that a function reaches through its name."""
    found = set()
    for node in ast.walk(ast.parse(source)):
        path: list[str] = []
        at: ast.AST = node
        while isinstance(at, ast.Attribute):
            path.insert(0, at.attr)
            at = at.value
        if isinstance(at, ast.Name) and at.id == name:
            found |= {".".join([module, *path[: n + 1]]) for n in range(len(path))}
    return sorted(one for one in found if _importable(sys.modules.get(one)) == one)


def _features(flags: int) -> list[str]:
    known = {name: getattr(__future__, name) for name in __future__.all_feature_names}
    return [name for name, one in known.items() if flags & one.compiler_flag and not _always(one)]


def _always(feature: Any) -> bool:
    mandatory = feature.getMandatoryRelease()
    return mandatory is not None and mandatory <= sys.version_info


def keep_module(home: Path, path: Path, text: str) -> None:
    """Write a module into a home, for this user alone, whole or not at all.

    Raises
    ------
    ConfigError, UnavailableError, UsageError
        It cannot be written: by this user, since the disk is full, under such a name.
    """
    ensure_home(home)
    folder = path.parent
    try:
        private_folder(folder, service="modules")
        # Made with mode 0600, under a name that is no module's.
        number, name = tempfile.mkstemp(dir=folder, prefix=".", suffix=".tmp")
        try:
            with os.fdopen(number, "w", encoding="utf-8") as file:
                file.write(text)
            Path(name).replace(path)
        except BaseException:
            with suppress(OSError):
                Path(name).unlink()
            raise
    except OSError as error:
        if error.errno == errno.ENAMETOOLONG:
            raise UsageError(
                "the module of the cell cannot be kept: its name is too long for a file's",
                service="modules",
                hint="a shorter name; letters other than ASCII's count for six and more",
            ) from error
        what = "the module of the cell cannot be kept"
        raise home_error(f"{what}: {error}", error, service="modules") from error
