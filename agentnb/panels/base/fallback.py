"""The static copy of a panel in a saved notebook: plain HTML and plain text."""

from __future__ import annotations

from html import escape
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from agentnb.panels.base.live import walk
from agentnb.panels.base.saved import Instruction, saved_html, saved_words

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ipywidgets import Widget

    from agentnb.panels.base.rows import SavedRows

__all__ = ["SAVED_ROWS", "StaticFallback", "one_of_two", "snapshot", "table_html", "table_text"]

SAVED_ROWS: Final = 10
"""Rows of each table that a saved copy has."""

# In JupyterLab and Notebook: the copy is hidden beneath a live view, and where the view could not
# be loaded, its message is hidden above the copy (it alone has no data-mime-type). A viewer that
# drops style sheets also drops the view, and shows the copy.
_CHILD = ".jp-OutputArea-child"


def one_of_two(live: str) -> str:
    """Return the style sheet of a saved copy, by the selector of the live view above it.

    >>> one_of_two(".agentnb-panel").count("display: none")
    1
    """
    return (
        f"<style>{_CHILD}:has({live}) + {_CHILD}:has(.agentnb-static), "
        f"{_CHILD}:not(:has({live}, [data-mime-type]))"
        f":has(+ {_CHILD} .agentnb-static) {{ display: none }}\n"
        ".agentnb-static :is(th, td):not([align]) { text-align: left }</style>"
    )


_ONE_OF_TWO = one_of_two(".agentnb-panel")
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
    Empty parts and instructions for a live panel are left out.
    """
    import ipywidgets

    texts = [f"{title} ({state})"]
    htmls = [f"<p><strong>{escape(title)}</strong> · {escape(state)}</p>"]
    for widget in walk(root, visible=True):
        if isinstance(widget, StaticFallback):
            text, html = widget.static_text(), widget.static_html()
        elif isinstance(widget, ipywidgets.HTML):
            text, html = saved_words(widget.value), saved_html(widget.value)
            html = f"<p>{html}</p>"
        else:
            continue
        if not text.strip():
            continue
        label = getattr(widget, "static_label", "")
        if label and label != title:
            texts.append(f"{label}:")
            htmls.append(f"<p>{escape(label)}</p>")
        texts.append(text)
        htmls.append(html)
    body = "\n".join(htmls)
    return "\n".join(texts), f'<div class="agentnb-static">{_ONE_OF_TWO}\n{body}\n</div>'


def table_html(saved: SavedRows, *, hint: str, note: str = "") -> str:
    """Return rows as a table without any style, which every viewer shows readably.

    Parameters
    ----------
    saved
        The rows.
    hint
        Stands in place of rows where there are none, unless it is an `Instruction`.
    note
        The table's remark, such as ``"first 1,000"``.
    """
    if not saved.rows:
        return "" if isinstance(hint, Instruction) else f"<p><em>{escape(hint)}</em></p>"
    head = "".join(
        f'<th align="right">{escape(name)}</th>' if number else f"<th>{escape(name)}</th>"
        for name, number in saved.columns
    )
    body = "\n".join(
        "<tr>"
        + "".join(
            _html_cell(text, number=number)
            for text, (_, number) in zip(cells, saved.columns, strict=False)
        )
        + "</tr>"
        for cells in saved.rows
    )
    table = f"<table><thead><tr>{head}</tr></thead>\n<tbody>\n{body}\n</tbody></table>"
    left_out = _left_out(saved, note)
    return f"{table}\n<p>{escape(left_out)}</p>" if left_out else table


def _html_cell(value: str | None, *, number: bool) -> str:
    if value is None:
        return "<td><em>NULL</em></td>"
    return f'<td align="right">{escape(value)}</td>' if number else f"<td>{escape(value)}</td>"


def table_text(saved: SavedRows, *, hint: str, note: str = "") -> str:
    """Return rows as aligned text; the parameters are those of `table_html`."""
    if not saved.rows:
        return "" if isinstance(hint, Instruction) else hint
    rows = [["NULL" if text is None else text for text in cells] for cells in saved.rows]
    names = [name for name, _ in saved.columns]
    widths = [
        min(_TEXT_WIDTH, max(len(line[at]) for line in [names, *rows])) for at in range(len(names))
    ]
    numbers = [number for _, number in saved.columns]
    lines = [
        _line(line, widths, numbers) for line in [names, ["-" * width for width in widths], *rows]
    ]
    left_out = _left_out(saved, note)
    return "\n".join([*lines, left_out] if left_out else lines)


def _line(cells: Sequence[str], widths: Sequence[int], numbers: Sequence[bool]) -> str:
    fitted = [
        text if len(text) <= width else text[: width - 1] + "…"
        for text, width in zip(cells, widths, strict=True)
    ]
    return "  ".join(
        text.rjust(width) if number else text.ljust(width)
        for text, width, number in zip(fitted, widths, numbers, strict=True)
    ).rstrip()


def _left_out(saved: SavedRows, note: str) -> str:
    """Say which rows are not in the copy; nothing where all are."""
    words = []
    if len(saved.rows) < saved.shown:
        last = saved.start + len(saved.rows)
        which = f"rows {saved.start + 1:,} to {last:,}" if saved.start else f"first {last:,}"
        words.append(f"{which} of {saved.shown:,} rows")
    if saved.filter:
        words.append(f"filter “{saved.filter}”: {saved.shown:,} of {saved.total:,} rows match")
    return " · ".join([*words, note] if note else words)
