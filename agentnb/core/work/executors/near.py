"""The worker's side of attempts that an executor runs in other processes or on other machines."""

from __future__ import annotations

from concurrent.futures import BrokenExecutor
from time import monotonic
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import AgentnbError
from agentnb.core.failure import CANCELLED, DIED, Failure
from agentnb.core.outage import OutageTracker
from agentnb.core.work.attempt import Released
from agentnb.core.work.executors import far
from agentnb.core.work.executors.engine import attempt_executor
from agentnb.core.work.executors.record import Reply, write
from agentnb.core.work.identity import describe, is_dead
from agentnb.core.work.store import Outcome, OutcomeKind, Pulse

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable
    from concurrent.futures import Executor, Future

    from agentnb.core.work.attempt import Attempt
    from agentnb.core.work.executors.engine import BegunBy, Waiter
    from agentnb.core.work.executors.record import Record
    from agentnb.core.work.store import WorkStore

__all__ = ["Elsewhere", "RemoteCall"]

SHORTEST_START = 5.0
"""The least number of seconds for which an attempt may wait in its executor for its begin."""
_LONGEST_GRACE = 2.0
_CANCEL_SECONDS = 5.0
_REFUSED_SECONDS = 5.0
_BROKEN_SECONDS = 1.0
_AWAY_SECONDS = 10.0  # an idle worker tries nothing, and is not away for ever
SILENT = "its process gave no sign of life"


class RemoteCall:
    """A call of an executor that runs an attempt; the worker's lease keeper looks after it.

    Parameters
    ----------
    future
        The call.
    waiter
        Waits for its answer.
    lease
        Seconds for which the attempt counts as alive after a sign of life.

    Attributes
    ----------
    pulse
        The last sign of life that is known; None before the attempt was begun.
    verdict
        The reason why it is over: ``unbegun``, ``silent``; empty while it is not.
    """

    def __init__(self, future: Future[bytes], waiter: Waiter, lease: float) -> None:
        self.future = future
        self.wait, self.wake = waiter.wait, waiter.wake
        self._waiter = waiter
        self.pulse: Pulse | None = None
        self.verdict = ""
        self._lease = lease
        self._submitted = monotonic()
        self._suspect: float | None = None

    @property
    def begun(self) -> BegunBy | None:
        """The begin of the attempt, as far as its executor knows it."""
        return self._waiter.begun

    def note(self, attempt: Attempt, pulse: Pulse | None, now: float) -> None:
        """Note how the attempt is, by its store, and end it if it is silent or was never begun.

        Silence counts after a second look only, as an expired lease does: the server may have
        been away for both sides.
        """
        if pulse is None and (begun := self.begun) is not None:
            # Its first sign of life is on its way to the store, and due within the lease.
            pulse = Pulse(now - begun.at, begun.at + self._lease - now, begun.by)
        if pulse is None:
            waited = now - self._submitted
            if self.pulse is None and waited > max(self._lease, SHORTEST_START):
                self._end("unbegun")
            return
        if self.pulse is None and attempt.timeout is not None:
            attempt.overdue = now + attempt.timeout - pulse.age
        self.pulse = pulse
        if pulse.left >= 0:
            self._suspect = None
        elif self._suspect is None:
            self._suspect = now
        elif now - self._suspect >= min(self._lease / 3, _LONGEST_GRACE):
            self._end("silent")

    def _end(self, verdict: str) -> None:
        self.verdict = verdict
        self.wake()


