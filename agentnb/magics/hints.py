"""Errors as a shell shows them, and questions that end in a question mark."""

from __future__ import annotations

import re
import sys
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import AgentnbError

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ShortErrors", "TraceHint", "keep_question"]

_LINE = "\x1b[2m%trace shows what it caused\x1b[0m"


class TraceHint:
    """Adds a line to the tracebacks that a shell shows.

    It is a part of the traceback, and no output of its own: a notebook that is compared with its
    saved outputs stays the same. Exceptions and handlers of the user's are left as they are.

    Parameters
    ----------
    shell
        The IPython shell.
    caused
        Whether the running cell has called a service.
    """

    def __init__(self, shell: Any, caused: Callable[[], bool]) -> None:
        self.on = True
        """Whether the line is shown."""
        self._shell, self._caused = shell, caused
        self._former: Any = shell._showtraceback  # noqa: SLF001 - all ways of showing end there
        self._own = self._show
        shell._showtraceback = self._own  # noqa: SLF001 - as above

    def _show(self, kind: Any, error: Any, lines: Any) -> Any:
        if self.on and isinstance(lines, list) and self._caused():
            lines = [*lines, _LINE]
        return self._former(kind, error, lines)

    def remove(self) -> None:
        """Let the shell show tracebacks as before; those of another extension stay its own."""
        self.on = False
        if vars(self._shell).get("_showtraceback") is self._own:
            self._shell._showtraceback = self._former  # noqa: SLF001 - as above


class ShortErrors:
    """Shows agentnb's errors as message and hint where IPython would print all that led to them.

    IPython prints an error with a group of exceptions behind it by `traceback`: nothing is masked,
    and a notebook that is run by a program has no error to keep. Other errors are left as they are.

    Parameters
    ----------
    shell
        The IPython shell.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._former: Any = shell.showtraceback
        self._own = self._show
        shell.showtraceback = self._own

    def _show(self, exc_tuple: Any = None, *args: Any, **options: Any) -> Any:
        kind, error, trace = exc_tuple or sys.exc_info()
        if not isinstance(error, AgentnbError) or not _has_group(error):
            return self._former(exc_tuple, *args, **options)
        sys.last_type, sys.last_value, sys.last_traceback = kind, error, trace  # for %debug and %tb
        lines = error._render_traceback_()
        return self._shell._showtraceback(kind, error, lines)  # noqa: SLF001 - as above

    def remove(self) -> None:
        """Let the shell show errors as before; the way of another extension stays its own."""
        if vars(self._shell).get("showtraceback") is self._own:
            self._shell.showtraceback = self._former


def _has_group(error: BaseException) -> bool:
    behind: BaseException | None = error
    while behind is not None and not isinstance(behind, BaseExceptionGroup):
        behind = behind.__context__
    return behind is not None


# As IPython does it, which takes a line that ends in "?" for a look at a name.
_QUESTION = re.compile(r"%ai[ \t]+(?!help\b)(?P<text>\S.*\?)[ \t]*\n?")


def keep_question(lines: list[str]) -> list[str]:
    r"""Return the lines of a cell with a question on the line of ``%ai`` as a call of the magic.

    >>> keep_question(["%ai Why is it blue?"]), keep_question(["%ai?"])
    (["get_ipython().run_line_magic('ai', 'Why is it blue?')\n"], ['%ai?'])
    """
    found = _QUESTION.fullmatch(lines[0]) if lines else None
    if found is None:
        return lines
    return [f"get_ipython().run_line_magic('ai', {found['text']!r})\n", *lines[1:]]
