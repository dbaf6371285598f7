"""The engine that asks a database: DuckDB over Arrow data, or the one that has the rows."""

from __future__ import annotations

from decimal import Decimal
from typing import TYPE_CHECKING, Any

from agentnb.core.db.expressions import bin_of
from agentnb.core.grid.bars import (
    CATEGORIES,
    LONGEST,
    MANY,
    BinRows,
    bins_of,
    category_bars,
    number_bars,
    value_shown,
    values_bar,
)
from agentnb.core.grid.conditions import Dialect
from agentnb.core.grid.details import KINDS
from agentnb.core.grid.engine import WIDEST
from agentnb.core.grid.view import Summary

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentnb.core.bins import Bins
    from agentnb.core.grid.engine import Conditions
    from agentnb.core.grid.view import Sort

__all__ = ["SQLEngine"]

_FEW = 5_000
_AT_A_TIME = 20  # columns in a statement


class SQLEngine:
    """Sorts, filters and summarises the rows of a query in SQL.

    Parameters
    ----------
    name
        Its name, as in `Grid.engine`.
    names, details
        The names and the types of the columns.
    kind
        The kind of the database.
    query
        The query.
    ask
        Runs SQL with values by name, and returns its rows.
    close
        Releases what is asked.
    take
        Returns rows by their numbers, from 0; default: rows are those that the database returns.
    numbered
        Runs SQL with values over the table ``agentnb_numbered``, which has some of the columns,
        and the number of each row as ``agentnb_at + agentnb_in``; where rows are taken by their
        numbers.
    few
        Count distinct values exactly, which takes long for many rows.
    """

    refuses = ""

    def __init__(
        self,
        name: str,
        names: Sequence[str],
        details: Sequence[str],
        *,
        kind: str,
        query: str,
        ask: Callable[[str, Mapping[str, Any]], Sequence[tuple[Any, ...]]],
        close: Callable[[], object],
        take: Callable[[Sequence[int]], Sequence[tuple[Any, ...]]] | None = None,
        numbered: Callable[[str, Mapping[str, Any], Sequence[int]], Sequence[tuple[Any, ...]]]
        | None = None,
        few: bool = False,
    ) -> None:
        self.name = name
        self.names = names
        self.details = details
        self._dialect = Dialect(kind, details)
        self._query = query
        self._ask = ask
        self._close = close
        self._take = take
        self._numbered = numbered
        # A query of a database may be slow: a statement that reads them several times keeps them.
        self._keeps = take is None
        self._distinct = "count(distinct {})" if few else self._dialect.words.distinct

    def count(self, conditions: Conditions) -> int:
        """Return how many rows the conditions let through."""
        where, values = self._dialect.where(conditions)
        sql = f"{self._source()}select count(*) from agentnb_grid{where}"
        return int(self._ask(sql, values)[0][0])

    def rows(
        self, sort: Sort | None, conditions: Conditions, offset: int, count: int
    ) -> Sequence[tuple[Any, ...]]:
        """Return a part of the rows that the conditions let through, in an order."""
        where, values = self._dialect.where(conditions)
        if self._take is not None and sort is None and not conditions:
            return self._take(range(offset, offset + count))
        used = {one.column for one in conditions} | ({sort.column} if sort else set())
        part = f"limit {count} offset {offset}"
        order = self._dialect.order(sort, "agentnb_row") if sort else ""
        if sort and self._numbered and self._take and offset + count <= _FEW:
            # Not by row_number(), for which one thread reads all rows. Of more rows DuckDB would
            # sort all, since it does not know how many a reader has.
            source = "(select *, agentnb_at + agentnb_in as agentnb_row from agentnb_numbered) as n"
            sql = f"select agentnb_row from {source}{where}{order} {part}"
            return self._take([row[0] for row in self._numbered(sql, values, sorted(used))])
        columns = sorted(used) if self._take else range(len(self.names))
        names = ", ".join(f"c{number}" for number in columns)
        source = "agentnb_grid"
        if sort or self._take:
            source = (
                f"(select {names}, row_number() over () - 1 as agentnb_row from agentnb_grid) as n"
            )
        chosen = "agentnb_row" if self._take else names
        sql = f"{self._source()}select {chosen} from {source}{where}{order} {part}"
        found = self._ask(sql, values)
        return self._take([row[0] for row in found]) if self._take else found

    def summaries(self, conditions: Conditions) -> tuple[Summary, ...]:
        """Return the summaries of the rows that the conditions let through."""
        found: list[Summary] = []
        columns = range(min(len(self.names), WIDEST))
        for start in range(0, len(columns), _AT_A_TIME):
            found += self._summaries(columns[start : start + _AT_A_TIME], conditions)
        return tuple(found)

    def close(self) -> None:
        """Release what is asked."""
        self._close()

    def _source(self, kept: str = "") -> str:
        names = ", ".join(f"c{number}" for number in range(len(self.names)))
        # A comment at the end of the query ends with its line.
        query = f"with agentnb_grid ({names}) as not materialized (\n{self._query}\n)"
        again = "materialized" if self._keeps else "not materialized"
        return f"{query}, agentnb_kept as {again} ({kept}) " if kept else f"{query} "

    def _summaries(self, columns: Sequence[int], conditions: Conditions) -> list[Summary]:
        where, values = self._dialect.where(conditions)
        asked = ", ".join(part for number in columns for part in self._counted(number))
        sql = f"{self._source()}select count(*), {asked} from agentnb_grid{where}"
        total, *rest = self._ask(sql, values)[0]
        parts = {
            number: _Part(number, self.details[number], *rest[4 * at : 4 * at + 4])
            for at, number in enumerate(columns)
        }
        branches = [branch for part in parts.values() if (branch := self._branch(part))]
        if branches:
            names = ", ".join(f"c{number}" for number in columns)
            kept = f"select {names} from agentnb_grid{where}"
            for number, *row in self._ask(
                self._source(kept) + " union all ".join(branches), values
            ):
                parts[int(number)].add(*row)
        return [part.summary(int(total)) for part in parts.values()]

    def _counted(self, number: int) -> list[str]:
        """Return what is asked of a column: its values, those that are distinct, both ends."""
        words, dialect = self._dialect.words, self._dialect
        found = [f"count(c{number})", self._distinct.replace("{}", dialect.compared(number))]
        what = KINDS.get(self.details[number])
        if what not in {"number", "time"}:
            return [*found, "null", "null"]
        exact = dialect.exact(number)
        if what == "number" and self.details[number] != "integer":
            finite = words.finite.replace("{}", dialect.number(number))
            exact = f"case when {finite} then {exact} end"
        return [*found, f"min({exact})", f"max({exact})"]

    def _branch(self, part: _Part) -> str:
        """Return the query of the bars of a column, ``""`` if none are asked for."""
        dialect, number = self._dialect, part.column
        what = KINDS.get(part.detail)
        if not part.present:
            return ""
        exact = dialect.exact(number)
        if what in {"number", "time"}:
            return self._binned(part, exact)
        none = dialect.words.text.replace("{}", "null")
        if what == "bool":
            label = f"case when c{number} then '1' else '0' end"
            given = f"c{number} is not null"
        elif what == "text" and part.distinct <= MANY:
            label = f"case when length({exact}) <= {LONGEST} then {exact} end"
            given = f"{label} is not null"
        else:
            return ""
        collated = ' collate "C"' if dialect.kind == "postgresql" else ""
        return (
            f"select * from (select {number} as c, 0 as b, agentnb_label as l, count(*) as n, "
            f"{none} as low, {none} as high from (select {label} as agentnb_label "
            f"from agentnb_kept where {given}) as agentnb_labels group by agentnb_label "
            f"order by count(*) desc, agentnb_label{collated} limit {CATEGORIES}) as s{number}"
        )

    def _binned(self, part: _Part, exact: str) -> str:
        words = self._dialect.words
        none = words.text.replace("{}", "null")
        code = "0"
        if part.bins is not None:
            code = bin_of(words, "x", part.bins)
        if KINDS[part.detail] == "number":
            finite, nan = (one.replace("{}", "x") for one in (words.finite, words.nan))
            code = (
                f"case when {finite} then {code} when {nan} then -1 when x < 0 then -2 else -3 end"
            )
        low, high = "min(v)", "max(v)"
        if self._dialect.kind != "sqlite":  # whose columns are of any type
            low, high = (words.text.replace("{}", one) for one in (low, high))
        return (
            f"select {part.column} as c, b, {none} as l, count(*) as n, {low} as low, "
            f"{high} as high from (select {code} as b, v from (select "
            f"{self._dialect.number(part.column)} as x, {exact} as v from agentnb_kept) as n "
            f"where x is not null) as s{part.column} group by b"
        )


