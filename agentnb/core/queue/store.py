"""The server, as one queue uses it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from agentnb.core.queue import counts, scripts
from agentnb.core.queue.keys import Found
from agentnb.core.queue.options import FOR_EVER
from agentnb.core.queue.snapshot import Seen

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from agentnb.core.queue.counts import Counts
    from agentnb.core.queue.keys import KeyRecord
    from agentnb.core.queue.options import Options, Retention
    from agentnb.core.redis import RedisClient, Script
    from agentnb.core.redis.keys import Keys

__all__ = ["Held", "Store", "Taken", "Tended"]

COUNTED, FENCED, GONE, AGAIN = 1, 0, 2, 3
_LOG_LINES = 1000
_MARKS = 50  # of attempts, which stand among the lines
_MARK = "\x1e"
_BELL_MS = 10_000


@dataclass(frozen=True, slots=True)
class Taken:
    """A job that this process has claimed: its id, its message, the attempt and the entry."""

    id: str
    message: bytes
    attempt: int
    entry: int


@dataclass(frozen=True, slots=True)
class Held:
    """An active job of somebody else's, and the ms that its lease has left."""

    id: str
    owner: str
    attempt: int
    left: int
    entry: int


@dataclass(frozen=True, slots=True)
class Tended:
    """What a look at the active jobs found: ours that are lost, others', ms to the next delayed."""

    lost: list[str]
    others: list[Held]
    due: int


