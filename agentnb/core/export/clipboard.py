"""A table for the clipboard, which belongs to the page that shows it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING

from agentnb.core.errors import UsageError
from agentnb.core.export.lines import CSVWriter
from agentnb.core.format import rows as rows_text
from agentnb.core.format import size as size_text

if TYPE_CHECKING:
    from agentnb.core.table import Table

__all__ = ["Clipboard", "clipboard_of"]

_MOST = 1_000_000
# Over plain HTTP, or without the permission, there is only the old way.
_COPY = """(async button => {
const area = button.parentElement.querySelector("textarea");
let done = true;
try { await navigator.clipboard.writeText(area.value); }
catch {
area.hidden = false;
area.select();
done = document.execCommand("copy");
area.hidden = true;
button.focus();
}
button.textContent = done ? button.dataset.done : button.dataset.failed;
})(this)"""


@dataclass(frozen=True, slots=True, repr=False)
class Clipboard:
    """Rows to copy: a button in a notebook.

    Attributes
    ----------
    text
        The rows, tab-separated, below the names of the columns.
    rows
        Their number.
    notes
        Lines that the reader should know.
    """

    text: str
    rows: int
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        where = "a notebook's page has the button; print(_.text) shows them"
        return "\n".join((f"{rows_text(self.rows)} to copy: {where}", *self.notes))

    def _repr_html_(self) -> str:
        count = rows_text(self.rows)
        notes = "".join(f"<br><small>{escape(note)}</small>" for note in self.notes)
        # The first line break of a text area is not of its text.
        return (
            f'<div class="agentnb-clipboard"><button type="button" onclick="{escape(_COPY)}" '
            f'data-done="Copied {count}" data-failed="The browser does not allow it">'
            f'Copy {count}</button><textarea hidden readonly aria-label="rows">\n'
            f"{escape(self.text)}</textarea>{notes}</div>"
        )


def clipboard_of(table: Table) -> Clipboard:
    """Return the rows of a table to copy; see `Table.to_clipboard`."""
    file = io.BytesIO()
    writer = CSVWriter(file, separator="\t", spreadsheet=True)
    for part in table._parts():  # noqa: SLF001 - the two are one mechanism
        writer.write(part)
        if file.tell() > _MOST:
            raise UsageError(
                f"to_clipboard takes {size_text(_MOST)} at most, which the notebook would keep",
                service="export",
                hint='write a file: result.to_csv("rows.csv")',
            )
    notes = tuple(writer.finish())
    return Clipboard(file.getvalue().decode(), len(table), notes)