class _Part:
    """The counts and the bars of one column, as they come."""

    def __init__(
        self, column: int, detail: str, present: Any, distinct: Any, low: Any, high: Any
    ) -> None:
        if detail == "integer" and isinstance(low or high, float):
            detail = "real"  # SQLite's columns have values of any type
        self.column = column
        self.detail = detail
        self.present = int(present)
        self.distinct = min(int(distinct), self.present)
        self.low, self.high = low, high
        self.bins: Bins | None = None if low is None else bins_of(detail, low, high)
        self._binned: dict[int, BinRows] = {}
        self._named: list[tuple[str | bool, int]] = []

    def add(self, code: Any, label: Any, rows: Any, low: Any, high: Any) -> None:
        """Add a bar that was counted."""
        if KINDS[self.detail] in {"text", "bool"}:
            self._named.append((label == "1" if self.detail == "boolean" else label, int(rows)))
            return
        self._binned[int(code)] = BinRows(int(rows), *map(self._read, (low, high)))

    def _read(self, value: Any) -> Any:
        if not isinstance(value, str):
            return value
        if self.detail == "real" or isinstance(self.low, float):
            return float(value)
        return Decimal(value) if self.detail == "decimal" else int(value)

    def summary(self, total: int) -> Summary:
        """Return the summary."""
        nulls = total - self.present
        what = KINDS.get(self.detail)
        if what in {"number", "time"}:
            bars = number_bars(self.column, self.detail, self.bins, self._binned, self.present)
        elif what is None:
            bars = values_bar(self.column, self.present)
        else:
            bars = category_bars(self.column, self._named, self.present)
        edges = value_shown(self.low, self.detail), value_shown(self.high, self.detail)
        return Summary(self.column, nulls, self.distinct, *edges, bars)
