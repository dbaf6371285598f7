"""The counts of calls as a table: how many, how many failed, how long they took."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.table import Column, Table
from agentnb.core.trace.counters import CALL_BOUNDS, Histogram

if TYPE_CHECKING:
    from agentnb.core.trace.counters import CallCounts, Counters

__all__ = ["Numbers", "call_table", "numbers_by_service"]


class Numbers(NamedTuple):
    """The calls of one operation, or of one service.

    Attributes
    ----------
    calls, errors
        How many there were, and how many of them failed.
    p50, p95
        The median and the 95th percentile of their durations in seconds; None without calls.
    last_error
        Class and message of the last error, with secrets masked; None for none.
    """

    calls: int
    errors: int
    p50: float | None
    p95: float | None
    last_error: str | None


def call_table(counters: Counters) -> Table:
    """Return a row for each service and operation."""
    series: dict[tuple[str, str], list[CallCounts]] = {}
    for one in counters.calls():
        series.setdefault((one.service, one.operation), []).append(one)
    return Table(
        (
            *("service", "operation", Column("calls", "count"), Column("errors", "count")),
            *(Column("p50", "duration"), Column("p95", "duration"), Column("last error", "text")),
        ),
        [(*names, *_numbers(found)) for names, found in series.items()],
        empty='nothing was called yet: hub.db.query("select 1") (%db select 1) is a call',
    )


def numbers_by_service(counters: Counters) -> dict[str, Numbers]:
    """Return the calls of each service, all of its operations together."""
    series: dict[str, list[CallCounts]] = {}
    for one in counters.calls():
        series.setdefault(one.service, []).append(one)
    return {service: _numbers(found) for service, found in series.items()}


def _numbers(series: list[CallCounts]) -> Numbers:
    durations = Histogram(CALL_BOUNDS)
    for one in series:
        durations.add(one.durations)
    failed = [one for one in series if one.outcome != "ok"]
    newest = max(failed, key=lambda one: one.last, default=None)
    return Numbers(
        durations.count,
        sum(one.durations.count for one in failed),
        durations.quantile(0.5),
        durations.quantile(0.95),
        None if newest is None else _words(newest),
    )


def _words(counts: CallCounts) -> str:
    return f"{counts.outcome}: {counts.error}" if counts.error else counts.outcome
