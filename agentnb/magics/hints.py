"""The line about ``%trace`` below a failed cell, and questions that end in a question mark."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["TraceHint", "keep_question"]

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
