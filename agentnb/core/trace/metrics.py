"""The counts of calls as a table: how many, how many failed, how long they took."""

from __future__ import annotations

from typing import TYPE_CHECKING

from agentnb.core.table import Column, Table
from agentnb.core.trace.counters import CALL_BOUNDS, Histogram

if TYPE_CHECKING:
    from agentnb.core.trace.counters import CallCounts, Counters

__all__ = ["call_table"]


def call_table(counters: Counters) -> Table:
    """Return a row for each service and operation."""
    series: dict[tuple[str, str], list[CallCounts]] = {}
    for one in counters.calls():
        series.setdefault((one.service, one.operation), []).append(one)
    return Table(
        (
            *("service", "operation", Column("calls", "count"), Column("errors", "count")),
            *(Column("p50", "duration"), Column("p95", "duration"), "last error"),
        ),
        [(*names, *_values(found)) for names, found in series.items()],
        empty="nothing was called yet",
    )


def _values(series: list[CallCounts]) -> tuple[int, int, float | None, float | None, str | None]:
    durations = Histogram(CALL_BOUNDS)
    for one in series:
        durations.add(one.durations)
    failed = [one for one in series if one.outcome != "ok"]
    newest = max(failed, key=lambda one: one.last, default=None)
    return (
        durations.count,
        sum(one.durations.count for one in failed),
        durations.quantile(0.5),
        durations.quantile(0.95),
        newest.outcome if newest is not None else None,
    )
