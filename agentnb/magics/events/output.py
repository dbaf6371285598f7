"""The output of a handler, kept for its view."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from agentnb.core.forking import new_lock
from agentnb.magics.output import LONGEST, diverted

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Output"]

_LINES = 500


class Output:
    """Keeps the last lines that a handler has printed.

    Parameters
    ----------
    shell
        The IPython shell, for what is displayed.
    """

    def __init__(self, shell: Any) -> None:
        self._shell = shell
        self._lock = new_lock()
        self._lines: deque[str] = deque(maxlen=_LINES)
        self._open = ""
        self.changed: Callable[[], object] | None = None

    def write(self, text: str) -> int:
        """Take what is printed."""
        with self._lock:
            *lines, self._open = (self._open + text).split("\n")
            self._lines.extend(line[:LONGEST] for line in lines)
            self._open = self._open[-LONGEST:]
        if self.changed is not None:
            self.changed()
        return len(text)

    def end(self) -> None:
        """Leave an unfinished line to what is printed next."""

    @property
    def text(self) -> str:
        """The last lines of the output."""
        with self._lock:
            return "\n".join([*self._lines, self._open] if self._open else self._lines)

    def clear(self) -> None:
        """Forget what was printed."""
        with self._lock:
            self._lines.clear()
            self._open = ""

    def of(self, handler: Callable[..., Any]) -> Callable[..., Any]:
        """Return the handler, whose output comes here."""
        return diverted(handler, lambda _event: self, self._shell)
