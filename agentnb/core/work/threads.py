"""The threads of a worker: each claims a unit, runs it, finishes it, and goes on."""

from __future__ import annotations

import threading
from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.background import run_in_thread
from agentnb.core.errors import AgentnbError, ConfigError, UnavailableError
from agentnb.core.failure import DIED, Failure
from agentnb.core.forking import new_event, new_lock
from agentnb.core.outage import OutageTracker
from agentnb.core.work.attempt import CURRENT, Attempt, report
from agentnb.core.work.store import ActiveUnit, Claim, Outcome, OutcomeKind

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.loop import LoopThread
    from agentnb.core.work.attempt import WorkHandler
    from agentnb.core.work.gate import Gate, Pass
    from agentnb.core.work.store import Finished, Key, WorkStore

__all__ = ["WorkerThreads"]

_AWAY_SECONDS = 0.5
_IDLE_SECONDS = 5.0
_NOT_YET_SECONDS = 0.02
REFUSED_SECONDS = 30.0
"""How long an outcome is offered that the store refuses for another reason than an outage."""


class WorkerThreads:
    """The threads of one worker.

    One idle thread at a time looks for work and waits at the store; the others wait for their
    turn, and take it as soon as that thread has a claim. So an idle worker blocks one connection.

    Parameters
    ----------
    store, handler, owner
        Those of the worker.
    gate
        Admits the attempts of all workers of the process.
    loop
        Runs the coroutines of its attempts.
    on_due
        Told the seconds until a delayed unit is due.
    elsewhere
        Whether attempts run in other processes, so that none of them endangers another here.
    log
        The worker's logger.
    """

    def __init__(
        self,
        store: WorkStore,
        handler: WorkHandler,
        owner: str,
        *,
        gate: Gate,
        loop: LoopThread,
        on_due: Callable[[float], object],
        elsewhere: bool,
        log: logging.Logger | logging.LoggerAdapter[Any],
    ) -> None:
        self.running: dict[Key, Attempt] = {}
        self.stopping = False
        self._store = store
        self._handler = handler
        self._owner = owner
        self._loop = loop
        self._on_due = on_due
        self._log = log
        self._gate = gate
        self._elsewhere = elsewhere
        self._tickets: dict[Key, Pass] = {}
        self._searching = new_lock()
        self._starting = new_lock()
        self._threads: list[threading.Thread] = []
        self._abandoned = new_event()
        self._at_end: dict[threading.Thread, Callable[[], object]] = {}
        noun = f"{handler.noun}s"
        self._outage = OutageTracker(log, f"{noun} cannot be read", f"{noun} can be read again")

    # Start and stop

    def start(self, concurrency: int) -> None:
        """Start the threads."""
        for _ in range(concurrency):
            self._add_thread()

    def _add_thread(self) -> None:
        with self._starting:
            if self.stopping:
                return
            thread = threading.Thread(target=self._work, name="agentnb-worker", daemon=True)
            self._threads = [*(one for one in self._threads if one.is_alive()), thread]
            thread.start()

    @property
    def started(self) -> bool:
        """Whether the threads have started and are not stopping."""
        return bool(self._threads) and not self.stopping

    def stop(self, until: float) -> bool:
        """Claim nothing more, wait for what runs, and release the rest.

        Returns
        -------
        bool
            Whether everything ended by itself.
        """
        with self._starting:
            self.stopping = True
        self._gate.recheck()
        with suppress(AgentnbError):  # the thread that waits returns a little later by itself
            self._store.wake()
        for thread in self._others():
            thread.join(max(until - monotonic(), 0.0))
        own = self._own()  # a unit that stops its worker ends by itself
        running = [attempt for attempt in list(self.running.values()) if attempt is not own]
        left = [attempt for attempt in running if attempt.settle()]
        for attempt in left:
            attempt.lose()
            self._release(attempt)
            self._over(attempt)
            report(self._log, self._handler.released, attempt)
        # What waits to be stored is given up: its lease expires.
        ended = not left and not any(thread.is_alive() for thread in self._others())
        if own is None:
            self._abandoned.set()
        return ended

    def call_at_end(self, function: Callable[[], object]) -> bool:
        """Call a function when the thread of the calling attempt ends, if it is one of these.

        Returns
        -------
        bool
            Whether the caller is such an attempt, and still runs.
        """
        with self._starting:
            own = self._own()
            if own is None:
                return False
            self._at_end[own.thread] = function
        return True

    def _own(self) -> Attempt | None:
        """Return the running attempt of this worker that the caller belongs to, or None."""
        attempt = CURRENT.get()
        if attempt is None or attempt.settled or self.running.get(attempt.key) is not attempt:
            return None
        return attempt

    def _others(self) -> list[threading.Thread]:
        own = self._own()
        left_out = {threading.current_thread(), own.thread if own is not None else None}
        return [one for one in self._threads if one not in left_out]

    # One thread

    def _work(self) -> None:
        try:
            self._run_claims()
        finally:
            with self._starting:
                at_end = self._at_end.pop(threading.current_thread(), None)
            if at_end is not None:
                self._abandoned.set()
                at_end()

    def _run_claims(self) -> None:
        claim: Claim | None = None
        while claim is not None or (claim := self._next()) is not None:
            attempt = Attempt(claim, self._handler, self._loop, self._log)
            self.running[attempt.key] = attempt
            try:
                ticket = self._enter(claim)
                if ticket is None:
                    self._put_back(attempt)
            finally:
                self._gate.end_claim()
            if ticket is None:
                claim = None
                continue
            self._tickets[attempt.key] = ticket
            report(self._log, self._handler.begun, attempt)
            outcome = attempt.run()
            if not attempt.settle():
                self._leave_gate(attempt)
                return  # another thread has taken the place of this one
            if outcome.kind is OutcomeKind.DIED:
                self._reclaim(attempt, outcome)
                claim = None
            else:
                claim = self._finish(attempt, outcome, then_claim=True)
            self._over(attempt)

    def _enter(self, claim: Claim) -> Pass | None:
        if self.stopping:
            return None
        alone = claim.deaths > 0 and not self._elsewhere
        return self._gate.enter(alone=alone, stopping=lambda: self.stopping)

    def _over(self, attempt: Attempt) -> None:
        self.running.pop(attempt.key, None)
        self._leave_gate(attempt)

    def _leave_gate(self, attempt: Attempt) -> None:
        ticket = self._tickets.pop(attempt.key, None)
        if ticket is not None:
            self._gate.leave(ticket)

    def _put_back(self, attempt: Attempt) -> None:
        if attempt.settle():
            self._release(attempt)
        self._over(attempt)

    def _release(self, attempt: Attempt) -> None:
        with suppress(AgentnbError):  # its lease expires then
            self._store.release(attempt.claim)

    def _next(self) -> Claim | None:
        """Wait for a unit and return its claim; None once the worker stops."""
        with self._searching:
            while not self.stopping:
                if not (self._gate.wait_open(_IDLE_SECONDS) and self._gate.begin_claim()):
                    continue
                try:
                    found = self._claim()
                    if isinstance(found, Claim):
                        return found
                    self._wait(found)
                except Exception as error:  # noqa: BLE001 - a driver's too: the thread goes on
                    self._outage.failed(error)
                    self._abandoned.wait(0.0 if self.stopping else _AWAY_SECONDS)
        return None

    def _claim(self) -> Claim | float | None:
        """Return a claim, which the gate counts until it is admitted or put back."""
        found: Claim | float | None = None
        try:
            found = self._store.claim(self._owner)
        finally:
            if not isinstance(found, Claim):
                self._gate.end_claim()
        self._outage.succeeded()
        return found

    def _wait(self, due: float | None) -> None:
        if self.stopping:
            return
        seconds = _IDLE_SECONDS
        if due is not None:
            # A unit that is due, and that the store does not give, is no reason to ask at once.
            due = due if due > 0 else _NOT_YET_SECONDS
            self._on_due(due)
            seconds = min(seconds, due)
        self._store.wait(seconds)

    # The end of an attempt

    def _finish(
        self, attempt: Attempt, outcome: Outcome, *, then_claim: bool = False, anyway: bool = False
    ) -> Claim | None:
        """Store an outcome, however long the store is away, and return the next claim.

        Parameters
        ----------
        attempt, outcome
            The attempt and its outcome.
        then_claim
            Whether to claim the next unit with it.
        anyway
            Whether to store it although the attempt was told that its lease is lost.
        """
        refused_until = monotonic() + REFUSED_SECONDS
        told = False
        while anyway or not attempt.lost:
            try:
                finished = self._finish_once(attempt, outcome, then_claim=then_claim)
            except Exception as error:  # noqa: BLE001 - nothing that a driver raises is the attempt's
                other = self._after_refusal(attempt, outcome, error, refused_until)
                if other is not None:
                    outcome, refused_until = other, monotonic() + REFUSED_SECONDS
                    continue
                if self._is_refusal(error) and monotonic() >= refused_until:
                    self._give_up(attempt, error)
                    return None
                if not told:
                    told = True
                    self._say_kept_back(attempt, error)
                if self._abandoned.wait(_AWAY_SECONDS):
                    return None
            else:
                report(self._log, self._handler.ended, attempt, outcome, finished.state)
                return self._following(finished)
        return None

    def _finish_once(self, attempt: Attempt, outcome: Outcome, *, then_claim: bool) -> Finished:
        claims = then_claim and not self.stopping and self._gate.begin_claim()
        finished: Finished | None = None
        try:
            finished = self._store.finish(attempt.claim, outcome, then_claim=claims)
        finally:
            if claims and (finished is None or not isinstance(finished.following, Claim)):
                self._gate.end_claim()
        return finished

    def _reclaim(self, attempt: Attempt, outcome: Outcome) -> None:
        """Take the unit from a process that died, as that of another dead worker: it counts."""
        claim = attempt.claim
        failure = outcome.failure or Failure(DIED, claim.attempt)
        held = ActiveUnit(
            claim.id,
            claim.entry,
            claim.owner,
            claim.attempt,
            claim.attempts,
            0.0,
            claim.deaths,
            payload=claim.payload,
        )
        told = False
        while not attempt.lost:
            try:
                state = self._store.reclaim(held, failure, counted=True)
            except Exception as error:  # noqa: BLE001 - a driver's too; its lease expires at last
                if not told:
                    told = True
                    self._say_kept_back(attempt, error)
                if self._abandoned.wait(_AWAY_SECONDS):
                    return
            else:
                if state is not None:
                    report(self._log, self._handler.reclaimed, held, failure, state)
                return

    def _is_refusal(self, error: Exception) -> bool:
        """Return whether a store is there, and refuses: it will go on to do so."""
        return not isinstance(error, UnavailableError | ConfigError)

    def _after_refusal(
        self, attempt: Attempt, outcome: Outcome, error: Exception, until: float
    ) -> Outcome | None:
        """Return another outcome in the place of one that the store refuses."""
        if not self._is_refusal(error):
            return None
        if isinstance(error, AgentnbError) or monotonic() >= until:
            return self._handler.substitute(attempt, outcome, error)
        return None

    def _say_kept_back(self, attempt: Attempt, error: Exception) -> None:
        handler = self._handler
        name = f"{handler.noun} {handler.name(attempt.claim)}"
        self._log.warning("the outcome of %s cannot be kept yet: %s", name, error)

    def _give_up(self, attempt: Attempt, error: Exception) -> None:
        """Drop an outcome that the store refuses for good; the attempt counts."""
        handler = self._handler
        name = f"{handler.noun} {handler.name(attempt.claim)}"
        self._log.error("the outcome of %s cannot be kept: %s", name, error)
        claim = attempt.claim
        failure = Failure(f"its outcome cannot be kept: {error}", claim.attempt)
        again = claim.attempt < claim.attempts
        kind = OutcomeKind.RETRY if again else OutcomeKind.FAILED
        delay = claim.backoff.after(claim.attempt) if again else 0.0
        with suppress(Exception):  # its lease keeper finds that nobody runs it
            outcome = Outcome(kind, failure=failure, delay=delay, ms=attempt.ms)
            self._store.finish(claim, outcome, then_claim=False)

    def _following(self, finished: Finished) -> Claim | None:
        following = finished.following
        if isinstance(following, Claim):
            return following
        if following is not None:
            self._on_due(following)
        return None

    def end_overdue(self, attempt: Attempt) -> None:
        """Fail an attempt whose thread does not return, and start another thread in its place."""
        outcome = attempt.failed(attempt.timed_out(attempt.consequence))
        self._add_thread()
        run_in_thread(self._end, attempt, outcome, name="end", log=self._log)

    def _end(self, attempt: Attempt, outcome: Outcome) -> None:
        self._finish(attempt, outcome, anyway=True)
        self._over(attempt)
