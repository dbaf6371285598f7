"""The numbers of a plot, made by a database of all rows of a query."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.bins import Bins
from agentnb.core.db.expressions import EXPRESSIONS, bin_of
from agentnb.core.db.quoting import quoted_name
from agentnb.core.plot.asked import asked as asked_for
from agentnb.core.plot.drawn import (
    BINS,
    CATEGORIES,
    COLORS,
    FARTHEST,
    OTHER,
    POINTS,
    Box,
    Drawn,
    Point,
    steps,
)
from agentnb.core.quartiles import QUARTILES, SHARES

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agentnb.core.plot.asked import Asked, Axis, Kind

__all__ = ["Source", "draw"]

_NUMBERS = frozenset({"integer", "real", "decimal"})
_TIMES = frozenset({"date", "datetime", "datetimetz"})


@dataclass(frozen=True, slots=True)
class Source:
    """A query whose rows are plotted.

    Parameters
    ----------
    kind
        ``"sqlite"``, ``"postgresql"`` or ``"duckdb"``.
    ask
        Runs SQL in which ``{query}`` stands for the query, with more values by name; returns
        columns, their kinds, and rows.
    """

    kind: str
    ask: Callable[[str, Mapping[str, Any]], tuple[Sequence[str], Sequence[Any], list[Any]]]


def draw(source: Source, x: str, y: str | None, color: str | None, kind: Kind | None) -> Drawn:
    """Return the numbers of a plot of all rows of a query.

    Parameters
    ----------
    source
        The query.
    x, y, color, kind
        As in `Result.plot`.

    Raises
    ------
    UsageError
        As `asked`.
    """
    columns, kinds, _ = source.ask("select * from ({query}) as q limit 0", {})
    axes = {name: _axis(source, columns, kinds, name) for name in columns if name in {x, y, color}}
    asked = asked_for(columns, axes, x, y, color, kind)
    return _Pushed(source, asked).drawn()


def _axis(source: Source, columns: Sequence[str], kinds: Sequence[Any], name: str | None) -> Axis:
    if source.kind == "sqlite":
        return _sqlite_axis(source, str(name))
    kind = dict(zip(columns, kinds, strict=False)).get(str(name))
    return "number" if kind in _NUMBERS else "time" if kind in _TIMES else "text"


def _sqlite_axis(source: Source, name: str) -> Axis:
    """Return what a column holds that has no type: each value has its own."""
    column = quoted_name(name)
    sql = (
        f"select count({column}), sum(typeof({column}) in ('integer', 'real')), "
        f"sum({column} glob '[0-9][0-9][0-9][0-9]-[0-9][0-9]-[0-9][0-9]*' "
        f"and julianday({column}) is not null) from ({{query}}) as q"
    )
    _, _, [(values, numbers, times)] = source.ask(sql, {})
    if values and numbers == values:
        return "number"
    return "time" if values and times == values else "text"


class _Pushed:
    def __init__(self, source: Source, asked: Asked) -> None:
        self._ask = source.ask
        self._kind = source.kind
        self._words = EXPRESSIONS[source.kind]
        self._asked = asked
        self._values: dict[str, Any] = {}
        textual = asked.axis == "text" or asked.kind in {"bar", "box"}
        self._x = self._made(asked.x, "text" if textual else asked.axis)
        self._y = "1.0" if asked.y is None else self._made(asked.y, "number")
        self._textual = textual

    def _made(self, name: str, axis: Axis) -> str:
        words = self._words
        pattern = {"text": words.text, "number": words.number, "time": words.time}[axis]
        return pattern.replace("{}", quoted_name(name))

    def drawn(self) -> Drawn:
        """Return the numbers."""
        asked = self._asked
        # In each database NaN is null or the greatest number: it is not below another.
        where = ["y is not null", f"abs(y) < {FARTHEST}", "x is not null"]
        where += [] if self._textual else [f"abs(x) < {FARTHEST}"]
        color = "null" if asked.color is None else f"coalesce({self._color()}, 'NULL')"
        plain = (
            f"(select {self._x} as x, {self._y} as y, {color} as color from ({{query}}) as q) as p"
        )
        fits = " and ".join(where)
        self._rows = f"(select x, y, color from {plain} where {fits})"
        low, high = (
            ("null", "null")
            if self._textual
            else (f"{one}(case when {fits} then x end)" for one in ("min", "max"))
        )
        counts = f"count(*), sum(case when {fits} then 1 else 0 end), {low}, {high}"
        _, _, [(rows, found, first, last)] = self._ask(f"select {counts} from {plain}", {})
        kept = int(found or 0)
        drawn = Drawn(asked, int(rows), int(rows) - kept)
        if not kept:
            return drawn
        colors = 1 if asked.color is None else self._limit_colors(drawn)
        if asked.kind in {"hist", "line"}:
            self._bins(drawn, float(first), float(last), steps(colors))
        elif asked.kind == "bar":
            self._bars(drawn)
        elif asked.kind == "scatter":
            self._scatter(drawn, kept)
        else:
            self._boxes(drawn)
        return drawn

    def _color(self) -> str:
        return self._made(str(self._asked.color), "text")

    def _limit_colors(self, drawn: Drawn) -> int:
        """Make the rarest colors one, and return how many there are then."""
        sql = (
            f"select color from {self._rows} as r group by color "
            f"order by count(*) desc, color limit {COLORS + 1}"
        )
        found = [row[0] for row in self._ask(sql, {})[2]]
        if len(found) <= COLORS:
            return len(found)
        count = f"select count(distinct color) from {self._rows} as r"
        drawn.colors = int(self._ask(count, {})[2][0][0])
        names = {f"plot_color_{number}": one for number, one in enumerate(found[: COLORS - 1])}
        self._values |= names
        listed = ", ".join(f":{name}" for name in names)
        self._rows = (
            f"(select x, y, case when color in ({listed}) then color else '{OTHER}' end as color "
            f"from {self._rows} as c)"
        )
        return COLORS

    def _got(self, sql: str) -> list[Any]:
        return self._ask(sql, self._values)[2]

    def _bins(self, drawn: Drawn, low: float, high: float, along: int) -> None:
        most, value = (BINS, "count(*)") if self._asked.kind == "hist" else (along, "avg(y)")
        bins = Bins(low, high, most)
        sql = (
            f"select color, b, {value} as v from (select color, y, "
            f"{bin_of(self._words, 'x', bins)} as b from {self._rows} as r) as s "
            "group by 1, 2 order by 1, 2"
        )
        drawn.points = [
            Point(bins.start(b), float(v), bins.start(b + 1), color)
            for color, b, v in self._got(sql)
        ]

    def _bars(self, drawn: Drawn) -> None:
        sql = (
            # Names that the query's own tables will not have.
            f"with plot_parts as (select x, color, sum(y) as v from {self._rows} as r "
            "group by x, color), "
            "plot_totals as (select x, sum(v) as total from plot_parts group by x), "
            "plot_shown as (select x, total from plot_totals order by total desc, x "
            f"limit {CATEGORIES}) "
            "select p.x, p.color, p.v, (select count(*) from plot_totals) from plot_parts as p "
            "join plot_shown as s on s.x = p.x order by s.total desc, p.x, p.color"
        )
        found = self._got(sql)
        drawn.categories = int(found[0][3])
        drawn.points = [Point(x, float(v), None, color) for x, color, v, _ in found]

    def _scatter(self, drawn: Drawn, kept: int) -> None:
        drawn.values = kept
        step = max(1, -(-kept // POINTS))
        sql = (
            f"select x, y, color from (select x, y, color, row_number() over () as n "
            f"from {self._rows} as r) as s where (n - 1) % {step} = 0 limit {POINTS}"
        )
        drawn.points = [Point(float(x), float(y), None, color) for x, y, color in self._got(sql)]

    def _boxes(self, drawn: Drawn) -> None:
        drawn.categories = int(self._got(f"select count(distinct x) from {self._rows} as r")[0][0])
        quartile = QUARTILES.get(self._kind)
        if quartile is None:
            self._ranked_boxes(drawn)
            return
        shares = ", ".join(
            quartile.replace("{}", "y").replace("{share}", str(one)) for one in SHARES
        )
        sql = (
            f"select x, min(y), {shares}, max(y) from {self._rows} as r group by x "
            f"order by count(*) desc, x limit {CATEGORIES}"
        )
        drawn.boxes = [Box(row[0], *map(float, row[1:])) for row in self._got(sql)]

    def _ranked_boxes(self, drawn: Drawn) -> None:
        """Take the values at their ranks, where there is no function for it."""
        shares = ", ".join(
            f"max(case when n = max(1, cast(c * {share} as integer) "
            f"+ (c * {share} > cast(c * {share} as integer))) then y end)"
            for share in SHARES
        )
        sql = (
            f"select x, min(y), {shares}, max(y) from (select x, y, row_number() over "
            f"(partition by x order by y) as n, count(*) over (partition by x) as c "
            f"from {self._rows} as r) as s group by x order by count(*) desc, x "
            f"limit {CATEGORIES}"
        )
        drawn.boxes = [Box(row[0], *map(float, row[1:])) for row in self._got(sql)]
