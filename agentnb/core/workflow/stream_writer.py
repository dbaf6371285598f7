"""The streams that an attempt writes: gathered for a moment, and kept in batches."""

from __future__ import annotations

from contextlib import suppress
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.background import BackgroundThread
from agentnb.core.codec import Json
from agentnb.core.db.open_transactions import is_open_here
from agentnb.core.errors import AgentnbError, ConfigError, UnavailableError, UsageError
from agentnb.core.forking import new_condition, new_lock, new_rlock
from agentnb.core.format import size as size_text
from agentnb.core.workflow.stepping import current_path
from agentnb.core.workflow.stream_rows import Batch, Standing, StreamRows, path_of
from agentnb.core.workflow.streams import check_stream

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.trace import ServiceLog
    from agentnb.core.work.attempt import Attempt
    from agentnb.core.workflow.claiming import Claimed
    from agentnb.core.workflow.transactions import Transaction, Transactions

__all__ = ["STREAM_BYTES", "StreamWriter", "Streams"]

STREAM_BYTES = 16_000_000
_EVERY = 0.05  # seconds between two flushes of an attempt, by the thread
_AGAIN = 0.2  # seconds until the next one while the database is away
_MOST_VALUES, _MOST_BYTES = 256, 256_000  # of those that wait, before their writer has to
_MOST_STREAMS = 100
_OVERHEAD = 100  # bytes that a row takes beside its values
_KEPT_SHARE = 0.9  # of a stream that is too long
_LINGER_SECONDS = 5.0
_OPEN = Standing(0, {}, frozenset(), frozenset())


class Streams:
    """The part of an orchestrator that keeps streams: a thread for the attempts of its process.

    Parameters
    ----------
    transactions
        The database.
    log
        Told when a stream cannot be kept for a while.
    limit
        Bytes that a value may take.
    stream_bytes
        Bytes of a stream that are kept; its oldest values are dropped beyond that.
    """

    def __init__(
        self,
        transactions: Transactions,
        log: ServiceLog,
        *,
        limit: int,
        stream_bytes: int = STREAM_BYTES,
    ) -> None:
        self.transactions = transactions
        self.log = log
        self.stream_bytes = stream_bytes
        self.json = Json(
            "workflow", "the value of a stream", limit=limit, setting="AGENTNB_WORKFLOW_PAYLOAD"
        )
        self.news = new_condition()
        self.count = 0
        self._lock = new_lock()
        self._waiting: set[StreamWriter] = set()
        self._thread = BackgroundThread(
            self._flush, name="workflow-streams", log=log, linger=_LINGER_SECONDS
        )

    def wake(self, writer: StreamWriter) -> None:
        """Flush a writer soon, at once if it has been idle."""
        with self._lock:
            self._waiting.add(writer)
        self._thread.wake()

    def notify(self) -> None:
        """Wake those who read in this process."""
        with self.news:
            self.count += 1
            self.news.notify_all()

    def wait(self, seen: int, seconds: float) -> None:
        """Wait until something was written here since a count, or for some seconds."""
        with self.news:
            self.news.wait_for(lambda: self.count != seen, seconds)

    def _flush(self) -> float | None:
        with self._lock:
            waiting = list(self._waiting)
        soon = [left for writer in waiting if (left := self._flush_one(writer)) is not None]
        return min(soon, default=None)

    def _flush_one(self, writer: StreamWriter) -> float | None:
        """Flush a writer if it is time to; return the seconds until the next flush, if any."""
        left = writer.until_flush()
        if left > 0:
            return left
        with self._lock:  # before the flush: what is written meanwhile adds it again
            self._waiting.discard(writer)
        again = writer.try_flush()
        if again is not None:
            with self._lock:
                self._waiting.add(writer)
        return again

    def close(self) -> None:
        """Stop the thread, and release those who wait."""
        self._thread.stop()
        self.notify()


