"""What a saved notebook shows of a panel where no kernel runs: plain HTML and plain text."""

from __future__ import annotations

import re
from html import escape, unescape
from typing import TYPE_CHECKING, Protocol, runtime_checkable

from agentnb.panels.base.cells import written
from agentnb.panels.base.live import walk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipywidgets import Widget

    from agentnb.panels.base.rows import Page

__all__ = ["StaticFallback", "page_html", "page_text", "snapshot"]

# In JupyterLab and Notebook: the copy is hidden beneath a live view, and where the view could not
# be loaded, its message is hidden above the copy (it alone has no data-mime-type). A viewer that
# drops style sheets also drops the view, and shows the copy.
_CHILD = ".jp-OutputArea-child"
_ONE_OF_TWO = (
    f"<style>{_CHILD}:has(.agentnb-panel) + {_CHILD}:has(.agentnb-static), "
    f"{_CHILD}:not(:has(.agentnb-panel, [data-mime-type]))"
    f":has(+ {_CHILD} .agentnb-static) {{ display: none }}\n"
    ".agentnb-static :is(th, td):not([align]) { text-align: left }</style>"
)
_TAG = re.compile(r"<[^>]*>")

_TEXT_WIDTH = 40
"""Characters of a column in plain text."""


@runtime_checkable
class StaticFallback(Protocol):
    """A widget that can say what it shows without the page's help."""

    def static_html(self) -> str:
        """Return escaped HTML, without colours or scripts."""

    def static_text(self) -> str:
        """Return the same as plain text."""


def snapshot(root: Widget, title: str, state: str) -> tuple[str, str]:
    """Return what the widgets under the root show, as plain text and as HTML.

    A widget's ``static_label`` is its heading, where that is not the title of the panel already.
    """
    import ipywidgets

    texts = [f"{title} ({state})"]
    htmls = [f"<p><strong>{escape(title)}</strong> · {escape(state)}</p>"]
    for widget in walk(root):
        label = getattr(widget, "static_label", "")
        if label and label != title:
            texts.append(f"{label}:")
            htmls.append(f"<p>{escape(label)}</p>")
        if isinstance(widget, StaticFallback):
            texts.append(widget.static_text())
            htmls.append(widget.static_html())
        elif isinstance(widget, ipywidgets.HTML) and widget.value:
            lines = widget.value.replace("</div>", "\n")
            texts.append(unescape(_TAG.sub("", lines)).strip("\n"))
            htmls.append(f"<p>{widget.value}</p>")
    body = "\n".join(htmls)
    return "\n".join(texts), f'<div class="agentnb-static">{_ONE_OF_TWO}\n{body}\n</div>'


def page_html(page: Page, *, hint: str) -> str:
    """Return a page of rows as a table without any style, which every viewer shows readably."""
    if not page.rows:
        return f"<p><em>{escape(hint)}</em></p>"
    head = "".join(
        f'<th align="right">{escape(name)}</th>' if number else f"<th>{escape(name)}</th>"
        for name, number in page.columns
    )
    body = "\n".join(
        "<tr>"
        + "".join(
            _html_cell(written(value), number=number)
            for value, (_, number) in zip(cells, page.columns, strict=False)
        )
        + "</tr>"
        for cells in page.rows.values()
    )
    return (
        f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>\n"
        f"<p>{escape(_note(page))}</p>"
    )


def _html_cell(value: str | None, *, number: bool) -> str:
    if value is None:
        return "<td><em>NULL</em></td>"
    return f'<td align="right">{escape(value)}</td>' if number else f"<td>{escape(value)}</td>"


def page_text(page: Page, *, hint: str) -> str:
    """Return a page of rows as aligned text."""
    if not page.rows:
        return hint
    written_rows = [[written(value) for value in cells] for cells in page.rows.values()]
    rows = [["NULL" if text is None else text for text in cells] for cells in written_rows]
    names = [name for name, _ in page.columns]
    widths = [
        min(_TEXT_WIDTH, max(len(line[at]) for line in [names, *rows])) for at in range(len(names))
    ]
    numbers = [number for _, number in page.columns]
    lines = [
        _line(line, widths, numbers) for line in [names, ["-" * width for width in widths], *rows]
    ]
    return "\n".join([*lines, _note(page)])


def _line(cells: Sequence[str], widths: Sequence[int], numbers: Sequence[bool]) -> str:
    fitted = [
        text if len(text) <= width else text[: width - 1] + "…"
        for text, width in zip(cells, widths, strict=True)
    ]
    return "  ".join(
        text.rjust(width) if number else text.ljust(width)
        for text, width, number in zip(fitted, widths, numbers, strict=True)
    ).rstrip()


def _note(page: Page) -> str:
    shown, total = page.meta["shown"], page.meta["total"]
    some = f"{len(page.rows):,} of {shown:,} rows"
    return some if shown == total else f"{some} that match, {total:,} in all"