class Store:
    """The keys and the scripts of a queue.

    Parameters
    ----------
    redis
        The client.
    keys
        Makes the keys.
    name
        The queue.
    lease
        Seconds that an active job is its worker's without a renewal.
    publish
        Lua of the event bus; empty where there is none.
    """

    def __init__(
        self, redis: RedisClient, keys: Keys, name: str, *, lease: float, publish: str = ""
    ) -> None:
        # Each step but a few may be made twice: the second time it finds that it was made.
        self._redis = redis.untraced
        self._again = self._redis.repeating
        self.name = name
        self.base = keys.internal("queue", name)
        self.jobs = keys.internal("job", "")
        self._names = keys.internal("queues")
        self._workers = f"{self.base}:workers"
        self._keys = [self.base, self.jobs]
        self._lease = int(lease * 1000)
        self._finish = scripts.finish(publish)

    def add(
        self,
        job_id: str,
        message: bytes,
        options: Options,
        delay: float,
        record: KeyRecord | None = None,
    ) -> Found:
        """Put a job into the queue, and return its id, or the job that has its key already."""
        arguments = [job_id, message, options.priority, int(delay * 1000), int(options.lifo)]
        arguments += [self.name, self._names]
        if record is not None:
            arguments += [record.key, int(record.seconds * 1000), record.digest, record.data]
        found = self._run(self._again, scripts.ADD, arguments)
        return Found(found[0].decode(), *(one and one.decode() for one in found[1:]))

    def take(self, owner: str) -> Taken | int:
        """Take the next job; else return in how many ms there is one, -1 for when the bell rings.

        Raises
        ------
        UnavailableError
            The server is away. What it may have given all the same comes back with its lease.
        """
        return _taken(self._run(self._redis, scripts.TAKE, [owner, self._lease]))

    def listen(self, own: str, seconds: float) -> None:
        """Wait for the bell of the queue, or for one's own."""
        self._redis.blpop([f"{self.base}:bell", f"{self.base}:bell:{own}"], seconds)

    def ring(self, own: str, times: int = 1) -> None:
        """Ring one's own bell, on which one's idle workers listen."""
        name = f"{self.base}:bell:{own}"
        with self._redis.pipeline(transaction=False) as pipe:
            pipe.rpush(name, *["1"] * times).pexpire(name, _BELL_MS).execute()

    def finish(
        self,
        taken: Taken,
        owner: str,
        where: str,
        value: bytes,
        *,
        retention: Retention = FOR_EVER,
        delay: float = 0.0,
        counted: bool = True,
        event: Any = None,
        then_take: bool = False,
    ) -> tuple[int, Taken | int | None]:
        """End an attempt.

        Parameters
        ----------
        taken, owner
            The attempt.
        where
            Where the job goes: ``completed``, ``failed``, ``delayed`` or ``wait``.
        value
            The result or the error, as JSON.
        retention
            How long the job is kept there.
        delay
            Seconds, for ``delayed``.
        counted
            Whether the attempt counts as one.
        event
            An `Attachment` that is published at the same moment, or None.
        then_take
            Whether to take the next job with it, which saves a way to the server.

        Returns
        -------
        tuple
            COUNTED, FENCED if the job is not this attempt's any more, GONE if there is no job,
            AGAIN if the same end has counted before; and what `take` returns, or None.
        """
        attempt = taken.attempt if counted else taken.attempt - 1
        arguments = [taken.id, owner, taken.entry, where, value]
        arguments += [*retention, int(delay * 1000), attempt]
        arguments.append(self._lease if then_take else "")
        keys = self._keys
        if event is not None:
            arguments += event.args
            keys = [*keys, *event.keys]
        counts, place, following = self._run(self._again, self._finish, arguments, keys)
        if event is not None and place:
            event.delivered(place)
        return int(counts), _taken(following) if following else None

    def tend(self, owner: str, about: bytes, running: Iterable[tuple[str, int]]) -> Tended:
        """Renew the leases of what runs here, and look at everybody else's."""
        arguments: list[Any] = [owner, self._lease, self._workers, about]
        for id_, entry in running:
            arguments += [id_, entry]
        lost, others, due = self._run(self._again, scripts.TEND, arguments)
        held = [
            Held(
                id_.decode(), (owner or b"").decode(), int(attempt or 0), int(left), int(entry or 0)
            )
            for id_, owner, attempt, left, entry in others
        ]
        return Tended([id_.decode() for id_ in lost], held, int(due))

    def note(
        self, job_id: str, owner: str, entry: int, *, progress: bytes = b"", line: str = ""
    ) -> bool:
        """Keep a job's progress or a line of its log; return whether the claim still holds."""
        arguments = [job_id, owner, entry, progress, line, _LOG_LINES]
        return bool(self._run(self._again if progress else self._redis, scripts.NOTE, arguments))

    def log_of(self, job_id: str, n: int, *, marks: bool = False) -> list[str]:
        """Return the last lines of a job's log, with or without the marks of its attempts."""
        found: Any = self._redis.lrange(f"{self.jobs}{job_id}:log", -(n + _MARKS), -1)
        lines: list[str] = [line.decode("utf-8", "replace") for line in found]
        found_marks = [line for line in lines if line.startswith(_MARK)]
        several = len(found_marks) > 1 or found_marks[:1] not in ([], [f"{_MARK}1"])
        shown = [
            f"attempt {line[1:]}:" if line.startswith(_MARK) else line
            for line in lines
            if (marks and several) or not line.startswith(_MARK)
        ]
        return shown[-n:] if n > 0 else []

    def show(self, job_id: str, only: Sequence[str] = ()) -> Seen | None:
        """Return a snapshot of a job, with all its fields or some; None if it is gone."""
        state, score, paused, now, fields = self._run(self._again, scripts.SHOW, [job_id, *only])
        if not fields:
            return None
        word = _state(state.decode(), paused=bool(paused))
        return Seen(job_id, word, float(score), int(now), _dict(fields))

    def jobs_in(self, state: str, n: int, start: int = 0, *, newest: bool = False) -> list[Seen]:
        """Return jobs by their state, in its order."""
        if n <= 0:
            return []
        where = "wait" if state in {"waiting", "paused"} else state
        paused, now, *found = self._run(
            self._again, scripts.JOBS, [where, n, start, int(bool(newest))]
        )
        word = _state(where, paused=bool(paused))
        if state in {"waiting", "paused"} and word != state:
            return []
        return [
            Seen(id_.decode(), word, float(score), int(now), _dict(fields))
            for id_, score, fields in found
        ]

    def counts(self) -> Counts:
        """Return how many jobs there are by state, and how many have ever ended."""
        with self._redis.pipeline(transaction=False) as pipe:
            counts.ask(pipe, self.base)
            return counts.counts_from(pipe.execute())

    def pause(self) -> None:
        """Let nothing be taken."""
        self._redis.hset(f"{self.base}:meta", "paused", "1")

    def resume(self) -> None:
        """Let jobs be taken again."""
        with self._redis.pipeline() as pipe:
            pipe.hdel(f"{self.base}:meta", "paused")
            pipe.lpush(f"{self.base}:bell", *["1"] * 64).ltrim(f"{self.base}:bell", 0, 127)
            pipe.execute()

    def is_paused(self) -> bool:
        """Return whether nothing is taken."""
        return bool(self._redis.hexists(f"{self.base}:meta", "paused"))

    def wait(self, job_id: str, more: int) -> tuple[str, bytes] | None:
        """Return what came of a job; None if that will be told, see `told`.

        Parameters
        ----------
        job_id
            The job.
        more
            1 to be told, 0 to be told as asked for before, -1 to be told no more: each that waits
            gets a copy of the outcome.
        """
        state, value = self._run(self._redis, scripts.WAIT, [job_id, more])
        return None if state is None else (state.decode(), value or b"")

    def told(self, job_id: str, seconds: float) -> tuple[str, bytes] | None:
        """Wait to be told what came of a job; None if nobody said within some seconds."""
        found: Any = self._redis.blpop([f"{self.jobs}{job_id}:done"], seconds)
        if found is None:
            return None
        state, _, value = found[1].partition(b" ")
        return state.decode(), value

    def remove(self, job_id: str, *, force: bool) -> str:
        """Remove a job, and return the state that it had."""
        return _state(self._run(self._again, scripts.REMOVE, [job_id, int(bool(force))]).decode())

    def requeue(self, job_id: str) -> str:
        """Let a job run now, with all its attempts, and return the state that it had."""
        return _state(self._run(self._redis, scripts.REQUEUE, [job_id]).decode())

    def cancel(self, job_id: str, error: bytes, retention: Retention) -> str:
        """Cancel a job, whoever works on it, and return the state that it had."""
        return _state(self._run(self._again, scripts.CANCEL, [job_id, error, *retention]).decode())

    def workers(self) -> dict[str, tuple[int, bytes]]:
        """Return owner, ms of the last sign of life, and what is known of each worker."""
        found: Any = self._redis.hgetall(self._workers)
        split = {owner.decode(): value.partition(b" ") for owner, value in found.items()}
        return {owner: (int(when), about) for owner, (when, _, about) in split.items()}

    def forget_worker(self, owner: str) -> None:
        """Take a worker off the list."""
        self._redis.hdel(self._workers, owner)

    def now(self) -> int:
        """Return the server's clock, in ms."""
        seconds, micro = self._redis.time()
        return int(seconds) * 1000 + int(micro) // 1000

    def ask(self, script: Script, arguments: Sequence[Any]) -> Any:
        """Run a script that changes nothing."""
        return self._run(self._again, script, arguments)

    def _run(
        self,
        redis: RedisClient,
        script: Script,
        arguments: Sequence[Any],
        keys: Sequence[str] | None = None,
    ) -> Any:
        return script.run(redis, self._keys if keys is None else keys, arguments)


def _taken(found: Any) -> Taken | int:
    if found[0] is None:
        return int(found[1])
    return Taken(found[0].decode(), found[1], int(found[2]), int(found[3]))


def _state(word: str, *, paused: bool = False) -> str:
    if word == "wait":
        return "paused" if paused else "waiting"
    return word


def _dict(flat: Any) -> dict[str, bytes]:
    if isinstance(flat, dict):  # RESP3
        return {name.decode(): value for name, value in flat.items()}
    return {flat[i].decode(): flat[i + 1] for i in range(0, len(flat), 2)}
