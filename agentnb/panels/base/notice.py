"""Lines that must not be overlooked, such as that a queue has no worker."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

import ipywidgets

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Notice"]


class Notice:
    """Lines on a ground of their own, read aloud when they change; without any it takes no room.

    Parameters
    ----------
    tone
        ``"warn"``, ``"bad"`` or ``"brand"``: the colour at its edge.

    Examples
    --------
    >>> notice = Notice()
    >>> notice.show(["no worker for <mail>"])
    >>> notice.lines
    ['no worker for <mail>']
    """

    def __init__(self, tone: str = "warn") -> None:
        self.lines: list[str] = []
        self.widget = ipywidgets.HTML()
        self.widget.add_class("agentnb-notice")
        self.widget.add_class(f"agentnb-{tone}")
        self.widget.layout.display = "none"

    def show(self, lines: Iterable[str]) -> None:
        """Show these lines in the place of the ones before."""
        shown = list(lines)
        if shown == self.lines:
            return
        self.lines = shown
        words = "<br>\n".join(escape(line) for line in shown)
        self.widget.value = f'<div role="status">{words}</div>' if shown else ""
        self.widget.layout.display = None if shown else "none"
