"""The keys of a queue on the server, and what is done with its jobs there."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import msgspec

from agentnb.core.queue import counts, scripts
from agentnb.core.queue.keys import AddedJob
from agentnb.core.queue.limits import limits_from
from agentnb.core.queue.snapshot import JobSnapshot
from agentnb.core.queue.waiter import outcome_of
from agentnb.core.work.identity import shared_place

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.clock import Clock
    from agentnb.core.queue.arguments import State
    from agentnb.core.queue.counts import Counts
    from agentnb.core.queue.keys import KeyRecord
    from agentnb.core.queue.options import Options, Retention
    from agentnb.core.queue.pieces import NewJob
    from agentnb.core.redis import RedisClient, Script
    from agentnb.core.redis.keys import Keys
    from agentnb.core.work.limits import Limit

__all__ = ["JobStore", "fields_of"]


_LOG_LINES = 1000
_MARKS = 50  # of attempts, which stand among the lines
_MARK = "\x1e"


class JobStore:
    """The keys and the scripts of a queue.

    Parameters
    ----------
    redis
        The client.
    keys
        Makes the keys.
    name
        The queue.
    clock
        The time by which delayed jobs are due.

    Attributes
    ----------
    redis
        The client, whose calls are no spans.
    base, jobs
        The beginnings of the keys of the queue and of all jobs.
    keys
        The keys that each script is given.
    workers_key, names_key
        The keys of the queue's workers, and of the names of all queues.
    clock
        The clock.
    where
        The server and the prefix, for messages; without a password.
    """

    def __init__(self, redis: RedisClient, keys: Keys, name: str, clock: Clock) -> None:
        self.redis = redis.untraced
        self._repeating = self.redis.repeating
        self.name = name
        self.clock = clock
        self.base = keys.internal("queue", name)
        self.jobs = keys.internal("job", "")
        self.keys = [self.base, self.jobs]
        self.workers_key = f"{self.base}:workers"
        self.names_key = keys.internal("queues")
        self.where = shared_place(redis.target, keys.prefix)

    def add(
        self,
        job_id: str,
        message: bytes,
        options: Options,
        delay: float,
        record: KeyRecord | None = None,
    ) -> AddedJob:
        """Put a job into the queue, and return its id, or the job that has its key already."""
        arguments = [job_id, message, options.priority, int(delay * 1000), int(options.lifo)]
        arguments += [self.name, self.names_key, options.attempts]
        if record is not None:
            arguments += [record.key, int(record.seconds * 1000), record.digest, record.data]
        return _added(self.run(scripts.ADD, arguments))

    def add_many(self, jobs: Sequence[NewJob], options: Options) -> list[AddedJob]:
        """Put several jobs into the queue at once, as `add` does; all of them or none."""
        keyed = any(one.record is not None for one in jobs)
        width = 8 if keyed else 4
        arguments: list[Any] = [
            self.name,
            self.names_key,
            int(options.lifo),
            options.attempts,
            width,
        ]
        for one in jobs:
            arguments += [one.id, one.message, one.priority, int(one.delay * 1000)]
            if one.record is not None:
                key, ttl, digest, data = one.record
                arguments += [key, int(ttl * 1000), digest, data]
            elif keyed:
                arguments += [""] * 4
        return [_added(one) for one in self.run(scripts.ADD_MANY, arguments)]

    def note_name(self) -> None:
        """List the queue among those that are known, as its first job does."""
        self.redis.sadd(self.names_key, self.name)

    def note(
        self, job_id: str, owner: str, entry: int, *, progress: bytes = b"", line: str = ""
    ) -> bool:
        """Keep a job's progress or a line of its log; return whether the claim still holds."""
        arguments = [job_id, owner, entry, progress, line, _LOG_LINES]
        return bool(self.run(scripts.NOTE, arguments, repeat=not line))

    def log_of(self, job_id: str, n: int, *, marks: bool = False) -> list[str]:
        """Return the last lines of a job's log, with or without the marks of its attempts."""
        found: Any = self.redis.lrange(f"{self.jobs}{job_id}:log", -(n + _MARKS), -1)
        lines: list[str] = [line.decode("utf-8", "replace") for line in found]
        found_marks = [line for line in lines if line.startswith(_MARK)]
        several = len(found_marks) > 1 or found_marks[:1] not in ([], [f"{_MARK}1"])
        shown = [
            f"attempt {line[1:]}:" if line.startswith(_MARK) else line
            for line in lines
            if (marks and several) or not line.startswith(_MARK)
        ]
        return shown[-n:] if n > 0 else []

    def show(self, job_id: str, only: Sequence[str] = ()) -> JobSnapshot | None:
        """Return a snapshot of a job, with all its fields or some; None if it is gone."""
        state, score, paused, now, fields = self.run(scripts.SHOW, [job_id, *only])
        if not fields:
            return None
        word = _state(state.decode(), paused=bool(paused))
        return JobSnapshot(job_id, word, float(score), int(now), fields_of(fields))

    def jobs_in(
        self, state: str, n: int, start: int = 0, *, newest: bool = False
    ) -> list[JobSnapshot]:
        """Return jobs by their state, in its order."""
        if n <= 0:
            return []
        where = "wait" if state in {"waiting", "paused"} else state
        paused, now, *found = self.run(scripts.JOBS, [where, n, start, int(bool(newest))])
        word = _state(where, paused=bool(paused))
        if state in {"waiting", "paused"} and word != state:
            return []
        return [
            JobSnapshot(id_.decode(), word, float(score), int(now), fields_of(fields))
            for id_, score, fields in found
        ]

    def counts(self) -> Counts:
        """Return how many jobs there are by state, and how many have ever ended."""
        with self.redis.pipeline(transaction=False) as pipe:
            counts.ask(pipe, self.base)
            return counts.counts_from(pipe.execute())

    def pause(self) -> None:
        """Pause the queue."""
        self.redis.hset(f"{self.base}:meta", "paused", "1")

    def resume(self) -> None:
        """Resume the queue."""
        with self.redis.pipeline() as pipe:
            pipe.hdel(f"{self.base}:meta", "paused")
            pipe.lpush(f"{self.base}:bell", *["1"] * 64).ltrim(f"{self.base}:bell", 0, 127)
            pipe.execute()

    def is_paused(self) -> bool:
        """Return whether the queue is paused."""
        return bool(self.redis.hexists(f"{self.base}:meta", "paused"))

    def limit(self, drop: str, rules: Sequence[dict[str, Any]]) -> tuple[int, list[Limit]]:
        """Remove and set limits, and return how many were removed and what there is now."""
        given = msgspec.json.encode(rules)
        dropped, text = self.run(scripts.LIMIT, [drop, given, self.name, self.names_key])
        return int(dropped), limits_from(text)

    def rank(self, job_id: str) -> int | None:
        """Return how many jobs wait before a job; None if it does not wait."""
        found: Any = self.redis.zrank(f"{self.base}:wait", job_id)
        return None if found is None else int(found)

    def limits(self) -> list[Limit]:
        """Return the limits of the queue."""
        found: Any = self.redis.hget(f"{self.base}:meta", "limits")
        return limits_from(found)

    def wait(
        self, job_id: str, more: int, seconds: float | None = None
    ) -> tuple[str, bytes] | None:
        """Return the outcome of a job; None if it has not ended, see `next_outcome`.

        Parameters
        ----------
        job_id
            The job.
        more
            1 to join those who wait for it, 0 to wait on, -1 to leave: each of them gets a copy of
            the outcome.
        seconds
            That the server may take; None for the client's timeout.
        """
        state, value = self.run(scripts.WAIT, [job_id, more], repeat=False, seconds=seconds)
        return None if state is None else (state.decode(), value or b"")

    def next_outcome(self, job_id: str, seconds: float) -> tuple[str, bytes] | None:
        """Wait for the copy of a job's outcome; None if there is none within some seconds."""
        found: Any = self.redis.blpop([f"{self.jobs}{job_id}:done"], seconds)
        if found is None:
            return None
        return outcome_of(found[1])

    def remove(self, job_id: str, *, force: bool) -> str:
        """Remove a job, and return the state that it had."""
        return _state(self.run(scripts.REMOVE, [job_id, int(bool(force))]).decode())

    def requeue(self, job_id: str) -> str:
        """Run a job now, with all its attempts, and return the state that it had."""
        return _state(self.run(scripts.REQUEUE, [job_id], repeat=False).decode())

    def cancel(self, job_id: str, error: bytes, retention: Retention) -> str:
        """Cancel a job in any state, and return the state that it had."""
        return _state(self.run(scripts.CANCEL, [job_id, error, *retention]).decode())

    def forget_workers(self, owners: Sequence[str]) -> None:
        """Remove workers from the list."""
        self.redis.hdel(self.workers_key, *owners)

    def now(self) -> int:
        """Return the server's clock, in ms."""
        seconds, micro = self.redis.time()
        return int(seconds) * 1000 + int(micro) // 1000

    def run(
        self,
        script: Script,
        arguments: Sequence[Any],
        *,
        keys: Sequence[str] | None = None,
        repeat: bool = True,
        seconds: float | None = None,
    ) -> Any:
        """Run a script, whose last argument is the offset of the clock.

        Parameters
        ----------
        script, arguments
            The script and its arguments.
        keys
            Its keys; default: those of the queue and of the jobs.
        repeat
            Run it again if its answer is lost: the second time it finds what the first has done.
        seconds
            That it may take; None for the client's timeout.
        """
        redis = self._repeating if repeat else self.redis
        if seconds is not None:
            redis = redis.within(seconds)
        keys = self.keys if keys is None else keys
        return script.run(redis, keys, [*arguments, self.clock.offset_ms])


def _added(found: Any) -> AddedJob:
    return AddedJob(found[0].decode(), *(one and one.decode() for one in found[1:]))


def _state(word: str, *, paused: bool = False) -> State:
    if word == "wait":
        return "paused" if paused else "waiting"
    return cast("State", word)


def fields_of(flat: Any) -> dict[str, bytes]:
    """Return the fields of a hash as a script returns them."""
    if isinstance(flat, dict):  # RESP3
        return {name.decode(): value for name, value in flat.items()}
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}
