"""The name of a project, which is that of its folder and of its package."""

from __future__ import annotations

import keyword
import re
import sys
from importlib.machinery import PathFinder
from pathlib import Path
from shlex import quote

from agentnb.core.errors import UsageError

__all__ = ["check_name"]

_OURS = {"agentnb", "tests", "wheels", "workspace"}


def check_name(folder: Path) -> str:
    """Return the name of the project in a folder.

    Raises
    ------
    UsageError
        It is no name of a package, or another package has it already.

    Examples
    --------
    >>> check_name(Path("/srv/my_shop"))
    'my_shop'
    """
    name = folder.name
    if not (name.isascii() and name.isidentifier()) or keyword.iskeyword(name):
        raise UsageError(
            f"the project's folder is its package too, and {name!r} is no name of one",
            service="project",
            hint=f"agentnb init {quote(str(_suggestion(folder)))}",
        )
    reason = _taken(name, folder)
    if reason:
        raise UsageError(
            f"the project's package cannot be called {name}: {reason}",
            service="project",
            hint=f"agentnb init {quote(str(folder.with_name(f'{name}_app')))}",
        )
    return name


def _suggestion(folder: Path) -> Path:
    """Return the folder with the nearest name that a package can have.

    >>> _suggestion(Path("/srv/2 my-shop")).as_posix()
    '/srv/my_shop'
    """
    words = re.sub(r"\W+", "_", folder.name, flags=re.ASCII).strip("_").lstrip("0123456789_")
    word = words or "project"
    if not folder.name:
        return folder / word
    return folder.with_name(f"{word}_app" if keyword.iskeyword(word) else word)


def _taken(name: str, folder: Path) -> str:
    """Return who has the name already; empty for nobody."""
    if name in _OURS:
        return "agentnb or the project itself uses that name"
    if name in sys.stdlib_module_names:
        return "it is a module of Python's"
    # Not a package of the folder around, from which the command was run: nothing imports it there.
    around = {folder.parent.resolve(), Path.cwd().resolve()}
    places = [place for place in sys.path if place and Path(place).resolve() not in around]
    found = PathFinder.find_spec(name, places)
    if found is not None and found.origin is not None:
        return f"a package of that name is installed, at {Path(found.origin).parent}"
    return ""
