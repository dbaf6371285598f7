"""Blocks of text and of HTML that scroll where they are long."""

from __future__ import annotations

from html import escape

import ipywidgets

from agentnb.panels.base.saved import Instruction, html_of

__all__ = ["HtmlBlock", "TextBlock"]


class HtmlBlock:
    """HTML that the package has made, which scrolls where it is long.

    Parameters
    ----------
    label
        The accessible name.
    height
        Greatest height, any CSS length.
    """

    def __init__(self, label: str, *, height: str = "360px") -> None:
        self._label, self._height = label, height
        self._shown = ""
        self.widget = ipywidgets.HTML()
        self.widget.add_class("agentnb-html-block")

    def show(self, html: str) -> None:
        """Show it in the place of the one before; the same again keeps where it was scrolled to."""
        if html == self._shown:
            return
        self._shown = html
        html = html.encode("utf-8", "replace").decode("utf-8")  # as in TextBlock
        style = f"max-height:{self._height};overflow:auto"
        start = f'<div tabindex="0" role="region" aria-label="{escape(self._label)}"'
        self.widget.value = f'{start} style="{style}">{html}</div>' if html else ""


class TextBlock:
    """Text as it is, in the notebook's code font, that scrolls where it is long.

    Parameters
    ----------
    label
        The heading above the text.
    wrap
        Whether a line that is too long goes on in the next one.
    """

    def __init__(self, label: str, *, wrap: bool = False) -> None:
        self._label = label
        self.widget = ipywidgets.HTML()
        self.widget.add_class("agentnb-text-block")
        if wrap:
            self.widget.add_class("agentnb-wrap")

    def show(self, text: str) -> None:
        """Show a text in the place of the one before; an empty one takes up no room."""
        # A lone surrogate cannot be sent as JSON in UTF-8.
        shown = html_of(text).encode("utf-8", "replace").decode("utf-8")
        name = escape(self._label)
        # Focusable, so that the keyboard can scroll it.
        start = f'<pre tabindex="0" role="region" aria-label="{name}">'
        heading = f'<span class="agentnb-heading">{name}</span>'
        about = f'title="Copy {name}" aria-label="Copy {name}"'
        copy = f'<button type="button" class="agentnb-copy" {about}>Copy</button>'
        copy = "" if isinstance(text, Instruction) else copy
        above = f'<div class="agentnb-above">{heading}{copy}</div>'
        self.widget.value = f"{above}{start}{shown}</pre>" if text else ""
        self.widget.layout.display = None if text else "none"
