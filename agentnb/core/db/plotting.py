"""A plot of all rows of a query: the database makes its numbers."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.db.text import scan
from agentnb.core.errors import UsageError
from agentnb.core.plot.plot import Plot, of_rows
from agentnb.core.plot.pushed import Source, draw

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from agentnb.core.db.executor import Executor
    from agentnb.core.plot.asked import Kind

__all__ = ["plot"]

_PUSHED = frozenset({"sqlite", "postgresql", "duckdb"})


def plot(
    executor: Executor,
    sql: str,
    x: str,
    y: str | None,
    params: Mapping[str, Any],
    *,
    color: str | None,
    kind: Kind | None,
    timeout: float | None,
    frames: Mapping[str, Any] | None,
) -> Plot:
    """Return the plot of a query; see `Executor.plot`."""
    statement = scan(sql, executor.access.backend.syntax)
    if not statement.reads:
        raise UsageError(
            f"only a query is plotted, got {statement.keyword.upper() or 'something else'}",
            service="db",
            hint="plot its result: result.plot(x, y)",
        )
    given: dict[str, Any] = {"timeout": timeout}
    if frames is not None:
        given["frames"] = frames
    if executor.access.backend.kind not in _PUSHED:
        del given["timeout"]
        result = executor.query(sql, params, **given)
        return of_rows(result.columns, result.rows, x, y, color, kind)

    def ask(
        text: str, more: Mapping[str, Any]
    ) -> tuple[Sequence[str], Sequence[Any], list[tuple[Any, ...]]]:
        whole = text.replace("{query}", f"{statement.sql}\n")
        found = executor.query(whole, {**params, **more} if more else params, **given)
        return found.columns, found.kinds, list(found.rows)

    return Plot(draw(Source(executor.access.backend.kind, ask), x, y, color, kind))
