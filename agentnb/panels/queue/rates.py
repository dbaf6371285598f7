"""How fast queues are: the jobs that ended between two snapshots, and how long they took."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.moments import seconds_between

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.queue import Queue
    from agentnb.core.queue.search import JobSummary

__all__ = ["Rates", "Speed"]

_LAST = 50


class Speed(NamedTuple):
    """How fast queues are; None for what is not known.

    Parameters
    ----------
    which
        The queue that it is of; None for all.
    ended
        Jobs that ended, well or not, a second, since the snapshot before.
    wait
        Seconds from added to started: the median of the jobs that have completed since then, at
        their first attempt.
    run
        Seconds from started to finished: the same.
    """

    which: str | None
    ended: float | None
    wait: float | None
    run: float | None


class Rates:
    """Remembers the totals of one snapshot until the next."""

    def __init__(self) -> None:
        self._which: str | None = None
        self._at: float | None = None
        self._totals: dict[str, tuple[int, int]] = {}
        self._seen: dict[str, float] = {}

    def of(
        self, which: str | None, queues: Sequence[tuple[Queue, dict[str, int]]], now: float
    ) -> Speed:
        """Return how fast these queues are, at a time of the monotonic clock."""
        if which != self._which:
            self._which, self._at = which, None
            self._totals, self._seen = {}, {}
        ended, fresh = 0, []
        for queue, counts in queues:
            total = (counts["completed_total"], counts["failed_total"])
            before = self._totals.get(queue.name, (0, 0))  # where it was not there before
            self._totals[queue.name] = total
            ended += max(sum(total) - sum(before), 0)
            if total[0] != before[0]:
                fresh += self._finished(queue)
        rate = None if self._at is None or now <= self._at else ended / (now - self._at)
        self._at = now
        waits = [
            max(seconds_between(one.created, one.started), 0.0)
            for one in fresh
            if one.attempt == 1 and one.started is not None and one.created is not None
        ]
        runs = [
            max(seconds_between(one.started, one.finished), 0.0)
            for one in fresh
            if one.finished is not None and one.started is not None
        ]
        return Speed(which, rate, median(waits) if waits else None, median(runs) if runs else None)

    def _finished(self, queue: Queue) -> list[JobSummary]:
        """Return the last jobs that have completed since this was asked before."""
        jobs = queue.search("completed", n=_LAST).jobs
        since = self._seen.get(queue.name, 0.0)
        ended = [(one.finished.timestamp() if one.finished else 0.0, one) for one in jobs]
        fresh = [one for finished, one in ended if finished > since]
        self._seen[queue.name] = max((finished for finished, _ in ended), default=since)
        return fresh
