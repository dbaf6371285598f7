"""The answer of a model as a notebook shows it: one output that grows as the words come."""

from __future__ import annotations

import sys
from html import escape
from time import monotonic
from typing import Any

from agentnb.core.format import cut

__all__ = ["AnswerView", "LiveAnswer"]

_EVERY = 0.1
_LONGEST = 200_000
_STYLE = "white-space: pre-wrap; overflow-wrap: anywhere; text-align: left; margin: 0"
_QUIET = "opacity: 0.7; font-size: 90%"


class AnswerView:
    """An answer: its text, and a line about it.

    It is shown as text, never as Markdown or HTML: an image in it would send what the model has
    read to whoever it names.

    Parameters
    ----------
    text
        The text, as far as it has come.
    about
        The line below.
    """

    def __init__(self, text: str, about: str) -> None:
        self.text, self.about = cut(text, _LONGEST), about

    def __repr__(self) -> str:
        return f"{self.text}\n[{self.about}]" if self.text else f"[{self.about}]"

    def _repr_html_(self) -> str:
        return (
            f'<pre style="{_STYLE}">{escape(self.text)}</pre>'
            f'<div style="{_QUIET}">{escape(self.about)}</div>'
        )


class LiveAnswer:
    """One output of a cell that shows an answer while it comes; in a terminal, its words.

    Parameters
    ----------
    shell
        The IPython shell.
    quiet
        Show nothing.
    """

    def __init__(self, shell: Any, *, quiet: bool) -> None:
        self._in_place = hasattr(shell, "kernel")
        self._quiet = quiet
        self._parts: list[str] = []
        self._handle: Any = None
        self._last = 0.0
        self._shown = 0

    @property
    def text(self) -> str:
        """The text, as far as it has come."""
        return "".join(self._parts)

    def add(self, words: str, about: str) -> None:
        """Take words, and display what is new, ten times a second at most."""
        if words:
            self._parts.append(words)
        if self._quiet:
            return
        if not self._in_place:
            sys.stdout.write(words)
            sys.stdout.flush()
        elif len(self._parts) > self._shown and monotonic() - self._last >= _EVERY:
            self._display(about)

    def end(self, about: str) -> None:
        """Display the whole answer, and the line about it."""
        if self._quiet:
            return
        if self._in_place:
            self._display(about)
        else:
            sys.stdout.write(f"\n[{about}]\n" if self._parts else f"[{about}]\n")

    def _display(self, about: str) -> None:
        from IPython.display import display

        show: Any = display
        self._last, self._shown = monotonic(), len(self._parts)
        view = AnswerView(self.text, about)
        if self._handle is None:
            self._handle = show(view, display_id=True)
        else:
            self._handle.update(view)
