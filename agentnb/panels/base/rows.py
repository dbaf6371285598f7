"""The rows behind a table: filter, order and pages, without a widget in sight."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agentnb.core.format import NUMERIC
from agentnb.core.table import names_of
from agentnb.panels.base.cells import Shown, cell, is_number, plain, saved, sort_key

if TYPE_CHECKING:
    from collections.abc import Hashable, Iterable, Sequence

    from agentnb.core.table import Column

__all__ = ["Page", "Rows", "SavedRows", "changes"]

_TOKEN = re.compile(r'(?:[^\s"]|"[^"]*"?)+')
_SAMPLE = 200
"""Rows that are looked at to tell whether a column holds numbers."""


@dataclass(frozen=True, slots=True)
class Page:
    """The visible part: the columns, the rows of one page, and its position.

    `columns` are pairs of a name and whether it holds numbers; `rows` maps a short id, which a row
    keeps for as long as it stays in sight, to the row's cells.
    """

    columns: tuple[tuple[str, bool], ...]
    rows: dict[int, tuple[Shown, ...]]
    meta: dict[str, object]

    def state(self) -> dict[str, object]:
        """Return the whole page, for a view that knows nothing yet."""
        return {
            "cols": [[name, int(number)] for name, number in self.columns],
            "rows": [[row, list(cells)] for row, cells in self.rows.items()],
            "meta": self.meta,
        }


@dataclass(frozen=True, slots=True)
class SavedRows:
    """The rows of a table that a saved copy has.

    `columns` are those of a `Page`; `start` is the number of rows before the first.
    """

    columns: tuple[tuple[str, bool], ...]
    rows: list[list[str | None]]
    start: int
    shown: int
    total: int
    filter: str


@dataclass(slots=True)
class Rows:
    """All rows of a table, with the filter, the order and the page that its reader chose.

    Parameters
    ----------
    columns
        Names of the columns, or `Column` with a kind.
    key
        The column whose value names a row; by default a row is named by its number.
    page_size
        Rows on a page.

    Examples
    --------
    >>> rows = Rows(["id", "state"], key="id")
    >>> rows.replace([(1, "ready"), (2, "failed"), (3, None)])
    >>> rows.filter = "state:fail"
    >>> [cells for cells in rows.page_shown().rows.values()]
    [('2', 'failed')]
    """

    columns: Sequence[str | Column]
    key: str | None = None
    page_size: int = 50
    filter: str = ""
    sort: tuple[str, bool] | None = None
    page: int = 0
    selected: Hashable = None
    marked: set[Hashable] = field(default_factory=set)
    _rows: dict[Hashable, Sequence[object]] = field(default_factory=dict)
    _ids: dict[Hashable, int] = field(default_factory=dict)
    _next_id: int = 0
    names: tuple[str, ...] = ()
    kinds: tuple[str | None, ...] = ()

    def __post_init__(self) -> None:
        self.names, self.kinds = names_of(self.columns)

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, key: Hashable) -> Sequence[object]:
        return self._rows[key]

    def replace(
        self, rows: Iterable[Sequence[object]], columns: Sequence[str | Column] | None = None
    ) -> None:
        """Take these rows in place of the ones before; filter, order and page stay."""
        if columns is not None:
            self.columns = columns
            self.names, self.kinds = names_of(columns)
        at = self.names.index(self.key) if self.key in self.names else None
        named: dict[Hashable, Sequence[object]] = {}
        for number, row in enumerate(rows):
            key = number if at is None else row[at]
            try:
                taken = key in named
            except TypeError:  # a list or a dict: hashable by its text
                key = plain(key)
                taken = key in named
            # A key that is not unique must lose no row.
            named[(key, number) if taken else key] = row
        self._rows = named
        self.marked &= named.keys()
        if self.sort and self.sort[0] not in self.names:
            self.sort = None

    def order_by(self, column: str) -> None:
        """Go to the next order by this column: ascending, descending, none."""
        if column not in self.names:
            return
        if self.sort is None or self.sort[0] != column:
            self.sort = (column, False)
        else:
            self.sort = None if self.sort[1] else (column, True)

    def mark(self, keys: Iterable[Hashable], *, on: bool = True) -> None:
        """Mark rows, or take their marks away. A row that goes takes its mark with it."""
        known = {key for key in keys if key in self._rows}
        self.marked = self.marked | known if on else self.marked - known

    def marks(self) -> list[Hashable]:
        """Return the keys of the marked rows in order, hidden ones included."""
        return [key for key in self._rows if key in self.marked]

    def shown(self) -> list[Hashable]:
        """Return the keys of the rows that pass the filter, in order, over all pages."""
        keys = (
            [key for key, row in self._rows.items() if self._passes(row)] if self.filter else None
        )
        if keys is None:
            keys = list(self._rows)
        if self.sort:
            name, descending = self.sort
            at = self.names.index(name)
            rows = self._rows
            full = [key for key in keys if rows[key][at] is not None]
            full.sort(key=lambda key: sort_key(rows[key][at]), reverse=descending)
            # NULL has no place in an order: last, whichever way.
            keys = full + [key for key in keys if rows[key][at] is None]
        return keys

    def _passes(self, row: Sequence[object]) -> bool:
        texts: dict[int, str] = {}

        def text(at: int) -> str:
            if at not in texts:
                texts[at] = plain(row[at], self.kinds[at]).casefold() if at < len(row) else ""
            return texts[at]

        return all(
            term in text(at) if at is not None else any(term in text(i) for i in range(len(row)))
            for at, term in self._terms()
        )

    def _terms(self) -> list[tuple[int | None, str]]:
        """Split the filter into what each column, or any (None), must hold."""
        names = {name.casefold(): at for at, name in reversed(list(enumerate(self.names)))}
        terms: list[tuple[int | None, str]] = []
        for token in _TOKEN.findall(self.filter.casefold()):
            head, colon, tail = token.partition(":")
            name = head.replace('"', "")
            at = names.get(name) if colon else None
            text = (token if at is None else tail).replace('"', "")
            if text:  # else "state:" is still being typed
                terms.append((at, text))
        return terms

    def page_shown(self) -> Page:
        """Return the page that is visible now."""
        keys = self.shown()
        pages = max(1, math.ceil(len(keys) / self.page_size))
        self.page = min(max(0, self.page), pages - 1)
        start = self.page * self.page_size
        visible = keys[start : start + self.page_size]
        ids = {key: self._ids[key] if key in self._ids else self._new_id() for key in visible}
        self._ids = ids
        return Page(
            columns=self._headers(),
            rows={ids[key]: tuple(map(cell, self._rows[key], self.kinds)) for key in visible},
            meta={
                "total": len(self._rows),
                "shown": len(keys),
                "page": self.page,
                "pages": pages,
                "size": self.page_size,
                "sort": list(self.sort) if self.sort else None,
                "filter": self.filter,
                "selected": ids.get(self.selected),
                "marked": [ids[key] for key in visible if key in self.marked],
                "marks": len(self.marked),
            },
        )

    def saved(self, limit: int) -> SavedRows:
        """Return the first rows of the visible page as a saved copy has them."""
        keys = self.shown()
        start = self.page * self.page_size
        return SavedRows(
            columns=self._headers(),
            rows=[
                list(map(saved, self._rows[key], self.kinds))
                for key in keys[start : start + min(limit, self.page_size)]
            ],
            start=start,
            shown=len(keys),
            total=len(self._rows),
            filter=self.filter,
        )

    def whole(self) -> list[Sequence[object]]:
        """Return the rows that pass the filter, in order, over all pages."""
        return [self._rows[key] for key in self.shown()]

    def _headers(self) -> tuple[tuple[str, bool], ...]:
        return tuple((name, self._is_numeric(at)) for at, name in enumerate(self.names))

    def key_of(self, row: object) -> Hashable:
        """Return the key of a visible row's id, or None if it is out of sight by now."""
        return next((key for key, known in self._ids.items() if known == row), None)

    def _new_id(self) -> int:
        self._next_id += 1
        return self._next_id

    def _is_numeric(self, at: int) -> bool:
        if self.kinds[at] is not None:
            return self.kinds[at] in NUMERIC
        seen = False
        for number, row in enumerate(self._rows.values()):
            if number >= _SAMPLE:
                break
            value = row[at] if at < len(row) else None
            if value is None:
                continue
            if not is_number(value):
                return False
            seen = True
        return seen


