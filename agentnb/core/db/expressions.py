"""Expressions of each database with full support, for plots, profiles and grids."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from agentnb.core.bins import Bins

__all__ = ["EXPRESSIONS", "Expressions", "bin_of", "double"]

_TINY = 1e-300


@dataclass(frozen=True, slots=True)
class Expressions:
    """Expressions of a database; ``{}`` stands for a column or for another expression.

    Parameters
    ----------
    number, time, text
        Make a number of a column, seconds since 1970 of times, and text.
    micros
        Makes whole microseconds since 1970 of times; null of infinite ones.
    exact, own_text
        A column's numbers as they are, and its texts: null of other values.
    finite, nan
        Whether a number is finite, and whether it is NaN.
    whole
        Cuts a number to an integer.
    clipped
        An integer between 0 and ``{last}``.
    distinct
        Counts distinct values.
    contains
        Whether a text contains ``{part}``.
    """

    number: str
    time: str
    text: str
    micros: str
    exact: str
    own_text: str
    finite: str
    nan: str
    whole: str
    clipped: str
    distinct: str
    contains: str


EXPRESSIONS = {
    "duckdb": Expressions(
        number="cast({} as double)",
        time="epoch({})",
        text="cast({} as varchar)",
        micros="case when isfinite({}) then epoch_us({}) end",
        exact="{}",
        own_text="cast({} as varchar)",
        finite="isfinite({})",
        nan="isnan({})",
        whole="cast(trunc({}) as bigint)",
        clipped="least(greatest({}, 0), {last})",
        distinct="approx_count_distinct({})",
        contains="contains({}, {part})",
    ),
    "postgresql": Expressions(
        number="cast({} as float8)",
        time="cast(extract(epoch from {}) as float8)",
        text="cast({} as text)",
        micros="case when isfinite({}) then cast(extract(epoch from {}) * 1000000 as bigint) end",
        exact="{}",
        own_text="cast({} as text)",
        finite="{} not in ('NaN', 'Infinity', '-Infinity')",
        nan="({} = 'NaN')",
        whole="cast(trunc({}) as bigint)",
        clipped="least(greatest({}, 0), {last})",
        distinct="count(distinct {})",
        contains="strpos({}, {part}) > 0",
    ),
    "sqlite": Expressions(
        number="case when typeof({}) in ('integer', 'real') then cast({} as real) end",
        time="(julianday({}) - 2440587.5) * 86400.0",
        text="cast({} as text)",
        micros="cast(round((julianday({}) - 2440587.5) * 86400000.0) as integer) * 1000",
        exact="case when typeof({}) in ('integer', 'real') then {} end",
        own_text="case when typeof({}) = 'text' then {} end",
        finite="abs({}) < 9e999",
        nan="0",
        whole="cast({} as integer)",
        clipped="min(max({}, 0), {last})",
        distinct="count(distinct {})",
        contains="instr({}, {part}) > 0",
    ),
}
"""The expressions by the kind of the database."""


def bin_of(words: Expressions, number: str, bins: Bins) -> str:
    """Return the expression of the bin of a finite number, as `Bins.of` tells it."""
    low = double(bins.low)
    if bins.scale == 1.0:
        above = f"({number} - {low})"
    else:
        # PostgreSQL refuses what becomes 0 that way.
        scaled = (
            f"case when abs({number}) < {double(_TINY)} then 0 "
            f"else {number} * {double(bins.scale)} end"
        )
        above = f"({scaled} - {double(bins.low * bins.scale)})"
    width = double(bins.scaled_width)
    whole = words.whole.replace("{}", f"{above} / {width}")
    found = f"case when {above} < {width} then 0 else {whole} end"
    return words.clipped.replace("{}", found).replace("{last}", str(bins.count - 1))


def double(number: float) -> str:
    """Return a number as SQL has it, with all of its digits."""
    return f"cast({number!r} as double precision)"
