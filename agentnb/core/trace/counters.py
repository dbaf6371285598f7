"""Counts of calls and of work, kept in memory: how many, how long, with which outcome."""

from __future__ import annotations

import math
from bisect import bisect_left
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, Literal

from agentnb.core.forking import new_rlock
from agentnb.core.format import cut
from agentnb.core.keywords import refuse_unknown

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

__all__ = [
    "CALL_BOUNDS",
    "OTHER",
    "WORK_BOUNDS",
    "CallCounts",
    "Counters",
    "Histogram",
    "WorkCounts",
]

CALL_BOUNDS: Final = (0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 2.5, 10.0)
"""The upper bounds of the buckets of calls, in seconds."""
WORK_BOUNDS: Final = (0.005, 0.025, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 15.0, 60.0, 300.0, 1800.0)
"""The upper bounds of the buckets of jobs and tasks, in seconds."""
OTHER: Final = "other"
"""The name under which series beyond the limit are counted."""
_CALL_BOUNDS_MS: Final = tuple(bound * 1000 for bound in CALL_BOUNDS)
_MOST_NEW = 200
_MOST_CALLS = 500
_MOST_OTHERS = 50
_MOST_WORK = 200
_LONGEST_NAME = 60
_LONGEST_ERROR = 200
_OUTCOMES: Final = {None: "lost", "delayed": "retried", "waiting": "released"}

Kind = Literal["job", "task"]


class Histogram:
    """Durations, counted in buckets.

    Parameters
    ----------
    bounds
        The upper bounds of the buckets, in seconds; one more takes what is longer.

    Attributes
    ----------
    counts
        The number of durations in each bucket.
    total
        Their sum, in seconds.

    Examples
    --------
    >>> histogram = Histogram((0.1, 1.0))
    >>> for seconds in (0.05, 0.1, 0.5, 7.0):
    ...     histogram.observe(seconds)
    >>> histogram.counts, histogram.cumulative
    ([2, 1, 1], [(0.1, 2), (1.0, 3), (inf, 4)])
    """

    __slots__ = ("bounds", "counts", "total")

    def __init__(self, bounds: Sequence[float]) -> None:
        self.bounds = tuple(bounds)
        self.counts = [0] * (len(bounds) + 1)
        self.total = 0.0

    def observe(self, seconds: float) -> None:
        """Count a duration."""
        self.counts[bisect_left(self.bounds, seconds)] += 1
        self.total += seconds

    @property
    def count(self) -> int:
        """The number of durations."""
        return sum(self.counts)

    @property
    def cumulative(self) -> list[tuple[float, int]]:
        """The upper bound of each bucket, and how many durations are at most that long."""
        found, so_far = [], 0
        for bound, count in zip((*self.bounds, math.inf), self.counts, strict=True):
            so_far += count
            found.append((bound, so_far))
        return found

    def quantile(self, share: float) -> float | None:
        """Return an estimate of a quantile in seconds, from the buckets; None without durations.

        It is linear within a bucket; the longest bound stands for all that is longer.

        >>> histogram = Histogram((0.1, 1.0))
        >>> histogram.counts[:] = [10, 10, 0]
        >>> histogram.quantile(0.5), histogram.quantile(0.75)
        (0.1, 0.55)
        """
        rank, lower, before = share * self.count, 0.0, 0
        for bound, so_far in self.cumulative:
            if so_far and so_far >= rank:
                if math.isinf(bound):
                    return self.bounds[-1]
                within = (rank - before) / (so_far - before) if so_far > before else 1.0
                return lower + (bound - lower) * within
            lower, before = bound, so_far
        return None

    def add(self, other: Histogram) -> None:
        """Add the durations of another histogram with the same bounds."""
        self.counts = [a + b for a, b in zip(self.counts, other.counts, strict=True)]
        self.total += other.total

    def copy(self) -> Histogram:
        """Return a copy."""
        copied = Histogram(self.bounds)
        copied.add(self)
        return copied


