"""The jobs of a queue as the execution engine claims, renews and finishes them."""

from __future__ import annotations

import os
import secrets
import socket
from time import monotonic
from typing import TYPE_CHECKING, Any, Final

import msgspec

from agentnb.core.errors import UsageError
from agentnb.core.queue import scripts
from agentnb.core.queue.counts import ENDED
from agentnb.core.queue.options import FOR_EVER
from agentnb.core.queue.registry import About
from agentnb.core.work.backoff import Backoff
from agentnb.core.work.schedules.firing import FiringTimer
from agentnb.core.work.store import (
    ActiveUnit,
    Began,
    Claim,
    Finished,
    Key,
    LeaseReport,
    OutcomeKind,
    Pending,
    Pulse,
    Sign,
    WorkerInfo,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.failure import Failure
    from agentnb.core.queue.events import JobEvents
    from agentnb.core.queue.job import Job
    from agentnb.core.queue.store import JobStore
    from agentnb.core.work.store import Outcome

__all__ = ["RedisWorkStore"]

HEARTBEAT_SECONDS: Final = 5.0
"""Seconds between two heartbeats of a worker."""
_COUNTED, _AGAIN = 1, 3
_WAKE_MS = 10_000
_SETS: Final = {
    OutcomeKind.COMPLETED: "completed",
    OutcomeKind.FAILED: "failed",
    OutcomeKind.RETRY: "delayed",
    OutcomeKind.CANCELLED: "cancelled",
    OutcomeKind.RELEASED: "wait",
}


class RedisWorkStore:
    """A `WorkStore` of the jobs of one queue, for one worker.

    Parameters
    ----------
    jobs
        The queue's keys and scripts.
    lease
        Seconds that a claim lasts without a renewal.
    publish
        Lua that publishes an event; empty where there is no event bus.
    make
        Returns the job of an id, a message and an attempt.
    events
        Makes the events that are published with the end of an attempt.
    processor
        Returns the name of the queue's processor and that of its function, for the list of workers.
    fire_due
        Fires the schedules that are due, and returns the seconds until the next one is.
    """

    def __init__(
        self,
        jobs: JobStore,
        *,
        lease: float,
        publish: str,
        make: Callable[[str, bytes, int], Job],
        events: JobEvents,
        processor: Callable[[], tuple[str, str]],
        fire_due: Callable[[], float | None],
    ) -> None:
        self.lease = lease
        self._jobs = jobs
        self._lease_ms = int(lease * 1000)
        self._finish = scripts.finish(publish)
        self._make = make
        self._events = events
        self._processor = processor
        self._firing = FiringTimer(fire_due)
        self._info = WorkerInfo(0)
        self._next_heartbeat = 0.0
        self._named = False
        self._bell = f"{jobs.base}:bell"
        self._own_bell = f"{self._bell}:{secrets.token_hex(6)}"

    def join(self, owner: str, about: WorkerInfo) -> None:  # noqa: ARG002 - a heartbeat says so
        """Note the description of the worker, which its first heartbeat records."""
        self._info = about
        self._next_heartbeat = 0.0
        self._jobs.clock.on_advance(self._advanced)

    def leave(self, owner: str) -> None:
        """Remove a worker from the list."""
        self._jobs.forget_workers([owner])

    def claim(self, owner: str) -> Claim | float | None:
        """Claim the next job, or return the seconds until a delayed one or a schedule is due."""
        found = self._jobs.run(scripts.CLAIM, [owner, self._lease_ms], repeat=False)
        return self._claim_of(owner, found)

    def _claim_of(self, owner: str, found: Any) -> Claim | float | None:
        if found[0] is None:
            due = int(found[1])
            return self._firing.until(None if due < 0 else due / 1000)
        id_, message, attempt, entry, deaths, waited = found
        return self._made(id_.decode(), message, int(attempt), int(entry), owner, deaths, waited)

    def _made(
        self,
        job_id: str,
        message: bytes,
        attempt: int,
        entry: int,
        owner: str,
        deaths: bytes | None,
        waited: int | None = None,
    ) -> Claim:
        job = self._make(job_id, message, attempt)
        options = job.options
        return Claim(
            job.id,
            entry,
            owner,
            attempt,
            options.attempts,
            Backoff(options.pause, options.growing),
            options.timeout,
            int(deaths or 0),
            job,
            None if waited is None else waited / 1000,
            message,
        )

    def renew(self, owner: str, running: Sequence[Key]) -> LeaseReport:
        """Renew the leases of what runs here, and look at all other active jobs."""
        about = b""
        if monotonic() >= self._next_heartbeat:
            about = self._about(len(running))
        arguments: list[Any] = [owner, self._lease_ms, self._jobs.workers_key, about]
        for key in running:
            arguments += key
        lost, active, due, pulses, fires = self._jobs.run(scripts.RENEW, arguments)
        if about:
            self._next_heartbeat = monotonic() + HEARTBEAT_SECONDS
            if not self._named:
                self._jobs.note_name()
                self._named = True
        held = [_held(*one) for one in active]
        self._firing.set(None if fires < 0 else fires / 1000)
        return LeaseReport(
            lost=[Key(id_.decode(), int(entry)) for id_, entry in lost],
            unknown=[one for one in held if one.owner == owner],
            others=[one for one in held if one.owner != owner],
            due=self._firing.until(None if due < 0 else due / 1000),
            pulses={Key(one[0].decode(), int(one[1])): _pulse(one[2:]) for one in pulses},
        )

    def begin(self, key: Key, owner: str, by: str, lease: float) -> Claim | Began:
        """Begin the attempt at a job, in the process that runs it."""
        arguments = [key.id, owner, key.entry, by, int(lease * 1000)]
        found = self._jobs.run(scripts.BEGIN, arguments)
        if found == [0]:
            return Began.LOST
        if found == [1]:
            return Began.REPEATED
        message, attempt, deaths = found
        return self._made(key.id, message, int(attempt), key.entry, owner, deaths)

    def unpack(self, key: Key, owner: str, attempt: int, unit: bytes) -> Claim:
        """Return the claim of a job whose message came with it."""
        return self._made(key.id, unit, attempt, key.entry, owner, None)

    def touch(self, key: Key, owner: str, lease: float) -> Sign:
        """Note a sign of life of an attempt; one that was cancelled has lost its claim."""
        arguments = [key.id, owner, key.entry, int(lease * 1000)]
        return Sign.GO_ON if self._jobs.run(scripts.TOUCH, arguments) else Sign.LOST

    def pulse(self, key: Key, owner: str) -> Pulse | None:
        """Return the last sign of life of an attempt, None if it was not begun."""
        found = self._jobs.run(scripts.PULSE, [key.id, owner, key.entry])
        return _pulse(found) if found else None

    def _about(self, running: int) -> bytes:
        processor, function = self._processor()
        return msgspec.json.encode(
            About(
                host=socket.gethostname(),
                pid=os.getpid(),
                kind=self._info.kind,
                concurrency=self._info.concurrency,
                processor=processor,
                function=function,
                running=running,
                shared=self._info.shared,
                executor=self._info.executor,
                started=self._info.started,
            )
        )

    def finish(self, claim: Claim, outcome: Outcome, *, then_claim: bool) -> Finished:
        """End an attempt and publish its event, and claim the next job with it."""
        if outcome.kind not in _SETS:
            raise UsageError(
                f"a job cannot be {outcome.kind}",
                service="queue",
                hint="return a result, or raise an error",
            )
        where = _SETS[outcome.kind]
        failure = outcome.failure
        value = outcome.value or b"" if failure is None else failure.write()
        uncounted = "released" if outcome.kind is OutcomeKind.RELEASED else ""
        code, following = self._end(
            claim,
            where,
            value,
            claim.payload,
            failure=failure,
            delay=outcome.delay,
            uncounted=uncounted,
            then_claim=then_claim,
        )
        state = _state(where) if code in {_COUNTED, _AGAIN} else None
        return Finished(state, self._claim_of(claim.owner, following) if following else None)

    def release(self, claim: Claim | ActiveUnit) -> bool:
        """Put a job back at its first place, without counting the attempt."""
        code, _ = self._end(claim, "wait", b"", None, uncounted="released")
        return code in {_COUNTED, _AGAIN}

    def reclaim(self, held: ActiveUnit, failure: Failure, *, counted: bool) -> str | None:
        """Take an abandoned job from its owner."""
        seen = self._jobs.show(held.id)
        if seen is None:
            return None
        job = self._make(held.id, seen.fields.get("message", b""), held.attempt)
        where = "failed" if counted and held.attempt >= job.options.attempts else "wait"
        code, _ = self._end(
            held,
            where,
            failure.write() if counted else b"",
            job,
            failure=failure,
            uncounted="" if counted else "died",
        )
        return _state(where) if code == _COUNTED else None

    def _end(
        self,
        claim: Claim | ActiveUnit,
        where: str,
        value: bytes,
        job: Job | None,
        *,
        failure: Failure | None = None,
        delay: float = 0.0,
        uncounted: str = "",
        then_claim: bool = False,
    ) -> tuple[int, Any]:
        """End a claim, and return whether that counted and the answer to the next claim."""
        retention = job.options.retention(where) if job and where in ENDED else FOR_EVER
        arguments = [claim.id, claim.owner, claim.entry, where, value, *retention]
        arguments += [int(delay * 1000), uncounted, self._lease_ms if then_claim else ""]
        event = self._events.of_end(where, job, claim.attempt, failure) if job else None
        keys = self._jobs.keys
        if event is not None:
            arguments += event.args
            keys = [*keys, *event.keys]
        code, place, following = self._jobs.run(self._finish, arguments, keys=keys)
        if event is not None and place:
            event.delivered(place)
        return int(code), following

    def due(self) -> float | None:
        """Return the seconds until the next delayed job is due or a rate has room; or None."""
        with self._jobs.redis.pipeline(transaction=False) as pipe:
            for name in ("delayed", "room"):
                pipe.zrange(f"{self._jobs.base}:{name}", 0, 0, withscores=True)
            found = [float(score) for answer in pipe.execute() for _, score in answer]
        if not found:
            return None
        at = min(found)
        return max(at - self._jobs.now() - self._jobs.clock.offset_ms, 0.0) / 1000

    def pending(self) -> Pending:
        """Return how many jobs have not ended, and how many ever have."""
        counts = self._jobs.counts()
        return Pending(counts.left, counts.ended, counts["delayed"])

    def wait(self, seconds: float) -> None:
        """Wait for a job that is added, for `wake`, or for some seconds."""
        self._jobs.redis.blpop([self._bell, self._own_bell], seconds)

    def fire_due(self) -> None:
        """Fire what is due of the schedules, and note when the next one is."""
        self._firing.fire()

    def _advanced(self) -> None:
        """Look for what is due by a clock that was moved."""
        self.fire_due()
        self.wake()

    def wake(self) -> None:
        """Let the thread that waits return now; the lease keeper calls it when work is due."""
        self._firing.look()
        with self._jobs.redis.pipeline(transaction=False) as pipe:
            pipe.lpush(self._own_bell, "1").ltrim(self._own_bell, 0, 0)
            pipe.pexpire(self._own_bell, _WAKE_MS).execute()


def _held(
    id_: bytes,
    owner: bytes | None,
    attempt: bytes | None,
    left: int,
    entry: bytes | None,
    attempts: bytes | None,
    deaths: bytes | None,
    shared: int,
) -> ActiveUnit:
    return ActiveUnit(
        id_.decode(),
        int(entry or 0),
        (owner or b"").decode(),
        int(attempt or 0),
        int(attempts or 3),
        left / 1000,
        int(deaths or 0),
        bool(shared),
    )


def _state(where: str) -> str:
    return "waiting" if where == "wait" else where


def _pulse(found: Sequence[Any]) -> Pulse:
    age, left, by = found
    return Pulse(int(age) / 1000, int(left) / 1000, by.decode())