class Elsewhere:
    """Runs the attempts of a worker by an executor.

    Parameters
    ----------
    executor
        The executor.
    store
        Knows how attempts are that run elsewhere.
    record
        Returns the record of an attempt; of none for the check at the start.
    log
        The worker's logger.
    unpack
        Returns a result from the bytes of the far side.
    owned
        Whether the worker shuts the executor down when it stops.
    """

    def __init__(
        self,
        executor: Executor,
        store: WorkStore,
        *,
        record: Callable[[Attempt | None], Record],
        log: logging.Logger | logging.LoggerAdapter[Any],
        unpack: Callable[[bytes], Any] = bytes,
        owned: bool = False,
    ) -> None:
        self.executor = attempt_executor(executor)
        self._store = store
        self._record = record
        self._log = log
        self._unpack = unpack
        self._owned = owned
        self._broken = OutageTracker(
            log,
            "the executor takes no attempts",
            "the executor takes attempts again",
            cooldown=_AWAY_SECONDS,
        )
        self._refused = OutageTracker(
            log,
            "attempts are refused",
            "attempts are accepted again",
            cooldown=_AWAY_SECONDS,
        )

    def __str__(self) -> str:
        return str(self.executor)

    @property
    def away(self) -> bool:
        """Whether the executor has just taken no attempt, and none since."""
        return self._broken.cooling_down or self._refused.cooling_down

    def check(self) -> None:
        """Try the executor before anything is claimed.

        Raises
        ------
        UsageError
            The code cannot be imported by other processes.
        ConfigError
            Attempts cannot run there.
        UnavailableError
            The executor does not answer.
        """
        self.executor.check(far.check, write(self._record(None)))

    def close(self) -> None:
        """Shut the executor down, if it is the worker's own."""
        if self._owned:
            self.executor.shutdown(wait=False, cancel_futures=True)

    def run(self, attempt: Attempt) -> Outcome:
        """Run an attempt, and return its outcome.

        Raises
        ------
        Released
            It was not begun: its unit is put back.
        """
        attempt.overdue = None  # the time until its begin is the executor's
        attempt.consequence = self.executor.consequence
        try:
            record = write(self._record(attempt))
        except AgentnbError as error:  # of a function that has been given meanwhile
            raise self._refuse(attempt, error) from error
        try:
            unit = attempt.claim.unit if self.executor.exact else None
            future, waiter = self.executor.call(far.run, record, *([] if unit is None else [unit]))
        except Exception as error:
            self._note_broken(attempt, error)
            raise Released from error
        remote = attempt.remote = RemoteCall(future, waiter, self._store.lease)
        attempt.on_stop(remote.wake)
        return self._outcome(attempt, remote)

    def _outcome(self, attempt: Attempt, remote: RemoteCall) -> Outcome:
        while True:
            remote.wait()
            if attempt.lost:
                self._end(remote, "its job took too long or was taken from it")
                return self._cancelled(attempt)
            if remote.future.done():
                found = self._answer(attempt, remote)
                if found is not None:
                    return found
            if remote.verdict == "unbegun":
                self._end(remote, "it has not begun its job")
                raise Released
            if remote.verdict == "silent":
                self._end(remote, f"it sent no heartbeat for {self._store.lease:g} s")
                return self._died(attempt, SILENT, remote)
            if attempt.cancelled and not remote.future.done():
                self._wait_for_end(attempt, remote)
                if not remote.future.done():
                    self._end(remote, "its job was cancelled")
                    return self._cancelled(attempt)
                remote.wake()

    def _wait_for_end(self, attempt: Attempt, remote: RemoteCall) -> None:
        """Wait a moment for a call whose attempt was cancelled; its function may have noticed."""
        until = monotonic() + _CANCEL_SECONDS
        while not (remote.future.done() or attempt.lost or remote.verdict):
            left = until - monotonic()
            if left <= 0:
                return
            remote.wait(left)

    def _answer(self, attempt: Attempt, remote: RemoteCall) -> Outcome | None:
        """Return the outcome of a call that has returned; None to wait on for its attempt.

        Raises
        ------
        Released
            The attempt was not begun.
        """
        try:
            reply = msgspec.json.decode(remote.future.result(0), type=Reply)
        except BaseException as error:  # noqa: BLE001 - a cancelled call is one, too
            return self._after_failure(attempt, remote, error)
        self._broken.succeeded()
        if reply.refused:
            raise self._refuse(attempt, reply.refused)
        self._refused.succeeded()
        if reply.repeated:
            return self._after_failure(attempt, remote, None)
        if reply.kind is None:
            raise Released  # the claim is another's: nothing of this counts
        value = self._unpack(reply.value) if reply.kind is OutcomeKind.COMPLETED else None
        return Outcome(reply.kind, value, reply.failure, reply.delay, reply.ms)

    def _note_broken(self, attempt: Attempt, error: BaseException) -> None:
        """Say once that the executor takes nothing, and let the attempt's thread wait a while."""
        lasting = isinstance(error, BrokenExecutor)  # such a pool never works again
        self._broken.failed(f"{error}; start the worker again" if lasting else error)
        attempt.pause(_BROKEN_SECONDS)

    def _refuse(self, attempt: Attempt, why: object) -> Released:
        """Say once why attempts are refused, and return what puts this one back after a while."""
        self._refused.failed(why)
        attempt.pause(_REFUSED_SECONDS)
        return Released()

    def _after_failure(
        self, attempt: Attempt, remote: RemoteCall, error: BaseException | None
    ) -> Outcome | None:
        """Judge an attempt whose call has failed: the call is lost, and its process may live."""
        if error is not None and (begun := remote.begun) is not None:
            remote.pulse = Pulse(0.0, 0.0, begun.by)  # only the end of its process loses its call
            return self._died(attempt, DIED, remote)
        claim = attempt.claim
        pulse = attempt.persist(
            lambda: self._store.pulse(claim.key, claim.owner), what="the outcome"
        )
        if pulse is None:
            if error is not None:
                self._note_broken(attempt, error)
            raise Released
        remote.pulse = pulse
        if is_dead(pulse.by):
            return self._died(attempt, DIED, remote)
        return None  # until it is silent

    def _died(self, attempt: Attempt, reason: str, remote: RemoteCall) -> Outcome:
        by = remote.pulse.by if remote.pulse is not None else ""
        failure = Failure(f"{reason} ({describe(by)})", attempt.claim.attempt)
        return Outcome(OutcomeKind.DIED, failure=failure, ms=attempt.ms)

    def _cancelled(self, attempt: Attempt) -> Outcome:
        failure = Failure(CANCELLED, attempt.claim.attempt)
        return Outcome(OutcomeKind.CANCELLED, failure=failure, ms=attempt.ms)

    def _end(self, remote: RemoteCall, reason: str) -> None:
        by = remote.pulse.by if remote.pulse is not None else None
        self.executor.end(remote.future, by, reason)
