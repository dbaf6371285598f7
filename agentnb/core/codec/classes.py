"""Classes by import path, found without running anything of what was stored."""

from __future__ import annotations

import ast
import importlib
import sys
from importlib.machinery import SOURCE_SUFFIXES, FileFinder, SourceFileLoader
from importlib.util import decode_source
from pathlib import Path
from typing import Any

from agentnb.core.codec.errors import ClassMissingError, UnstorableError

__all__ = ["find_class", "path_of"]

_MAIN = "__main__"
# Functions that make such a class.
_MAKERS = frozenset(
    {"namedtuple", "NamedTuple", "make_dataclass", "make_class", "defstruct", "create_model"}
    | {"Enum", "IntEnum", "StrEnum", "Flag", "IntFlag"}
)


def path_of(kind: type) -> str:
    """Return the import path of a class.

    Raises
    ------
    UnstorableError
        Another process could not find the class by it.

    Examples
    --------
    >>> from decimal import Decimal
    >>> path_of(Decimal)
    'decimal:Decimal'
    """
    module, name = kind.__module__, kind.__qualname__
    if "<locals>" in name:
        raise UnstorableError(
            f"the class {kind.__name__} is defined within a function",
            hint=f"define {kind.__name__} at the top of a module or of the notebook",
        )
    found = _looked_up(module, name)
    if found is kind:
        return f"{module}:{name}"
    if isinstance(found, type):
        raise UnstorableError(
            f"the value was made by an earlier definition of {kind.__name__}",
            hint=f"make it again with the {kind.__name__} of now",
        )
    raise UnstorableError(
        f"the class {kind.__name__} is not found as {module}.{name}",
        hint=f"define {kind.__name__} at the top of a module or of the notebook",
    )


def find_class(path: str) -> type:
    """Return the class of an import path.

    A module that is not imported yet is imported only if its source declares the class with
    a base or a decorator, as every enum, model and dataclass does. Nothing is called.

    Raises
    ------
    ClassMissingError
        There is no such class here.

    Examples
    --------
    >>> find_class("decimal:Decimal")
    <class 'decimal.Decimal'>
    """
    module, _, name = path.partition(":")
    if module not in sys.modules and _declares(module, name):
        try:
            importlib.import_module(module)
        except Exception as error:
            raise ClassMissingError(path, f"cannot be imported: {error}") from error
    found = _looked_up(module, name)
    # A class that only was imported there has another path.
    if not isinstance(found, type) or (found.__module__, found.__qualname__) != (module, name):
        raise ClassMissingError(path, "is not defined in this process")
    return found


def _looked_up(module: str, name: str) -> Any:
    """Return what a module holds under a dotted name, without ``__getattr__`` of anything."""
    found: Any = sys.modules.get(module)
    for part in name.split("."):
        if found is None:
            return None
        found = getattr(found, "__dict__", {}).get(part)
    return found


def _declares(module: str, name: str) -> bool:
    """Return whether the source of a module that is not imported declares a class."""
    parts = module.split(".")
    if module == _MAIN or not all(part.isidentifier() for part in parts) or parts[-1] == _MAIN:
        return False
    source = _source(parts)
    if source is None:
        return False
    try:
        body: list[ast.stmt] = ast.parse(source).body
    except (SyntaxError, ValueError, RecursionError):
        return False
    *outer, last = name.split(".")
    for part in outer:
        classes = [one for one in body if isinstance(one, ast.ClassDef) and one.name == part]
        body = classes[-1].body if classes else []
    return any(_makes(one, last) for one in body)


def _makes(statement: ast.stmt, name: str) -> bool:
    """Return whether a statement makes a class of a name that may hold a value."""
    if isinstance(statement, ast.ClassDef):
        return statement.name == name and bool(statement.bases or statement.decorator_list)
    if not (isinstance(statement, ast.Assign) and isinstance(statement.value, ast.Call)):
        return False
    made = [target.id for target in statement.targets if isinstance(target, ast.Name)]
    function = statement.value.func
    maker = getattr(function, "attr", getattr(function, "id", ""))
    return name in made and maker in _MAKERS


def _source(parts: list[str]) -> str | None:
    """Return the source of a module without importing it or its packages."""
    folders = list(sys.path)
    origin: str | None = None
    for end in range(1, len(parts) + 1):
        prefix = ".".join(parts[:end])
        package = sys.modules.get(prefix)
        if package is not None and end < len(parts):
            folders = list(getattr(package, "__path__", ()))
        else:
            folders, origin = _found_in(folders, prefix)
    if origin is None:
        return None
    try:
        return decode_source(Path(origin).read_bytes())
    except (OSError, UnicodeError, SyntaxError):
        return None


def _found_in(folders: list[str], name: str) -> tuple[list[str], str | None]:
    """Return the folders of a package, and the file of a module, that some folders hold."""
    portions: list[str] = []
    for folder in folders:
        spec = FileFinder(folder or ".", (SourceFileLoader, SOURCE_SUFFIXES)).find_spec(name)
        if spec is not None and spec.loader is not None:
            return list(spec.submodule_search_locations or ()), spec.origin
        if spec is not None:  # a folder without an __init__.py: a part of a package
            portions += spec.submodule_search_locations or ()
    return portions, None
