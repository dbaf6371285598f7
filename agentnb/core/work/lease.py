"""The thread of a worker that renews its leases, and reclaims what dead workers left."""

from __future__ import annotations

from collections import Counter
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.background import BackgroundThread
from agentnb.core.failure import DIED, Failure
from agentnb.core.forking import new_event, new_lock
from agentnb.core.outage import OutageTracker
from agentnb.core.work.attempt import report
from agentnb.core.work.identity import describe, is_alive, is_dead
from agentnb.core.work.wakeup import DueTimer

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable, Sequence

    from agentnb.core.work.attempt import Attempt, WorkHandler
    from agentnb.core.work.store import ActiveUnit, Key, LeaseReport, WorkerInfo, WorkStore

__all__ = ["LeaseKeeper"]

ROUND = 0.5
"""Seconds between two looks, unless a lease expires sooner."""
SHORTEST_ROUND = 0.02
UNKNOWN_SECONDS = 2.0
"""How long a unit of this worker that no attempt runs is left alone: it may be on its way."""
LONGEST_GRACE = 2.0
MOST_UNCOUNTED = 3
"""How often in a row a death in company is not counted."""
_ASYNC_GRACE = 5.0


class LeaseKeeper:
    """Renews the leases of a worker, and looks after those of others, every half second.

    - A claim that another owner has by now: its attempt loses its lease.
    - An attempt that was asked to stop: it is cancelled.
    - A claim of this worker that no attempt runs: its hand-over was cut off, and it is released.
    - An attempt that takes too long in a thread: it fails, and its thread is left behind.
    - A unit whose worker is dead, or whose lease has expired: it is reclaimed.

    A lease counts as expired after a second look only, a renewal's time after the first: its
    worker may have slept as long as this one, or the server may have been away for both.

    Parameters
    ----------
    store, handler, owner
        Those of the worker.
    running
        The attempts that run in the worker; it adds and removes them.
    end_overdue
        Called with an attempt that took too long, once its outcome is this keeper's.
    log
        The worker's logger.
    """

    def __init__(
        self,
        store: WorkStore,
        handler: WorkHandler,
        owner: str,
        running: dict[Key, Attempt],
        *,
        end_overdue: Callable[[Attempt], object],
        log: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        self._store = store
        self._handler = handler
        self._owner = owner
        self._running = running
        self._end_overdue = end_overdue
        self._log = log
        self._due = DueTimer()
        self._next_look = 0.0
        self._suspects: dict[Key, float] = {}
        self._company: Counter[str] = Counter()
        self._deaths: dict[str, int] = {}
        self._renewing = new_lock()
        self._outage = OutageTracker(
            log, "no heartbeat, leases cannot be renewed", "leases are renewed again"
        )
        self.looked = new_event()
        """Set after the first look, by which the worker is known to others."""
        self._thread = BackgroundThread(self._run, name="leases", log=log)

    def start(self) -> None:
        """Begin to look, in a thread."""
        self._thread.start()

    def stop(self) -> None:
        """Stop looking."""
        self._thread.stop()

    def look(self) -> None:
        """Look now."""
        self._next_look = 0.0
        self._thread.wake()

    def record(self, about: WorkerInfo) -> None:
        """Record a new description of the worker, before this returns."""
        with self._renewing:
            self._store.join(self._owner, about)
            self._store.renew(self._owner, list(self._running))

    def set_due(self, seconds: float) -> None:
        """Wake the worker in some seconds, when a delayed unit is due."""
        if self._due.set(seconds) and seconds < ROUND:
            self._thread.wake()

    def _run(self) -> float:
        """Do what is due by now, and return the seconds until the next time."""
        try:
            if self._due.expired():
                self._store.wake()
            if monotonic() >= self._next_look:
                self._next_look = monotonic() + ROUND
                self._check_overdue()
                self._look()
        except Exception as error:  # noqa: BLE001 - a driver's too: leases are renewed on
            self._outage.failed(error)
        else:
            self._outage.succeeded()
        finally:
            self.looked.set()
        return max(min(self._next_look - monotonic(), self._due.left()), 0.0)

    def _look(self) -> None:
        # Attempts first: what the worker claims after that is not among the store's answer.
        running = dict(self._running)
        with self._renewing:
            report = self._store.renew(self._owner, list(running))
        for key in report.lost:
            self._lose(running.get(key))
        for key in report.cancelled:
            attempt = running.get(key)
            if attempt is not None and not attempt.settled and not attempt.stopped:
                attempt.cancel()
        if report.due is not None:
            self.set_due(report.due)
        now = monotonic()
        for key, attempt in running.items():
            if attempt.remote is not None and not attempt.settled and not attempt.stopped:
                attempt.remote.note(attempt, report.pulses.get(key), now)
        suspects = {key: self._suspects.get(key, now) for key in _watched(report)}
        self._suspects = suspects
        self._release_unknown(report.unknown, now)
        self._check_stalled(report.others, now)
        self._next_look = min(self._next_look, now + self._until_change(report.others, now))

    def _lose(self, attempt: Attempt | None) -> None:
        if attempt is None or attempt.settled or attempt.stopped:
            return
        attempt.lose()
        report(self._log, self._handler.lost, attempt)

    def _check_overdue(self) -> None:
        now = monotonic()
        for attempt in list(self._running.values()):
            grace = _ASYNC_GRACE if attempt.is_async else 0.0
            overdue = attempt.overdue is not None and now >= attempt.overdue + grace
            if overdue and attempt.settle():
                attempt.lose()
                self._end_overdue(attempt)

    def _release_unknown(self, unknown: Sequence[ActiveUnit], now: float) -> None:
        for held in unknown:
            if held.key not in self._running and now - self._suspects[held.key] >= UNKNOWN_SECONDS:
                self._store.release(held)
                self._store.wake()

    def _check_stalled(self, others: Sequence[ActiveUnit], now: float) -> None:
        company = Counter(held.owner for held in others)
        dead = {owner: is_dead(owner) for owner in company}
        abandoned = [held for held in others if dead[held.owner] or self._expired(held, now)]
        gone = {held.owner for held in abandoned}
        # The number when its death was first seen: others reclaim some of them meanwhile.
        self._deaths = {
            owner: self._deaths.get(owner, max(company[owner], self._company[owner]))
            for owner in gone
        }
        self._company = company
        for held in abandoned:
            self._reclaim(held, dead=dead[held.owner])

    def _expired(self, held: ActiveUnit, now: float) -> bool:
        return held.left < 0 and self._grace_left(held, now) <= 0

    def _grace_left(self, held: ActiveUnit, now: float) -> float:
        """Return the seconds until an expired lease may be reclaimed."""
        grace = self._store.lease / 3
        if not is_alive(held.owner):
            grace = min(grace, LONGEST_GRACE)
        return self._suspects[held.key] + grace - now

    def _until_change(self, others: Sequence[ActiveUnit], now: float) -> float:
        """Return the seconds until a lease may expire or its grace may end, within a round."""
        times = [held.left if held.left >= 0 else self._grace_left(held, now) for held in others]
        return max(min((left for left in times if left > 0), default=ROUND), SHORTEST_ROUND)

    def _reclaim(self, held: ActiveUnit, *, dead: bool) -> None:
        reason = DIED if dead else "its worker gave no sign of life"
        failure = Failure(f"{reason} ({describe(held.owner)})", held.attempt)
        # Of a process that is shared, units of other stores may have run beside its first one;
        # a unit with deaths was then run alone.
        alone = self._deaths[held.owner] <= 1 and (held.deaths > 0 or not held.shared)
        counted = alone or held.deaths >= MOST_UNCOUNTED
        state = self._store.reclaim(held, failure, counted=counted)
        if state is not None:
            report(self._log, self._handler.reclaimed, held, failure, state)
            self._store.wake()


def _watched(report: LeaseReport) -> list[Key]:
    """Return the claims of a report that are on their way, or whose lease has expired."""
    expired = [held for held in report.others if held.left < 0]
    return [held.key for held in (*report.unknown, *expired)]
