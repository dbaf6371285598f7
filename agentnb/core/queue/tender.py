"""The thread that keeps the leases of what runs here, and frees what the dead have left."""

from __future__ import annotations

import os
import threading
from time import monotonic
from typing import TYPE_CHECKING, Any

from huey.consumer import BaseProcess

from agentnb.core.errors import AgentnbError
from agentnb.core.failure import DIED, Failure
from agentnb.core.queue.job import Job
from agentnb.core.queue.store import COUNTED, Taken
from agentnb.core.work.identity import describe, is_alive, is_dead

if TYPE_CHECKING:
    from agentnb.core.queue.attempt import Attempt
    from agentnb.core.queue.queue import Queue
    from agentnb.core.queue.storage import LeaseStorage
    from agentnb.core.queue.store import Held

__all__ = ["KILLED", "Tender"]

ROUND = 0.5  # seconds between two looks
SIGN_OF_LIFE = 5.0  # seconds between two notes that a worker is there
_UNSEEN = 2.0  # seconds
KILLED = 75
"""The exit code of a worker process that ended itself because a job took too long."""


class Tender(BaseProcess):  # type: ignore[misc]  # huey has no types
    """Renews leases and looks at everybody else's, by huey's consumer in a thread of its own.

    - A lease of ours that is gone: the attempt is told.
    - A job of ours that nobody here runs: its handing over was cut off; it is given back.
    - A job whose worker is dead on this host: given back at once, the attempt counted.
    - A lease that has run out: given back, after the time of a renewal. Its worker may have slept
      as long as we have, or the server was away for everybody.

    Parameters
    ----------
    huey, stop_flag
        As for huey's own.
    """

    process_name = "Tender"

    def __init__(self, huey: Any, stop_flag: Any) -> None:
        super().__init__(huey, stop_flag)
        self._queue: Queue = huey.queue
        self._storage: LeaseStorage = huey.storage
        self._next_sign = 0.0
        self._strange: dict[tuple[str, str, int], float] = {}
        self._away = False
        self.looked = threading.Event()
        """Set after the first look, by which the worker is known to others."""

    def loop(self, now: Any = None) -> None:  # noqa: ARG002 - huey's own
        """Look once, then wait for the next look or for a delayed job to be due."""
        alarm = self._storage.alarm
        if alarm is None:
            return
        due = False
        try:
            self._end_overdue()
            due = self._look()
            if self._away:
                self._away = False
                self._queue.log.info("leases are renewed again")
        except AgentnbError as error:
            if not self._away:
                self._away = True
                self._queue.log.warning("leases cannot be renewed: %s", error)
        finally:
            self.looked.set()
        # One that is due already, while all are busy, is rung for once a round.
        if due or alarm.wait(ROUND):
            try:
                self._storage.store.ring(alarm.name)
            except AgentnbError:
                self._away = True  # the next look finds it due, too
        if due:
            alarm.wait(ROUND)

    def _look(self) -> bool:
        """Look at all active jobs; return whether a delayed one is due."""
        storage = self._storage
        # A copy: the workers' threads add to it and take from it meanwhile.
        running = list(storage.running.values())
        pairs = [(one.taken.id, one.taken.entry) for one in running]
        about = b""
        if monotonic() >= self._next_sign:
            self._next_sign = monotonic() + SIGN_OF_LIFE
            about = self._queue.tell.about_worker()
        tended = storage.store.tend(storage.owner, about, pairs)
        for id_ in tended.lost:
            self._lose(id_, running)
        if tended.due > 0 and storage.alarm is not None:
            storage.alarm.set(tended.due / 1000)
        strange = {}
        for held in tended.others:
            key = (held.id, held.owner, held.entry)
            since = strange[key] = self._strange.get(key, monotonic())
            self._judge(held, monotonic() - since)
        # How long each has looked as it does; counted anew once it is another's.
        self._strange = {
            key: since for key, since in strange.items() if not self._is_fine(key, tended.others)
        }
        return tended.due == 0

    def _is_fine(self, key: tuple[str, str, int], others: list[Held]) -> bool:
        held = next(one for one in others if (one.id, one.owner, one.entry) == key)
        return held.left > 0 and held.owner != self._storage.owner

    def _judge(self, held: Held, strange_for: float) -> None:
        storage = self._storage
        if held.owner == storage.owner:
            if held.id not in storage.running and strange_for >= 2 * ROUND:
                self._free(held, "its handing over was cut off", counted=False)
        elif is_dead(held.owner):
            self._free(held, DIED)
        elif held.left < 0 and strange_for > self._grace(held.owner) + ROUND:
            self._free(held, "its worker gave no sign of life")

    def _grace(self, owner: str) -> float:
        """Return how long a worker may take to renew a lease that has run out.

        All leases run out together while the server is away or its clock jumps, and a worker
        that lives renews its own within a round; one that is seen to live may be slower.
        """
        grace = self._queue.lease / 3
        return grace if is_alive(owner) else min(grace, _UNSEEN)

    def _free(self, held: Held, why: str, *, counted: bool = True) -> None:
        """Give another's job back to the queue; for good if it has no attempt left."""
        store, tell = self._storage.store, self._queue.tell
        seen = store.show(held.id)
        message = seen.fields.get("message", b"") if seen else b""
        job = Job(self._queue, held.id, message, attempt=held.attempt)
        taken = Taken(held.id, b"", held.attempt, held.entry)
        failure = Failure(f"{why} ({describe(held.owner)})", held.attempt)
        options = job.options
        final = counted and held.attempt >= options.attempts
        if final:
            event = tell.announcement("failed", job, attempt=held.attempt, error=why)
            counts, _ = store.finish(
                taken,
                held.owner,
                "failed",
                failure.write(),
                retention=options.retention("failed"),
                event=event,
            )
        else:
            value = failure.write() if counted else b""
            counts, _ = store.finish(taken, held.owner, "wait", value, counted=counted)
        if counts != COUNTED:
            return  # another has seen it first
        if final:
            self._queue.log.error("job failed", extra=tell.of(job, error=failure.error))
        else:
            self._queue.log.warning("job is taken back: %s", failure.error, extra=tell.of(job))

    def _lose(self, id_: str, running: list[Attempt]) -> None:
        for attempt in running:
            ours = attempt.taken.id == id_ and self._storage.running.get(id_) is attempt
            if ours and not attempt.settled:  # one that has just ended is nobody's any more
                attempt.lose()
                self._queue.log.warning(
                    "job is not this worker's any more", extra=self._queue.tell.of(attempt.job)
                )
                if self._queue.kills:
                    os._exit(KILLED)

    def _end_overdue(self) -> None:
        """In a process that may be killed: fail the job that takes too long, and end."""
        if not self._queue.kills:
            return
        for attempt in list(self._storage.running.values()):
            if attempt.overdue is not None and monotonic() > attempt.overdue + ROUND / 2:
                attempt.failure = attempt.timed_out()
                if attempt.left:
                    self._storage.add_to_schedule(attempt, None)  # type: ignore[arg-type]  # not looked at
                else:
                    self._storage.fail(attempt)
                os._exit(KILLED)
