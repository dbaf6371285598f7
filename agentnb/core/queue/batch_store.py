"""The keys of the batches of a queue on the server, and what is done with them there."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agentnb.core.queue import batch_scripts as scripts

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from agentnb.core.queue.options import Options, Retention
    from agentnb.core.queue.pieces import NewJob
    from agentnb.core.queue.store import JobStore

__all__ = ["START", "BatchCounts", "BatchStore", "Ended", "OpenedBatch", "SeenBatch", "chunks"]

START = "0-0"
"""The id before the first entry of a stream."""
_MOST = 1000  # entries, or results, of one reply


@dataclass(frozen=True, slots=True)
class BatchCounts:
    """The jobs of a batch by state, at one moment.

    Attributes
    ----------
    total
        How many were added.
    waiting, active
        Those that wait or are delayed, and those that run.
    completed, failed, cancelled
        Those that have ended.
    sealed
        Whether all items were added.
    rate
        Jobs that have ended in a second lately; 0 before the first.
    """

    total: int
    waiting: int
    active: int
    completed: int
    failed: int
    cancelled: int
    sealed: bool
    rate: float

    @property
    def ended(self) -> int:
        """How many have ended."""
        return self.completed + self.failed + self.cancelled

    @property
    def left(self) -> int:
        """How many have not ended."""
        return self.total - self.ended

    @property
    def done(self) -> bool:
        """Whether all items were added, and all of their jobs have ended."""
        return self.sealed and not self.left

    @property
    def progress(self) -> float:
        """The share that has ended, from 0 to 1."""
        return self.ended / self.total if self.total else float(self.sealed)

    @property
    def seconds_left(self) -> float | None:
        """The seconds until all have ended, at the present rate; None if that is not known.

        A pause, a limit or a delay that begins or ends meanwhile changes the rate, and so this.
        """
        return self.left / self.rate if self.rate and self.left else None


class OpenedBatch(NamedTuple):
    """A batch that was made, or found by its key.

    Attributes
    ----------
    id
        Its id.
    function
        The name of the function that it is for, or empty.
    digests
        Those of its pieces.
    total
        How many jobs it has.
    sealed
        Whether all items were added.
    options
        Those that it was made with, by their names; none where earlier code made it.
    """

    id: str
    function: str
    digests: list[str]
    total: int
    sealed: bool
    options: dict[str, Any]


class SeenBatch(NamedTuple):
    """A batch as the server has it: its counts, its key and function, the ends of its streams."""

    counts: BatchCounts
    key: str | None
    function: str
    created: float
    attempts: int
    last_ended: str
    last_done: str


class Ended(NamedTuple):
    """The jobs that have ended after an entry of the stream: their numbers, and the last entry."""

    numbers: list[int]
    cursor: str


class BatchStore:
    """The keys and the scripts of the batches of a queue.

    Parameters
    ----------
    jobs
        Those of the queue.
    """

    def __init__(self, jobs: JobStore) -> None:
        self.jobs = jobs

    def key(self, batch: str, part: str = "") -> str:
        """Return the key of a batch, or of one of its parts."""
        return f"{self.jobs.base}:batch:{batch}{part and ':'}{part}"

    def open(
        self, batch: str, key: str | None, function: str, ttl: float, options: dict[str, Any]
    ) -> OpenedBatch:
        """Make a batch, or return the one that has the key.

        Parameters
        ----------
        batch, key, function, ttl
            Its id, its key, the name of its function, and for how many seconds it is kept.
        options
            All options of its jobs, by the names that `Queue.map` has.
        """
        arguments = [batch, key or "", function, int(ttl * 1000), options["priority"]]
        arguments += [int(options["lifo"]), options["attempts"], msgspec.json.encode(options)]
        found = self.jobs.run(scripts.OPEN, arguments)
        id_, made_for, digests, total, sealed, kept = found
        return OpenedBatch(
            id_.decode(),
            made_for.decode(),
            [one.decode() for one in digests],
            int(total),
            bool(sealed),
            {} if kept is None else msgspec.json.decode(kept, type=dict[str, Any]),
        )

    def add_piece(
        self,
        batch: str,
        number: int,
        digest: str,
        first: int,
        options: Options,
        piece: Sequence[NewJob],
    ) -> str:
        """Add a piece of a batch, and return ``added``, ``there`` or what is wrong."""
        arguments: list[Any] = [batch, number, digest, self.jobs.name, self.jobs.names_key]
        arguments += [int(options.lifo), options.attempts, options.priority]
        arguments += [int(piece[0].delay * 1000), first, *[one.message for one in piece]]
        return self._word(scripts.ADD_PIECE, arguments)

    def seal(self, batch: str, pieces: int) -> str:
        """Note that all items were added, and return ``there`` or what is wrong."""
        return self._word(scripts.SEAL, [batch, pieces])

    def _word(self, script: Any, arguments: list[Any]) -> str:
        word: str = self.jobs.run(script, arguments).decode()
        return word

    def id_of(self, key: str) -> str | None:
        """Return the batch that has a key, or None."""
        found: Any = self.jobs.redis.get(f"{self.jobs.base}:batchkey:{key}")
        return None if found is None else found.decode()

    def newest(self, n: int) -> list[str]:
        """Return the newest batches that are kept."""
        return [one.decode() for one in self.jobs.run(scripts.BATCHES, [n])]

    def show(self, batches: Sequence[str], seconds: float | None = None) -> list[SeenBatch | None]:
        """Return batches as they are now; None for one that is not kept.

        Parameters
        ----------
        batches
            Their ids.
        seconds
            That the server may take; None for the client's timeout.
        """
        if not batches:
            return []
        return [_seen(*one) for one in self.jobs.run(scripts.SHOW, batches, seconds=seconds)]

    def results(self, batch: str, numbers: Sequence[int]) -> list[bytes | None]:
        """Return the outcomes of jobs of a batch; None for one that has not ended."""
        if not numbers:
            return []
        key = self.key(batch, "results")
        found: Any = self.jobs.redis.hmget(key, [str(one) for one in numbers])
        return list(found)

    def unfinished(self, batch: str) -> list[int]:
        """Return the numbers of the jobs that failed or were cancelled, in order."""
        found: Any = self.jobs.redis.hkeys(self.key(batch, "messages"))
        return sorted(int(one) for one in found)

    def ended(self, batch: str, cursor: str, seconds: float | None = None) -> Ended:
        """Return the jobs that have ended after an entry; see `show`."""
        redis = self.jobs.redis if seconds is None else self.jobs.redis.within(seconds)
        found: Any = redis.xrange(self.key(batch, "ended"), f"({cursor}", "+", count=_MOST)
        if not found:
            return Ended([], cursor)
        return Ended([int(fields[b"n"]) for _, fields in found], found[-1][0].decode())

    def stop(self, batch: str, *, stopped: bool) -> bool:
        """Forbid or allow that more jobs are added; return whether the batch is kept."""
        return bool(self.jobs.run(scripts.STOP, [batch, int(stopped)]))

    def cancel(self, batch: str, total: int, error: bytes, retention: Retention) -> int:
        """Cancel the jobs of a batch that have not ended, and return how many that were."""
        count = 0
        for first in range(0, total, _MOST):
            last = min(first + _MOST, total) - 1
            count += self.jobs.run(scripts.CANCEL_PIECE, [batch, first, last, error, *retention])
        return count

    def retry(self, batch: str, numbers: Sequence[int], *, cancelled: bool) -> int:
        """Run jobs again that did not complete, and return how many that were."""
        count = 0
        for first in range(0, len(numbers), _MOST):
            chosen = numbers[first : first + _MOST]
            arguments = [batch, self.jobs.name, int(cancelled), *chosen]
            count += self.jobs.run(scripts.RETRY_PIECE, arguments)
        return count

    def was_read(self, batch: str, seconds: float) -> None:
        """Keep a batch whose results were read for no longer than some seconds."""
        self.jobs.run(scripts.READ, [batch, int(seconds * 1000)])

    def remove(self, batch: str) -> int:
        """Remove a batch with its results, and return how many jobs are open; -1 if it is gone."""
        return int(self.jobs.run(scripts.REMOVE, [batch]))


def chunks(numbers: Iterable[int]) -> Iterator[list[int]]:
    """Cut numbers into those of one reply each.

    >>> [len(one) for one in chunks(range(2500))]
    [1000, 1000, 500]
    """
    chunk: list[int] = []
    for number in numbers:
        chunk.append(number)
        if len(chunk) == _MOST:
            yield chunk
            chunk = []
    if chunk:
        yield chunk


def _seen(
    flat: Any, active: int, ended: bytes, done: bytes, lately: int, ms: int
) -> SeenBatch | None:
    fields = flat if isinstance(flat, dict) else dict(zip(flat[::2], flat[1::2], strict=True))
    if not fields:
        return None
    total, over = int(fields[b"total"]), int(fields[b"ended"])
    active = min(int(active), total - over)
    failed, cancelled = int(fields[b"failed"]), int(fields[b"cancelled"])
    key = fields.get(b"key")
    counts = BatchCounts(
        total=total,
        waiting=total - over - active,
        active=active,
        completed=over - failed - cancelled,
        failed=failed,
        cancelled=cancelled,
        sealed=b"sealed" in fields,
        rate=lately * 1000 / max(int(ms), 1) if lately else 0.0,
    )
    return SeenBatch(
        counts,
        None if key is None else key.decode(),
        fields[b"function"].decode(),
        int(fields[b"created"]) / 1000,
        int(fields[b"attempts"]),
        ended.decode(),
        done.decode(),
    )
