"""The plot that was asked for: its columns, their kinds, and the form of the drawing."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, get_args

from agentnb.core.errors import UsageError, did_you_mean
from agentnb.core.ranges import choice

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = ["Asked", "Axis", "Kind", "asked", "forms"]

Kind = Literal["line", "bar", "hist", "scatter", "box"]
Axis = Literal["number", "time", "text"]
forms: tuple[Kind, ...] = get_args(Kind)

_HINT = 'result.plot("x", "y"), result.plot("x"), or kind="bar"'


@dataclass(frozen=True, slots=True)
class Asked:
    """A plot that was asked for.

    Parameters
    ----------
    kind
        The form: ``"line"``, ``"bar"``, ``"hist"``, ``"scatter"`` or ``"box"``.
    x, y, color
        Names of columns; None where there is none.
    axis
        What is along x: ``"number"``, ``"time"`` or ``"text"``.
    """

    kind: Kind
    x: str
    y: str | None
    color: str | None
    axis: Axis


def asked(
    columns: Sequence[str],
    axes: dict[str, Axis],
    x: str,
    y: str | None,
    color: str | None,
    kind: Kind | None,
) -> Asked:
    """Return the plot that these words ask for.

    Parameters
    ----------
    columns
        The names of the result's columns.
    axes
        What each of the named columns holds.
    x, y, color, kind
        As in `Result.plot`.

    Raises
    ------
    UsageError
        There is no such column, or the form does not fit the columns.
    """
    for name in (x, *(one for one in (y, color) if one is not None)):
        if name not in columns:
            raise UsageError(
                f"there is no column {name!r} to plot",
                service="plot",
                hint=did_you_mean(name, columns) or f"columns: {', '.join(columns[:20])}",
            )
    if kind is not None:
        choice("kind", kind, forms, service="plot")
    axis = axes[x]
    if kind is None:
        kind = _fitting(axis, y, axes)
    if y is not None and axes[y] != "number":
        raise _unfit(f"y={y!r} holds no numbers")
    if kind == "hist" and (axis == "text" or y is not None):
        raise _unfit("a histogram has a column of numbers or times, and no y")
    if kind in {"line", "scatter"} and (y is None or axis == "text"):
        raise _unfit(f"a {kind} plot has numbers or times along x, and a y")
    if kind == "box" and y is None:
        raise _unfit("a box plot has a y")
    if kind == "box" and color is not None:
        raise _unfit("a box plot has no color")
    return Asked(kind, x, y, color, axis)


def _fitting(axis: Axis, y: str | None, axes: dict[str, Axis]) -> Kind:
    if axis == "text":
        return "bar"
    if y is None:
        return "hist"
    return "line" if axes[y] == "number" else "bar"


def _unfit(what: str) -> UsageError:
    return UsageError(what, service="plot", hint=_HINT)
