"""A table that stays alive: keyed diffs to the page; filter, order and pages in Python."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol, runtime_checkable

import anywidget
import traitlets

from agentnb.core.forking import new_rlock
from agentnb.panels.base.export import FORMATS, exported, file_name
from agentnb.panels.base.fallback import SAVED_ROWS, table_html, table_text
from agentnb.panels.base.rows import Rows, changes
from agentnb.panels.base.static import read

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterable, Sequence

    from agentnb.core.table import Column

__all__ = ["TableView"]

_PARTS = ("table_model", "table_cell", "table_tools", "table_head", "table")
_SCRIPTS = ("clipboard.js", *(f"{name}.js" for name in _PARTS))


@runtime_checkable
class Tabular(Protocol):
    """A table with its columns, such as the core's `Table`."""

    @property
    def columns(self) -> Sequence[str]:
        """Names of the columns."""

    @property
    def rows(self) -> Sequence[Sequence[object]]:
        """The rows."""


class _Grid(anywidget.AnyWidget):
    """The wire to the page. Its only state is computed when it is asked for, never sent twice."""

    _esm = traitlets.Unicode().tag(sync=True)
    _css = traitlets.Unicode().tag(sync=True)
    page = traitlets.Dict().tag(sync=True, to_json=lambda _, grid: grid.page_now())

    def __init__(self, view: TableView) -> None:
        self._view = view
        super().__init__(_esm="".join(map(read, _SCRIPTS)), _css=read("table.css"))

    def page_now(self) -> dict[str, object]:
        return self._view.state()

    @property
    def static_label(self) -> str:
        return self._view.title

    def static_html(self) -> str:
        return self._view.static_html()

    def static_text(self) -> str:
        return self._view.static_text()


