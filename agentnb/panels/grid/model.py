"""The state of a grid: what its page asks for, and what the core's grid answers."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from agentnb.core.errors import UsageError
from agentnb.core.forking import new_rlock
from agentnb.core.grid import Filter, Page, Sort, View
from agentnb.panels.base.bar import error_line
from agentnb.panels.grid.wire import OTHERS, cells, header, matches, summary_words

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.grid import Grid, GridColumn, Summary

__all__ = ["COLUMNS", "GridModel"]

COLUMNS: Final = 30
"""Columns that are shown side by side; the others are a click away."""

_SEARCHED: Final = 200
"""Characters of a text that is searched for."""
_REMEMBERED: Final = 8
"""Sets of filters whose summaries are kept."""


@dataclass(frozen=True, slots=True)
class _Chosen:
    """A filter, and what its chip says."""

    filter: Filter
    words: str


@dataclass(frozen=True, slots=True)
class _Asked:
    """The order, the filters and the offset that the page asks for."""

    sort: Sort | None = None
    chosen: tuple[_Chosen, ...] = ()
    offset: int = 0

    @property
    def filters(self) -> tuple[Filter, ...]:
        return tuple(one.filter for one in self.chosen)


class GridModel:
    """The state of one grid. `request` notes what is asked, `load` and `summarize` answer it.

    What fails leaves the former rows with a line that says why. Thread-safe.

    Parameters
    ----------
    grid
        The core's grid; it is closed by `close`.
    label
        The accessible name.
    note
        A line below the tools, such as that of a result that was cut.
    rows
        Rows on a page.
    height
        Greatest height of the rows in pixels; what is longer scrolls.
    redact
        Masks secrets in the text of errors.
    reopen
        Returns the grid of all rows, where this one has some: they are asked for by a click.
    """

    def __init__(
        self,
        grid: Grid,
        *,
        label: str,
        note: str,
        rows: int,
        height: int,
        redact: Callable[[str], str],
        reopen: Callable[[], Grid] | None = None,
    ) -> None:
        self._grid, self._rows, self._redact, self._reopen = grid, rows, redact, reopen
        self._wants_all = False
        self._fixed = {"label": label, "note": note, "height": height}
        self._lock = new_rlock()
        self._asked = self._shown = _Asked()
        self._column = 0
        self._page = Page((), 0, 0, 0)
        self._summaries: tuple[Summary, ...] | None = None
        self._known: dict[tuple[Filter, ...], tuple[Summary, ...]] = {}
        self._summarized: tuple[Filter, ...] | None = None
        self._version = 0  # of the summaries
        # A click may be on bars that are being replaced.
        self._drawn: dict[int, tuple[Summary, ...]] = {}
        self._error = ""
        self._closed = False

    # Asking

    def request(self, content: dict[str, Any]) -> bool:
        """Note what a message of the page asks for, and return whether it is anything.

        The page is not trusted: a column, a bar or a chip is a number of one that there is.
        """
        ask = {
            "sort": self._sort,
            "bar": self._bar,
            "contains": self._contains,
            "remove": self._remove,
            "turn": self._turn,
            "columns": self._turn_columns,
            "all": self._all,
        }.get(str(content.get("do")))
        if ask is None:
            return False
        with self._lock:
            known = ask(content)
            self._error = "" if known else self._error
            return known

    def _sort(self, content: dict[str, Any]) -> bool:
        column = _within(content.get("column"), len(self._grid.columns))
        if column is None or self._grid.refuses:
            return False
        old = self._asked.sort
        if old is None or old.column != column:
            sort: Sort | None = Sort(column)
        else:
            sort = None if old.descending else Sort(column, descending=True)
        self._asked = replace(self._asked, sort=sort, offset=0)
        return True

    def _bar(self, content: dict[str, Any]) -> bool:
        """Filter by a bar; by the one that is chosen already no longer."""
        version = content.get("s")
        summaries = self._drawn.get(version, ()) if isinstance(version, int) else ()
        column = _within(content.get("column"), len(summaries))
        if column is None:
            return False
        found = _part(summaries[column], content.get("bar"))
        if found is None:
            return False
        chosen, label = found
        again = any(one.filter == chosen for one in self._asked.chosen)
        words = f"{self._name(column)}: {label}"
        return self._choose(column, None if again else _Chosen(chosen, words))

    def _contains(self, content: dict[str, Any]) -> bool:
        column = _within(content.get("column"), len(self._grid.columns))
        text = content.get("text")
        if column is None or not isinstance(text, str):
            return False
        if self._grid.columns[column].kind != "text":
            return False
        text = text.encode("utf-8", "replace").decode("utf-8")[:_SEARCHED]
        if not text:
            known = any(matches(one.filter, column, "contains") for one in self._asked.chosen)
            return self._choose(column, None) if known else False
        words = f"{self._name(column)} contains “{text}”"
        return self._choose(column, _Chosen(Filter(column, "contains", text), words))

    def _remove(self, content: dict[str, Any]) -> bool:
        chosen = self._asked.chosen
        at = _within(content.get("chip"), len(chosen))
        return False if at is None else self._choose(chosen[at].filter.column, None)

    def _choose(self, column: int, chosen: _Chosen | None) -> bool:
        """Replace the filter of a column: it has one at most."""
        if self._grid.refuses:
            return False
        others = tuple(one for one in self._asked.chosen if one.filter.column != column)
        kept = others if chosen is None else (*others, chosen)
        self._asked = replace(self._asked, chosen=kept, offset=0)
        return True

    def _turn(self, content: dict[str, Any]) -> bool:
        by, page = content.get("by"), self._page
        if by not in {1, -1} or isinstance(by, bool):
            return False
        offset = self._asked.offset + by * self._rows
        last = max(0, page.matched - 1) // self._rows * self._rows
        self._asked = replace(self._asked, offset=max(0, min(offset, last)))
        return True

    def _turn_columns(self, content: dict[str, Any]) -> bool:
        by = content.get("by")
        if by not in {1, -1} or isinstance(by, bool):
            return False
        start = self._column + by * COLUMNS
        if 0 <= start < len(self._grid.columns):
            self._column = start
        return True

    def _all(self, _: dict[str, Any]) -> bool:
        self._wants_all = self._reopen is not None
        return self._wants_all

    def _name(self, column: int) -> str:
        return header(self._grid.columns[column].name)

    # Answering

    def open(self) -> None:
        """Load the first page.

        Raises
        ------
        AgentnbError
            As the core's grid.
        """
        with self._lock:
            asked = self._asked
        page = self._grid.page(View(asked.sort, asked.filters, asked.offset, self._rows))
        with self._lock:
            self._page, self._shown = page, asked

    def load(self) -> bool:
        """Load the page that is asked for, and return whether that has succeeded."""
        try:
            if self._wants_all:
                self._open_all()
            else:
                self.open()
        except Exception as error:  # noqa: BLE001 - shown to the one who clicked
            self._fail(error)
            return False
        return True

    def _open_all(self) -> None:
        """Put the grid of all rows in the place of that of some."""
        reopen = self._reopen
        if reopen is None:
            return
        grid = reopen()
        try:
            _check_sorts(grid)
            page = grid.page(View(rows=self._rows))
        except BaseException:
            grid.close()
            raise
        with self._lock:
            old, self._grid = self._grid, grid
            self._reopen, self._wants_all = None, False
            self._asked = self._shown = _Asked()
            self._page, self._fixed["note"], self._error = page, "", ""
            self._summaries = self._summarized = None
            self._known.clear()
            self._drawn.clear()
            closed = self._closed
        (grid if closed else old).close()

    def summarize(self) -> None:
        """Summarize the columns over the rows that are shown."""
        filters = self._shown.filters
        if filters == self._summarized:
            return
        try:
            found = self._crossed(filters)
        except Exception as error:  # noqa: BLE001 - as in load
            self._fail(error)
            return
        with self._lock:
            self._summaries, self._summarized = found, filters
            self._version += 1
            self._drawn[self._version] = found
            self._drawn.pop(self._version - _REMEMBERED, None)

    def _crossed(self, filters: tuple[Filter, ...]) -> tuple[Summary, ...]:
        """Return the summaries; that of a column with a filter is as if it had none.

        So the other bars of that column stay, to be chosen instead.
        """
        found = list(self._summaries_of(filters))
        for one in filters:
            if one.column < len(found):
                rest = tuple(other for other in filters if other.column != one.column)
                found[one.column] = self._summaries_of(rest)[one.column]
        return tuple(found)

    def _summaries_of(self, filters: tuple[Filter, ...]) -> tuple[Summary, ...]:
        found = self._known.get(filters)
        if found is None:
            found = self._known[filters] = self._grid.summaries(filters)
            for old in list(self._known)[1:-_REMEMBERED]:  # the first is that of all rows
                del self._known[old]
        return found

    def _fail(self, error: Exception) -> None:
        with self._lock:
            self._error = error_line(error, self._redact)
            self._asked, self._wants_all = self._shown, False

    @property
    def pending(self) -> bool:
        """True while something is asked for that is not shown yet."""
        with self._lock:
            return self._wants_all or self._asked != self._shown

    @property
    def asks(self) -> bool:
        """True where each page is a query of a database."""
        return self._grid.engine == "query"

    @property
    def columns(self) -> Sequence[GridColumn]:
        """The columns, also those that are not in sight."""
        return self._grid.columns

    @property
    def page(self) -> Page:
        """The rows that are shown; none before `open`."""
        return self._page

    @property
    def summaries(self) -> tuple[Summary, ...] | None:
        """The summaries of the columns; None before `summarize`."""
        return self._summaries

    def state(self, *, busy: bool = False) -> dict[str, Any]:
        """Return all that a view of this grid has to know."""
        with self._lock:
            page, shown = self._page, self._shown
            columns = range(self._column, min(self._column + COLUMNS, len(self._grid.columns)))
            kinds = [self._grid.columns[at].kind for at in columns]
            rows = [[row[at] for at in columns] for row in page.rows]
            return {
                **self._fixed,
                "cols": [
                    [at, self._name(at), kind == "number", kind == "text"]
                    for at, kind in zip(columns, kinds, strict=True)
                ],
                "window": [columns.start, columns.stop, len(self._grid.columns)],
                "rows": cells(rows, [kind == "number" for kind in kinds]),
                "at": [page.first, len(page.rows), page.matched, page.total],
                "sort": shown.sort and [shown.sort.column, shown.sort.descending],
                "chips": [
                    [one.words, one.filter.column, _searched(one.filter)] for one in shown.chosen
                ],
                "sums": self._summaries_of_columns(columns),
                "s": self._version,
                "summing": self._summarized != shown.filters and not self._error,
                "refuses": self._grid.refuses,
                "more": self._reopen is not None,
                "error": self._error,
                "busy": busy,
            }

    def _summaries_of_columns(self, columns: range) -> dict[str, Any] | None:
        if self._summaries is None:
            return None
        chosen = {one.filter.column: one.filter for one in self._shown.chosen}
        return {
            str(at): summary_words(self._summaries[at], self._grid.columns[at], chosen.get(at))
            for at in columns
            if at < len(self._summaries)
        }

    def close(self) -> None:
        """Close the core's grid."""
        with self._lock:
            self._closed, grid = True, self._grid
        grid.close()


def _check_sorts(grid: Grid) -> None:
    if grid.refuses:
        message, _, hint = grid.refuses.partition(": ")
        raise UsageError(message, service="grid", hint=hint)


def _within(value: object, end: int) -> int | None:
    """Return a number of the page's if it is one below the end."""
    if isinstance(value, bool) or not isinstance(value, int):
        return None
    return value if 0 <= value < end else None


def _part(summary: Summary, at: object) -> tuple[Filter, str] | None:
    """Return the filter of a bar, by its number, and its label."""
    if isinstance(at, int) and not isinstance(at, bool) and at in OTHERS:
        label, kind = OTHERS[at]
        return Filter(summary.column, kind), label
    bar = _within(at, len(summary.bars))
    filter = None if bar is None else summary.bars[bar].filter  # noqa: A001 - the field's name
    return None if bar is None or filter is None else (filter, summary.bars[bar].label)


def _searched(filter: Filter) -> str | None:  # noqa: A002 - what it is
    return str(filter.low) if filter.kind == "contains" else None
