"""Starting programs so that the folder in which they run adds no code to them."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["absolute", "interrupts_blocked", "python", "search_paths"]


def python(*words: str, isolated: bool = False) -> list[str]:
    """Return the command that runs this interpreter.

    The folder that it runs in is not on its ``sys.path``: a ``json.py`` that somebody left there
    is not imported.

    Parameters
    ----------
    *words
        The rest of the command: ``"-m"``, a module and its arguments, or a script.
    isolated
        Whether site packages and PYTHON* variables are left out too, for a script that needs
        the standard library only.

    Examples
    --------
    >>> python("-m", "nbstripout")[1:]
    ['-P', '-m', 'nbstripout']
    """
    return [sys.executable, *(("-S", "-I") if isolated else ("-P",)), *words]


def absolute(variable: str) -> list[str]:
    """Return the folders of a variable such as ``PYTHONPATH``, as seen from this process.

    An empty one would be the folder that a program runs in, and is left out.
    """
    folders = os.environ.get(variable, "").split(os.pathsep)
    return [os.path.abspath(folder) for folder in folders if folder]  # noqa: PTH100 - at every command


def search_paths() -> dict[str, str]:
    """Return the variables by which programs of other makers find code, without this folder's.

    ``PYTHONSAFEPATH`` is what ``-P`` is to a Python that such a program starts.
    """
    names = ("PATH", "PYTHONPATH")
    found = {name: os.pathsep.join(absolute(name)) for name in names if os.environ.get(name)}
    return found | {"PYTHONSAFEPATH": "1"}


@contextmanager
def interrupts_blocked() -> Iterator[None]:
    """Let programs that this thread starts ignore Ctrl-C, and raise it here at the end.

    A notebook interrupts the whole process group of its kernel. It is for programs that others
    start; ours get a session of their own.
    """
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)