class TableView:
    """A table of any number of rows, of which one page is sent, and then only what changes.

    The filter holds for every column (``failed``), or for one (``state:failed``); several words
    must all be found; quotes keep a phrase together. A click on a header orders by that column.
    Both survive `update`, as do the page, the selected row, scroll position and focus. The rows
    that pass the filter can be copied and saved, whole values of all pages.

    Parameters
    ----------
    columns
        Names of the columns, or `Column` with a kind, such as ``Column("size", "size")``.
    rows
        The first rows.
    key
        The column whose value names a row. By default a row is named by its number, which is
        right only for rows that never move.
    page_size
        Rows on a page.
    label
        The accessible name of the table.
    hint
        The text of an empty table: what to type next. An `Instruction` is not in a saved copy.
    on_select
        Called with the key of the row that was clicked or entered. It may run in a second thread.
        Pass it through `Panel.action`, so that what it raises is shown.
    height
        Greatest height, any CSS length; what is longer scrolls.
    filterable
        Whether there is a box for the filter.
    quiet
        Columns whose changes do not flash, such as a clock.
    noun
        The word for one row and for several: ``("job", "jobs")``.
    markable
        Whether rows can be marked, several at once: by a box before each, or the space bar.

    Examples
    --------
    >>> table = TableView(["id", "state"], [(1, "ready")], key="id", label="Jobs")
    >>> table.update([(1, "done"), (2, "ready")])
    >>> table.filter("state:ready")
    >>> table.shown()
    [2]
    >>> table.close()
    """

    def __init__(  # noqa: PLR0913 - keyword-only, each documented
        self,
        columns: Sequence[str | Column],
        rows: Iterable[Sequence[object]] = (),
        *,
        key: str | None = None,
        page_size: int = 50,
        label: str = "",
        hint: str = "No rows.",
        on_select: Callable[[Any], object] | None = None,
        height: str = "360px",
        filterable: bool = True,
        quiet: Sequence[str] = (),
        noun: tuple[str, str] = ("row", "rows"),
        markable: bool = False,
    ) -> None:
        self._lock = new_rlock()
        self._rows = Rows(list(columns), key=key, page_size=page_size)
        self._rows.replace(rows)
        self._page = self._rows.page_shown()
        self._version = 0
        self.label = self.title = label
        self._hint, self._note = hint, ""
        self._count: int | None = None
        self._fixed = {
            "height": height,
            "filterable": filterable,
            "quiet": list(quiet),
            "noun": list(noun),
            "markable": markable,
        }
        self._sent_words = self._words()
        self.on_select = on_select
        self.widget = _Grid(self)
        self.widget.on_msg(self._received)

    def update(
        self,
        rows: Iterable[Sequence[object]] | Tabular,
        columns: Sequence[str | Column] | None = None,
        *,
        note: str | None = None,
        hint: str | None = None,
        title: str | None = None,
        count: int | None = None,
    ) -> None:
        """Show these rows in place of the ones before. Only what differs is sent.

        Parameters
        ----------
        rows
            The rows, or a table with ``.columns`` and ``.rows``.
        columns
            New columns, where they change.
        note
            A remark beside the number of rows, such as ``"first 1,000"``.
        hint
            The text of an empty table from now on.
        title
            The title above the rows; initially the label.
        count
            How many things the rows stand for, where it is another number than theirs.
        """
        if isinstance(rows, Tabular):
            columns = columns or getattr(rows, "header", rows.columns)
            rows = rows.rows
        with self._lock:
            self._rows.replace(rows, columns)
            self._note = self._note if note is None else note
            self._hint = self._hint if hint is None else hint
            self.title = self.title if title is None else title
            self._count = count
            self._send()

    def filter(self, text: str) -> None:
        """Show only the rows that hold the text."""
        with self._lock:
            self._rows.filter = text
            self._rows.page = 0
            self._send()

    def sort(self, column: str | None, *, descending: bool = False) -> None:
        """Order by a column, or, with None, as the rows came."""
        with self._lock:
            known = column is not None and column in self._rows.names
            self._rows.sort = (str(column), descending) if known else None
            self._send()

    def turn_to(self, page: int) -> None:
        """Show this page; the first is 0, and beyond the last is the last."""
        with self._lock:
            self._rows.page = page
            self._send()

    def select(self, key: Hashable) -> None:
        """Mark a row, or none with None, without calling `on_select`."""
        with self._lock:
            self._rows.selected = key
            self._send()

    @property
    def selected(self) -> Any:
        """The key of the selected row, or None."""
        return self._rows.selected

    @property
    def marked(self) -> list[Any]:
        """The keys of the marked rows over all pages, also of those that the filter hides."""
        with self._lock:
            return self._rows.marks()

    def mark(self, keys: Iterable[Hashable], *, on: bool = True) -> None:
        """Mark rows, or take their marks away."""
        with self._lock:
            self._rows.mark(keys, on=on)
            self._send()

    def row(self, key: Hashable) -> Sequence[object]:
        """Return the values of a row. Raises KeyError if the row is gone."""
        with self._lock:
            return self._rows[key]

    def shown(self) -> list[Hashable]:
        """Return the keys of the rows that pass the filter, in order, over all pages."""
        with self._lock:
            return self._rows.shown()

    def __len__(self) -> int:
        return len(self._rows)

    def close(self) -> None:
        """Close the widget. The panel that it is in does so too."""
        self.widget.layout.close()
        self.widget.close()

    def state(self) -> dict[str, object]:
        """Return all that a new view of this table has to know."""
        with self._lock:
            fixed = {"label": self.label, **self._fixed, **self._words()}
            return {"v": self._version, **self._page.state(), **fixed}

    def static_html(self) -> str:
        """Return the first visible rows as HTML that needs no kernel, style or script."""
        with self._lock:
            return table_html(self._rows.saved(SAVED_ROWS), hint=self._hint, note=self._note)

    def static_text(self) -> str:
        """Return the first visible rows as plain text."""
        with self._lock:
            return table_text(self._rows.saved(SAVED_ROWS), hint=self._hint, note=self._note)

    def export(self, kind: str) -> str:
        """Return the rows that pass the filter, all pages, whole values.

        Parameters
        ----------
        kind
            ``"csv"``, ``"json"`` or, for the clipboard, ``"tsv"``.
        """
        with self._lock:
            return exported(self._rows.names, self._rows.whole(), kind)

    def _words(self) -> dict[str, object]:
        return {
            "hint": self._hint,
            "note": self._note,
            "title": self.title,
            "count": self._count,
        }

    def _send(self) -> None:
        """Send the page what it lacks, with the version that this leads to."""
        old, self._page = self._page, self._rows.page_shown()
        message = changes(old, self._page)
        words = self._words()
        if message is None and words == self._sent_words:
            return
        message = message or {}
        if words != self._sent_words:
            message["words"] = words
            self._sent_words = words
        self._version += 1
        if self.widget.comm is not None:
            self.widget.send({"v": self._version, **message})

    def _received(self, _: object, content: dict[str, Any], __: object) -> None:
        """Handle a message of the page, which is not trusted to be well formed."""
        what = content.get("do")
        if what == "filter":
            self.filter(str(content.get("text", "")))
        elif what == "page" and isinstance(content.get("page"), int):
            self.turn_to(content["page"])
        elif what == "sort":
            with self._lock:
                self._rows.order_by(str(content.get("column")))
                self._send()
        elif what == "mark":
            self._mark(content.get("rows"), on=bool(content.get("on")))
        elif what == "export" and content.get("kind") in FORMATS:
            self._export(str(content["kind"]), content.get("ask"))
        elif what == "full":  # a view that has missed a message
            with self._lock:
                self.widget.send({"v": self._version, "full": self.state()})
        elif what == "select":
            with self._lock:
                key = self._rows.key_of(content.get("row"))
                if key is None:
                    return
                self.select(key)
            if self.on_select is not None:
                self.on_select(key)

    def _mark(self, rows: object, *, on: bool) -> None:
        """Mark these visible rows, or with ``"all"`` every row that passes the filter."""
        with self._lock:
            if rows == "all":
                self.mark(self._rows.shown(), on=on)
            elif isinstance(rows, list):
                found = (self._rows.key_of(row) for row in rows)
                self.mark([key for key in found if key is not None], on=on)

    def _export(self, kind: str, ask: object) -> None:
        """Send the rows to the view that asked for them."""
        with self._lock:
            rows, note, name = len(self._rows.shown()), self._note, file_name(self.title, kind)
            text = self.export(kind)
        answer = {"ask": ask, "kind": kind, "name": name, "text": text, "rows": rows, "note": note}
        self.widget.send({"export": answer})