_WHOLE_PAGE: Final = 0.6
"""Above this share of rows that are new, the whole page is the shorter message."""


def changes(old: Page, new: Page) -> dict[str, object] | None:
    """Return the shortest message that turns one page into another, or None if they are equal.

    ``full`` is a whole page. Otherwise ``set`` lists ``[row, column, cell, column, cell, ...]``,
    ``new`` lists ``[row, cells]``, ``order`` the row ids, ``meta`` what changed in it.
    """
    if old == new:
        return None
    added = [row for row in new.rows if row not in old.rows]
    if old.columns != new.columns or len(added) > _WHOLE_PAGE * max(1, len(new.rows)):
        return {"full": new.state()}
    message: dict[str, object] = {}
    edits = [
        [row, *_edits(old.rows[row], cells)]
        for row, cells in new.rows.items()
        if row in old.rows and old.rows[row] != cells
    ]
    if edits:
        message["set"] = edits
    if added:
        message["new"] = [[row, list(new.rows[row])] for row in added]
    if list(old.rows) != list(new.rows):
        message["order"] = list(new.rows)
    meta = {name: value for name, value in new.meta.items() if old.meta.get(name) != value}
    if meta:
        message["meta"] = meta
    return message


def _edits(before: Sequence[object], after: Sequence[object]) -> Iterable[object]:
    """Yield position and text of each cell that differs."""
    for at, value in enumerate(after):
        if at >= len(before) or before[at] != value:
            yield from (at, value)
