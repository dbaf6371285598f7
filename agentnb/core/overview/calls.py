"""The calls to each service within a moving window of time."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.trace.counters import CALL_BOUNDS, Histogram

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.trace.counters import Counters
    from agentnb.core.trace.spans import Span

__all__ = ["CallWindow", "WindowedCalls", "history_of"]


class WindowedCalls(NamedTuple):
    """The calls to a service within the window.

    Attributes
    ----------
    durations
        How long they took.
    failed
        How many failed.
    rate
        How many there were each second.
    new
        How many ended since the reading before, and how many of them failed.
    ever
        The durations of all calls of this process.
    """

    durations: Histogram
    failed: int
    rate: float
    new: tuple[int, int]
    ever: Histogram


class _Totals(NamedTuple):
    """All calls to a service until now."""

    durations: Histogram
    failed: int


class CallWindow:
    """Compares the counts of calls with those of up to two minutes ago.

    Parameters
    ----------
    seconds
        The length of the window.

    Examples
    --------
    >>> from agentnb.core.trace.counters import Counters
    >>> counters, window = Counters(), CallWindow(120)
    >>> _ = window.read(counters, now=0)
    >>> for outcome in ("ok", "ok", "TableNotFound"):
    ...     counters.call("db", "query", outcome, 1.5, 0.0)
    >>> found = window.read(counters, now=2)["db"]
    >>> found.durations.count, found.failed, found.rate, found.new
    (3, 1, 1.5, (3, 1))
    """

    def __init__(self, seconds: float = 120.0) -> None:
        self._seconds = seconds
        self._readings: deque[tuple[float, dict[str, _Totals]]] = deque()
        self._counters: Counters | None = None

    def read(self, counters: Counters | None, *, now: float) -> dict[str, WindowedCalls]:
        """Return the calls to each service since the oldest reading within the window.

        The first reading has all calls so far, and none that are new.

        Parameters
        ----------
        counters
            The counts; other ones than before begin a new window.
        now
            Seconds, of which only differences matter.
        """
        if counters is not self._counters:
            self._counters = counters
            self._readings.clear()
        totals = {} if counters is None else _totals(counters)
        readings = self._readings
        while len(readings) > 1 and readings[1][0] <= now - self._seconds:
            readings.popleft()
        first = readings[0] if readings else (now - self._seconds, {})
        last = readings[-1][1] if readings else totals
        readings.append((now, totals))
        length = max(now - first[0], 1.0)
        return {
            service: _between(first[1].get(service), last.get(service), found, length)
            for service, found in totals.items()
        }


def _totals(counters: Counters) -> dict[str, _Totals]:
    found: dict[str, _Totals] = {}
    for one in counters.calls():
        known = found.get(one.service)
        failed = 0 if one.outcome == "ok" else one.durations.count
        if known is None:
            found[one.service] = _Totals(one.durations, failed)
        else:
            known.durations.add(one.durations)
            found[one.service] = _Totals(known.durations, known.failed + failed)
    return found


def _between(
    first: _Totals | None, last: _Totals | None, now: _Totals, seconds: float
) -> WindowedCalls:
    durations = Histogram(CALL_BOUNDS)
    durations.add(now.durations)
    count = before = now.durations.count
    failed, failed_before = now.failed, now.failed
    if first is not None:
        durations.counts = [
            a - b for a, b in zip(durations.counts, first.durations.counts, strict=True)
        ]
        failed -= first.failed
    before, failed_before = (0, 0) if last is None else (last.durations.count, last.failed)
    new = (count - before, now.failed - failed_before)
    return WindowedCalls(durations, failed, durations.count / seconds, new, now.durations)


def history_of(
    spans: Iterable[Span], *, points: int, every: float, now: float
) -> dict[str, list[tuple[int, int]]]:
    """Return how many calls to each service ended, and failed, in each of the last steps of time.

    Parameters
    ----------
    spans
        The spans that are still known.
    points
        The number of steps.
    every
        Seconds of a step.
    now
        The end of the last step, in seconds since the epoch.

    Examples
    --------
    >>> from agentnb.core.trace.spans import Tracer
    >>> tracer = Tracer()
    >>> with tracer.span("query", service="db") as span:
    ...     pass
    >>> history_of([span], points=3, every=2.0, now=span.ended + 3)
    {'db': [(0, 0), (1, 0), (0, 0)]}
    """
    found: dict[str, list[tuple[int, int]]] = {}
    for span in spans:
        at = points - 1 - int((now - span.ended) // every)
        if 0 <= at < points:
            line = found.setdefault(span.service, [(0, 0)] * points)
            calls, failed = line[at]
            line[at] = calls + 1, failed + span.failed
    return found
