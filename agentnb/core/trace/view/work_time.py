"""The time in which a trace worked: by service, and the gaps in which it only waited."""

from __future__ import annotations

from heapq import heappop, heappush
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from agentnb.core.trace.spans import Span
    from agentnb.core.trace.tree import Trace

__all__ = ["YOUR_CODE", "WorkTime", "extents", "work_time"]

YOUR_CODE = "your code"
"""The share of the time inside of a job, a task, a step or a cell, and in no call."""

_OWN = frozenset({"work", "cell", "step"})


class WorkTime(NamedTuple):
    """The time of a trace, by service.

    Attributes
    ----------
    shares
        Seconds by service, most first.
    waiting
        Seconds in which nothing worked.
    idle
        The stretches of time in which nothing worked, each as its begin and its end.
    """

    shares: dict[str, float]
    waiting: float
    idle: list[tuple[float, float]]


def extents(spans: list[Span], now: float) -> dict[int, tuple[float, float]]:
    """Return the begin and the end of each span by its id, in seconds since 1970.

    A span that runs goes on until now; one that was lost ends with the last span below it.
    """
    found: dict[int, tuple[float, float]] = {}
    for span in spans:
        end = max(now, span.began) if span.outcome == "running" else span.ended
        found[span.span] = span.began, max(end, span.began)
    lost = {span.span for span in spans if span.outcome == "Lost"}
    for span in reversed(spans) if lost else ():  # those below before those above
        if span.parent in lost:
            began, ended = found[span.parent]
            found[span.parent] = began, max(ended, found[span.span][1])
    return found


def work_time(trace: Trace, at: dict[int, tuple[float, float]]) -> WorkTime:
    """Return the wall time by service: at each instant it is that of the deepest working span.

    A span does not work while a span below it runs; one that waits never does.

    Parameters
    ----------
    trace
        The trace.
    at
        Its `extents`.
    """
    spans = trace.spans
    index = {span.span: number for number, span in enumerate(spans)}
    parents = [index.get(span.parent, -1) for span in spans]
    depths = _depths(trace, index)
    below, active = [0] * len(spans), [False] * len(spans)
    waits = [span.kind == "wait" for span in spans]
    events = sorted(
        [(at[span.span][0], 0, number) for number, span in enumerate(spans)]
        + [(at[span.span][1], 1, number) for number, span in enumerate(spans)]
    )
    shares: dict[str, float] = {}
    idle: list[tuple[float, float]] = []
    candidates: list[tuple[int, float, int]] = []  # a heap, in which some have ended meanwhile
    last, owner = events[0][0] if events else 0.0, -1
    for moment, ends, number in events:
        if moment > last:
            if owner >= 0:
                label = _label(spans[owner])
                shares[label] = shares.get(label, 0.0) + moment - last
            elif idle and idle[-1][1] == last:
                idle[-1] = idle[-1][0], moment
            else:
                idle.append((last, moment))
            last = moment
        active[number] = not ends
        parent = parents[number]
        ready = number
        if parent >= 0:
            below[parent] += -1 if ends else 1
        if ends:
            ready = parent
        if ready >= 0 and active[ready] and not below[ready] and not waits[ready]:
            heappush(candidates, (-depths[ready], -spans[ready].began, ready))
        while candidates and (not active[candidates[0][2]] or below[candidates[0][2]]):
            heappop(candidates)
        owner = candidates[0][2] if candidates else -1
    ordered = dict(sorted(shares.items(), key=lambda pair: -pair[1]))
    return WorkTime(ordered, sum(end - begin for begin, end in idle), idle)


def _depths(trace: Trace, index: dict[int, int]) -> list[int]:
    """Return the number of spans above each one."""
    depths = [0] * len(trace.spans)
    waiting = trace.roots
    while waiting:
        span = waiting.pop()
        depth = depths[index[span.span]] + 1
        for child in trace.children(span):
            depths[index[child.span]] = depth
            waiting.append(child)
    return depths


def _label(span: Span) -> str:
    return YOUR_CODE if span.kind in _OWN else span.service
