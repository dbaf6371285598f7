"""A view of one thing: its properties by name, and its long texts below."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["DetailView"]

_CELL = "text-align:left;padding:2px 10px"
_PRE = "margin:0;padding:2px 10px;white-space:pre-wrap"


class DetailView:
    """A view of one thing. Subclasses return its rows and blocks."""

    kind = "whole"
    """The end of its CSS class."""

    @property
    def rows(self) -> list[tuple[str, str]]:
        """The properties by name."""
        raise NotImplementedError

    @property
    def blocks(self) -> list[tuple[str, str]]:
        """The long texts, each with its title; an empty one is not shown."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[tuple[str, str]]:
        return iter(self.rows)

    def __repr__(self) -> str:
        rows = self.rows
        width = max(len(name) for name, _ in rows)
        lines = [f"{name:<{width}}  {value}" for name, value in rows]
        for title, text in self.blocks:
            if text:
                # A traceback is indented by itself.
                indent = "" if title == "traceback" else "  "
                lines += [title, *(f"{indent}{line}" for line in text.split("\n"))]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        parts = ["<table>"]
        parts += [
            f'<tr><th style="{_CELL}">{escape(name)}</th>'
            f'<td style="{_CELL};white-space:pre-wrap">{escape(value)}</td></tr>'
            for name, value in self.rows
        ]
        parts.append("</table>")
        parts += [
            f"<details open><summary>{title}</summary>"
            f'<pre style="{_PRE}">{escape(text)}</pre></details>'
            for title, text in self.blocks
            if text
        ]
        return f'<div class="agentnb-{self.kind}">{"".join(parts)}</div>'