@dataclass(frozen=True, slots=True)
class CallCounts:
    """The calls of one operation with one outcome.

    Attributes
    ----------
    service, operation
        Such as ``db`` and ``query``.
    outcome
        ``ok``, or the name of the error's class.
    durations
        How long they took.
    last
        When the last of them began, in seconds since the epoch; 0 where the outcome is ``ok``.
    error
        The message of its error, with secrets masked; None where there is none.
    """

    service: str
    operation: str
    outcome: str
    durations: Histogram
    last: float
    error: str | None = None


class _Calls:
    """The counts of one series, as they grow."""

    __slots__ = ("add", "counts", "error", "last", "ms", "new")

    def __init__(self) -> None:
        # A thread may append while another counts what is there; a lock for each call would take
        # a third of its time.
        self.new: deque[float] = deque()
        self.add = self.new.append
        self.counts = [0] * (len(CALL_BOUNDS) + 1)
        self.ms = 0.0
        self.last = 0.0
        self.error: str | None = None

    def count(self) -> None:
        """Put the new durations into their buckets; called under the lock."""
        counts, new = self.counts, self.new
        while new:
            try:
                ms = new.popleft()
            except IndexError:  # a signal's handler, or a finaliser, has counted them meanwhile
                break
            counts[bisect_left(_CALL_BOUNDS_MS, ms)] += 1
            self.ms += ms


@dataclass(slots=True)
class WorkCounts:
    """The jobs of one queue, or the tasks of one agent, that this process has run.

    Attributes
    ----------
    started
        Attempts that began.
    outcomes
        Attempts that ended, by outcome: ``completed``, ``failed``, ``retried``, ``cancelled``,
        ``released``, and ``lost`` for those whose unit was given to another worker meanwhile.
    reclaimed
        Units that this process took from workers that are gone.
    durations, waits
        Seconds from the claim until the end of an attempt, and from the time at which a unit
        could run until its first claim.
    """

    started: int = 0
    outcomes: dict[str, int] = field(default_factory=dict)
    reclaimed: int = 0
    durations: Histogram = field(default_factory=lambda: Histogram(WORK_BOUNDS))
    waits: Histogram = field(default_factory=lambda: Histogram(WORK_BOUNDS))

    def copy(self) -> WorkCounts:
        """Return a copy."""
        return WorkCounts(
            self.started,
            dict(self.outcomes),
            self.reclaimed,
            self.durations.copy(),
            self.waits.copy(),
        )


