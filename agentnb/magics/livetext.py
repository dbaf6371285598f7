"""A text that grows below the cell which shows it: one display, one saved output."""

from __future__ import annotations

import sys
from html import escape
from time import monotonic
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["STYLE", "LiveText", "PrintedText"]

# As Lab has its own texts, which this stands among.
STYLE = (
    "margin:0;padding:0 8px;white-space:pre-wrap;color:var(--jp-content-font-color1,inherit);"
    "font-family:var(--jp-code-font-family,monospace);font-size:var(--jp-code-font-size,13px);"
    "line-height:var(--jp-code-line-height,1.3)"
)
_EVERY = 0.1


class LiveText:
    """One output of a cell that shows a text as it grows; ten updates a second at most.

    The first text is shown at once, later ones by `soon` when it is time, and the last one by
    `update`, which the notebook keeps.

    Parameters
    ----------
    render
        Returns the whole text.
    quiet
        Whether nothing is shown.
    """

    def __init__(self, render: Callable[[], str], *, quiet: bool = False) -> None:
        self._render, self._quiet = render, quiet
        self._handle: Any = None
        self._shown = ""
        self._last = 0.0

    @property
    def is_due(self) -> bool:
        """Whether the last update was a tenth of a second ago."""
        return monotonic() - self._last >= _EVERY

    def soon(self) -> None:
        """Show the text if it is time."""
        if self.is_due:
            self.update()

    def update(self) -> None:
        """Show the text now, if it has changed."""
        if self._quiet or (text := self._render()) == self._shown:
            return
        self._shown, self._last = text, monotonic()
        from IPython.display import display

        show: Any = display
        if self._handle is None:
            self._handle = show(_Text(text), display_id=True)
        else:
            self._handle.update(_Text(text))


class PrintedText:
    """A text that is printed as it grows, for a terminal, whose output cannot be updated.

    Parameters
    ----------
    redactor
        Masks secrets, in whole lines where they come soon.
    quiet
        Whether nothing is printed.
    """

    def __init__(self, redactor: Callable[[str], str], *, quiet: bool = False) -> None:
        self._redactor, self._quiet = redactor, quiet
        self._open = ""
        self._at_start = True

    def add(self, text: str) -> None:
        """Print the lines that are complete."""
        whole, line_break, self._open = (self._open + text).rpartition("\n")
        self._print(whole + line_break)

    def line(self, text: str) -> None:
        """Print a line of its own."""
        self.flush()
        self.end_line()
        self._print(f"{text}\n")

    def end_line(self) -> None:
        """Begin a new line, unless one has just begun."""
        if not self._at_start:
            self._print("\n")

    def flush(self) -> None:
        """Print what has not become a line yet."""
        text, self._open = self._open, ""
        self._print(text)

    def _print(self, text: str) -> None:
        if text and not self._quiet:
            self._at_start = text.endswith("\n")
            sys.stdout.write(self._redactor(text))
            sys.stdout.flush()


class _Text:
    def __init__(self, text: str) -> None:
        self._text = text

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return f'<pre style="{STYLE}">{escape(self._text)}</pre>'