class StreamWriter:
    """Writes the streams of one attempt at a task.

    Values are gathered for up to 50 ms, then kept by a thread; the attempt itself keeps them
    where more than 256 wait, before a step is kept, and at its end.

    Parameters
    ----------
    attempt, claimed
        The attempt, and its claim: once that is another's, nothing is written.
    streams
        Where they are kept.
    say
        Logs a line with the task.
    """

    def __init__(
        self,
        attempt: Attempt,
        claimed: Claimed,
        streams: Streams,
        say: Callable[[str], object],
    ) -> None:
        self._attempt = attempt
        self._entry = claimed.ref.entry
        self._streams = streams
        self._say = say
        self._rows = StreamRows(claimed)
        self._lock = new_lock()  # of the buffer, never held while something is waited for
        self._flushing = new_rlock()
        self._buffer: list[tuple[str, str, bytes]] = []
        self._bytes = 0
        self._sealed: list[Batch] = []
        self._standing = _OPEN
        self._names: set[str] = set()
        self._paths: set[str] = set()  # in which something was written
        self._written: set[str] = set()  # the steps in them
        self._trimmed: set[str] = set()
        self._next = 0.0
        self._warned = self._closed = False
        self._error: Exception | None = None

    # The agent

    def write(self, value: Any, stream: str) -> bool:
        """Write a value; return whether as many wait as may, so that `flush` is due."""
        data = self._streams.json.encode(value)
        name = stream if stream in self._names else self._new(stream)
        path = current_path()
        with self._lock:
            if self._closed:
                raise UsageError(
                    "the attempt at the task has ended: nothing more is written",
                    service="workflow",
                    hint="wait for the threads that write before the agent returns",
                )
            if self._error is not None:
                raise self._error
            if path and path not in self._paths:
                self._paths.add(path)
                self._written.update(path_of(path))
            first = not self._buffer
            self._buffer.append((name, path, data))
            self._bytes += len(data)
            full = len(self._buffer) >= _MOST_VALUES or self._bytes >= _MOST_BYTES
        if first:
            self._streams.wake(self)
        return full

    def _new(self, stream: Any) -> str:
        name = check_stream(stream)
        with self._lock:
            known = self._names | set(self._standing.streams)
            if name not in known and len(known) >= _MOST_STREAMS:
                raise UsageError(
                    f"the task has {_MOST_STREAMS} streams already, and {name!r} would be another",
                    service="workflow",
                    hint='write to one of them, such values as {"part": 7, "text": "..."}',
                )
            self._names.add(name)
        return name

    def enter(self) -> None:
        """Drop what an earlier entry wrote and did not keep, as the agent begins again."""
        if self._entry > 1:
            self._change(self._rows.enter, "the beginning of its streams")

    def begins_again(self, step: str) -> bool:
        """Return whether a step has written something before that `again` has to drop."""
        return step in self._written or step in self._standing.written

    def again(self, step: str) -> None:
        """Drop what a step has written, since it is called again."""
        self._change(lambda tx: self._rows.again(tx, step), f"the stream of step {step!r}")
        self._paths = {path for path in self._paths if step not in path_of(path)}
        self._written.discard(step)

    def answer(self, step: str) -> None:
        """Show what a step has written whose result is known."""
        if step in self._standing.hidden:
            self._change(lambda tx: self._rows.answer(tx, step), f"the stream of step {step!r}")

    def flush(self) -> None:
        """Keep all that was written, however long the database is away."""
        if self._buffer or self._sealed:
            with self._flushing:
                self._persist(self._write, "the stream")

    def flush_full(self) -> None:
        """Keep what waits, but not in a transaction of the agent's own on the same SQLite file.

        The thread keeps it then, once that has ended; four times as many values may wait.
        """
        database = self._streams.transactions.database
        own = database.kind == "sqlite" and is_open_here(database.access.backend.target.path)
        if not own or len(self._buffer) >= 4 * _MOST_VALUES or self._bytes >= 4 * _MOST_BYTES:
            self.flush()

    def close(self) -> None:
        """Keep all that was written; later values are refused."""
        with self._lock:
            self._closed = True
        if self._error is not None:
            raise self._error
        self.flush()

    def abandon(self) -> None:
        """Keep what can be kept after an error of the agent's, which is the one that is raised."""
        with suppress(AgentnbError):
            self.close()

    def _change(self, change: Callable[[Transaction], Standing | None], what: str) -> None:
        def made() -> bool:
            with self._streams.transactions.write() as tx:
                standing = change(tx)
            if standing is not None:
                self._standing = standing
            return standing is not None

        with self._flushing:
            self._persist(self._write, what)
            self._persist(made, what)
        self._streams.notify()

    def _persist(self, write: Callable[[], bool], what: str) -> None:
        if not self._attempt.persist(write, what=what):
            self._attempt.lose()
            self._attempt.check()

    # The thread

    def until_flush(self) -> float:
        """Return the seconds until the thread may flush again."""
        return self._next - monotonic()

    def try_flush(self) -> float | None:
        """Flush once; return the seconds until it is tried again, None if all is kept."""
        if self._attempt.lost:
            return None
        try:
            with self._flushing:
                if not self._write():
                    self._attempt.lose()
        except (UnavailableError, ConfigError) as error:
            if not self._warned:
                self._warned = True
                self._streams.log.warning("a stream cannot be kept yet: %s", error)
            self._next = monotonic() + _AGAIN
            return _AGAIN
        except Exception as error:  # noqa: BLE001 - the agent's next call raises it
            self._error = error
        return None

    # Writing, under the lock of flushes

    def _write(self) -> bool:
        """Keep what waits; return whether the claim is still the attempt's."""
        self._seal()
        if not self._sealed:
            return True
        self._next = monotonic() + _EVERY
        with self._streams.transactions.write() as tx:
            held = self._rows.append(tx, self._sealed)
        self._sealed = []
        self._warned = False
        if held:
            self._streams.notify()
            self._trim()
        return held

    def _seal(self) -> None:
        """Make rows of the values that wait: one for those that follow each other."""
        with self._lock:
            values, self._buffer, self._bytes = self._buffer, [], 0
        start = 0
        for end in range(1, len(values) + 1):
            if end == len(values) or values[end][:2] != values[start][:2]:
                self._add(*values[start][:2], [data for _, _, data in values[start:end]])
                start = end

    def _add(self, name: str, path: str, values: list[bytes]) -> None:
        standing = self._standing
        data = b"[%s]" % b",".join(values)
        n, size = standing.streams.get(name, (0, 0))
        taken = len(data) + _OVERHEAD
        batch = Batch(standing.seq + 1, name, path, n + 1, len(values), taken, data.decode())
        self._sealed.append(batch)
        streams = {**standing.streams, name: (n + len(values), size + taken)}
        self._standing = standing._replace(seq=batch.seq, streams=streams)

    def _trim(self) -> None:
        """Drop the oldest values of streams that are too long, and say so once."""
        limit = self._streams.stream_bytes
        for name, (n, size) in list(self._standing.streams.items()):
            if size <= limit:
                continue
            over = size - int(limit * _KEPT_SHARE)
            with self._streams.transactions.write() as tx:
                freed = self._rows.trim(tx, name, over) or 0
            streams = {**self._standing.streams, name: (n, size - freed)}
            self._standing = self._standing._replace(streams=streams)
            if name not in self._trimmed:
                self._trimmed.add(name)
                self._say(
                    f"stream {name!r} is longer than {size_text(limit)}: "
                    "its oldest values are dropped"
                )