@refuse_unknown("trace")
class Counters:
    """Counts every call to a service and every attempt at a job or task of this process.

    A `Tracer` counts each span, also one that it does not write. At most 500 series of calls are
    kept; further operations are counted as ``other``, and so is a name that is long or in which
    a secret would be masked.

    Parameters
    ----------
    redactor
        Masks secrets in names; None for names as they are.

    Examples
    --------
    >>> counters = Counters()
    >>> counters.call("db", "query", "ok", 1.5, 0.0)
    >>> [(one.operation, one.outcome, one.durations.count) for one in counters.calls()]
    [('query', 'ok', 1)]
    >>> counters.begun("job", "mail", waited=0.2)
    >>> counters.ended("job", "mail", "completed", seconds=1.0)
    >>> counters.work("job")["mail"].outcomes
    {'completed': 1}
    """

    def __init__(self, redactor: Callable[[str], str] | None = None) -> None:
        self._redactor = redactor or str
        # Reentrant: a signal's handler may make a call in the midst of one that is counted.
        self._lock = new_rlock()
        self._calls: dict[tuple[str, str, str], _Calls] = {}
        self._work: dict[tuple[Kind, str], WorkCounts] = {}

    # Calls

    def call(
        self,
        service: str,
        operation: str,
        outcome: str,
        ms: float,
        when: float,
        error: str | None = None,
    ) -> None:
        """Count a call.

        Parameters
        ----------
        service, operation, outcome
            The series that it belongs to.
        ms
            Milliseconds that it took.
        when
            When it began, in seconds since the epoch.
        error
            The message of the error that ended it, with its secrets.
        """
        try:
            series = self._calls[service, operation, outcome]
        except (KeyError, TypeError):  # a name may be anything, also what cannot be hashed
            series = self._series(service, operation, outcome)
        series.add(ms)
        if len(series.new) > _MOST_NEW:
            with self._lock:
                series.count()
        if outcome != "ok":
            series.last, series.error = when, error

    def _series(self, service: object, operation: object, outcome: object) -> _Calls:
        """Return the series of a call that has none yet, or that of ``other``."""
        names = [self._name(one) for one in (service, operation, outcome)]
        with self._lock:
            if len(self._calls) >= _MOST_CALLS:
                names[1] = OTHER
            key = (names[0], names[1], names[2])
            if key not in self._calls and len(self._calls) >= _MOST_CALLS + _MOST_OTHERS:
                key = (OTHER, OTHER, "ok" if outcome == "ok" else OTHER)
            return self._calls.setdefault(key, _Calls())

    def _name(self, value: object) -> str:
        text = value if isinstance(value, str) else OTHER
        if not 0 < len(text) <= _LONGEST_NAME or not text.isprintable():
            return OTHER
        return text if self._redactor(text) == text else OTHER

    def _message(self, error: str | None) -> str | None:
        # Masked when it is read: few errors are, and the mask takes longer than the call.
        return None if error is None else cut(self._redactor(error), _LONGEST_ERROR)

    def calls(self) -> list[CallCounts]:
        """Return the series of calls, by service, operation and outcome."""
        with self._lock:
            return [
                CallCounts(*names, _histogram(series), series.last, self._message(series.error))
                for names, series in sorted(self._calls.items())
            ]

    # Jobs and tasks

    def begun(self, kind: Kind, name: str, *, waited: float | None = None) -> None:
        """Count an attempt that begins.

        Parameters
        ----------
        kind, name
            ``job`` and its queue, or ``task`` and its agent.
        waited
            Seconds from the time at which it could run; None where that is not known.
        """
        with self._lock:
            counts = self._work_of(kind, name)
            counts.started += 1
            if waited is not None:
                counts.waits.observe(max(waited, 0.0))

    def ended(
        self, kind: Kind, name: str, state: str | None, *, seconds: float | None = None
    ) -> None:
        """Count an attempt that ended.

        Parameters
        ----------
        kind, name
            As in `begun`.
        state
            The state of the unit after it; None if its outcome did not count.
        seconds
            How long it took; None where that says nothing, as for a release.
        """
        outcome = _OUTCOMES.get(state, state or "lost")
        with self._lock:
            counts = self._work_of(kind, name)
            counts.outcomes[outcome] = counts.outcomes.get(outcome, 0) + 1
            if seconds is not None:
                counts.durations.observe(seconds)

    def reclaimed(self, kind: Kind, name: str) -> None:
        """Count a unit that was taken from a worker that is gone."""
        with self._lock:
            self._work_of(kind, name).reclaimed += 1

    def _work_of(self, kind: Kind, name: str) -> WorkCounts:
        found = self._work.get((kind, name))
        if found is None:
            name = name if len(self._work) < _MOST_WORK else OTHER
            found = self._work.setdefault((kind, name), WorkCounts())
        return found

    def work(self, kind: Kind) -> dict[str, WorkCounts]:
        """Return the counts of jobs by queue, or of tasks by agent."""
        with self._lock:
            found = sorted(self._work.items())
            return {name: counts.copy() for (one, name), counts in found if one == kind}


def _histogram(series: _Calls) -> Histogram:
    series.count()
    histogram = Histogram(CALL_BOUNDS)
    histogram.counts = list(series.counts)
    histogram.total = series.ms / 1000
    return histogram
