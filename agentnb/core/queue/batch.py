"""A batch: the jobs of many items, whose results come back in the order of the items."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any, Generic, Literal, TypeVar, overload

from agentnb.core.codec import check_schema
from agentnb.core.errors import (
    AgentnbError,
    BatchFailed,
    DeadlineExceeded,
    NotFoundError,
    RejectedError,
)
from agentnb.core.failure import CANCELLED, Failure
from agentnb.core.format import duration
from agentnb.core.keywords import refuse_unknown
from agentnb.core.moments import moment_of
from agentnb.core.queue.batch_store import START, chunks
from agentnb.core.queue.options import DEFAULTS
from agentnb.core.queue.outcome import OutcomeReader
from agentnb.core.queue.streams import StreamCheck, waiting
from agentnb.core.ranges import choice, end_of
from agentnb.core.tape.forms import VALUE
from agentnb.core.tape.methods import on_tapes
from agentnb.core.twins import twin
from agentnb.core.typevars import R_co

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import AsyncIterator, Callable, Generator, Iterator, Sequence

    from typing_extensions import TypeForm

    from agentnb.core.queue.batch_store import BatchCounts, BatchStore, Ended, SeenBatch
    from agentnb.core.queue.parts import QueueParts
    from agentnb.core.queue.queue import Queue
    from agentnb.core.trace import Span

__all__ = ["Batch", "BatchItem", "batches_of"]

T = TypeVar("T")

_READ_SECONDS = 3600.0
_NAMED = 10  # items that an error names


@dataclass(frozen=True, slots=True)
class BatchItem(Generic[R_co]):
    """The outcome of one item of a batch.

    Attributes
    ----------
    index
        The place of the item among all items, from 0.
    job_id
        The id of its job.
    state
        ``completed``, ``failed`` or ``cancelled``.
    """

    index: int
    job_id: str
    state: str
    _value: bytes
    _reader: OutcomeReader

    @overload
    def result(self, *, type: TypeForm[T]) -> T: ...
    @overload
    def result(self, *, type: None = ...) -> R_co: ...
    def result(self, *, type: Any = None) -> Any:  # noqa: A002 - as Job.result
        """Return the result of the processor, or raise the error of the job; see `Job.result`."""
        return self._reader.read(self.job_id, self.state, self._value, type)

    @property
    def error(self) -> AgentnbError | None:
        """The error that `result` raises, or None."""
        try:
            self.result()
        except AgentnbError as error:
            return error
        return None

    def __repr__(self) -> str:
        return f"BatchItem({self.index}, {self.state})"


@on_tapes(
    "queue",
    "_parts.redact",
    dict.fromkeys(("results", "aresults", "counts"), lambda _: VALUE),
    names=lambda batch: {"batch": batch.id},
    refused=dict.fromkeys(
        ("as_completed", "aas_completed"),
        "results in the order of their ends are not recorded: batch.results() is",
    ),
)
@refuse_unknown("queue")
class Batch(Generic[R_co]):
    """The jobs of many items; made by `Queue.map`, found again by `Queue.batch`.

    Its results are in the order of the items: ``batch.results()``, ``for result in batch``,
    ``await batch``. A batch and its results are kept for a time after its last job has ended:
    see ``result_ttl`` of `Queue.map`.

    Attributes
    ----------
    id
        Its id; its jobs have this id, a dot and the number of their item.
    queue
        Its `Queue`.
    key
        The key that it was made with, or None.
    function
        The name of the function that its jobs are for; empty for any processor of the queue.
    """

    def __init__(self, queue: Queue, parts: QueueParts, id: str) -> None:  # noqa: A002 - as Job
        self.id = id
        self.queue = queue
        self.key: str | None = None
        self.function = ""
        self._parts = parts
        self._store: BatchStore = parts.batches
        self._call_threads = parts.threads
        self._seen: SeenBatch | None = None

    # Its state.

    def counts(self) -> BatchCounts:
        """Return how many jobs there are by state, and how fast they end.

        Raises
        ------
        NotFoundError
            The batch is not kept any longer.
        """
        return self._look().counts

    def _look(self, seconds: float | None = None) -> SeenBatch:
        (seen,) = self._store.show([self.id], seconds)
        return self._saw(seen)

    def _saw(self, seen: SeenBatch | None) -> SeenBatch:
        """Note a snapshot of the batch."""
        if seen is None:
            raise self._gone()
        self._seen, self.key, self.function = seen, seen.key, seen.function
        return seen

    def _gone(self) -> NotFoundError:
        name = self.queue.name
        return NotFoundError(
            f"there is no batch {self.key or self.id} in {name} on {self._parts.store.where}: it "
            f"was removed, or is no longer kept",
            service="queue",
            hint=f"hub.queue({name!r}).batches() (%queue batches {name}) lists those that are "
            f"kept; map the items again, with a longer result_ttl=",
        )

    @property
    def seen(self) -> BatchCounts:
        """The counts that were read last."""
        return (self._seen or self._look()).counts

    @property
    def created(self) -> dt.datetime:
        """When it was made, by the server's clock."""
        return moment_of((self._seen or self._look()).created)

    @property
    def progress(self) -> float:
        """The share of its jobs that has ended now, from 0 to 1."""
        return self.counts().progress

    @property
    def done(self) -> bool:
        """Whether all of its jobs have ended now."""
        return self.counts().done

    def __len__(self) -> int:
        seen = self._seen
        counts = self.counts() if seen is None or not seen.counts.sealed else seen.counts
        return counts.total

    # Its results.

    @overload
    def results(
        self, timeout: float | None = ..., *, errors: Literal["raise"] = ..., type: TypeForm[T]
    ) -> list[T]: ...
    @overload
    def results(
        self, timeout: float | None = ..., *, errors: Literal["raise"] = ..., type: None = ...
    ) -> list[R_co]: ...
    @overload
    def results(
        self, timeout: float | None = ..., *, errors: Literal["return"], type: Any = ...
    ) -> list[Any]: ...
    def results(
        self,
        timeout: float | None = None,
        *,
        errors: Literal["raise", "return"] = "raise",
        type: Any = None,  # noqa: A002 - as Job.result
    ) -> list[Any]:
        """Wait until all jobs have ended, and return their results in the order of the items.

        Parameters
        ----------
        timeout
            Seconds to wait; None for as long as it takes.
        errors
            ``raise`` an error if a job did not complete, or ``return`` the job's error in the
            place of its result.
        type
            The type to read each result as; default: the one that the function declares, where
            this process has it, else plain JSON.

        Raises
        ------
        BatchFailed
            Some jobs failed or were cancelled: ``error.failed`` has the numbers of their items.
        DeadlineExceeded
            They have not ended in time; they go on.
        RejectedError
            Not all items were added: the call that adds them has not ended, or was cut off.
        NotFoundError
            The batch is no longer kept.
        UnavailableError
            The server is away: when it is asked first, or until the end of the timeout.
        """
        errors = self._checked(errors, type)
        until = end_of(timeout, service="queue")
        with self._span():
            self._parts.loop.check()
            found = None
            while found is None:
                with self._waiting() as check, self._watched():
                    seen = self._parts.streams.run(self._ended(until, check))
                found = self._collected(seen, timeout, errors, type)
            return found

    @overload
    async def aresults(
        self,
        timeout: float | None = ...,  # noqa: ASYNC109 - as results
        *,
        errors: Literal["raise"] = ...,
        type: TypeForm[T],
    ) -> list[T]: ...
    @overload
    async def aresults(
        self,
        timeout: float | None = ...,  # noqa: ASYNC109 - as results
        *,
        errors: Literal["raise"] = ...,
        type: None = ...,
    ) -> list[R_co]: ...
    @overload
    async def aresults(
        self,
        timeout: float | None = ...,  # noqa: ASYNC109 - as results
        *,
        errors: Literal["return"],
        type: Any = ...,
    ) -> list[Any]: ...
    async def aresults(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - as results
        *,
        errors: Literal["raise", "return"] = "raise",
        type: Any = None,  # noqa: A002 - as Job.result
    ) -> list[Any]:
        """Await the results, without a thread while nothing ends; see `results`."""
        errors = self._checked(errors, type)
        until = end_of(timeout, service="queue")
        found = None
        with self._span():
            while found is None:
                with self._waiting() as check:
                    seen = await self._parts.streams.arun(self._ended(until, check))
                found = await self._parts.threads.call(self._collected, seen, timeout, errors, type)
        return found

    def __await__(self) -> Generator[Any, None, list[R_co]]:
        """Await the results; see `results`."""
        return self.aresults().__await__()

    def _checked(self, errors: Any, kind: Any) -> Any:
        check_schema(kind, "queue", "type")
        return choice("errors", errors, ("raise", "return"), service="queue")

    def _span(self) -> Span:
        return self._parts.tracer.span(
            "results", service="queue", kind="wait", queue=self.queue.name, batch=self.id
        )

    def _waiting(self) -> Any:
        return self._parts.blocked.waiting_here(self.queue, _Jobs(self))

    def _watched(self) -> AbstractContextManager[object]:
        """Show the progress while a notebook waits."""
        views = self._parts.views
        return nullcontext() if views is None else views.watch_batch(self)

    def _ended(
        self, until: float | None, check: Callable[[], object] | None
    ) -> Generator[Any, Any, SeenBatch]:
        stream = self._store.key(self.id, "done")

        def look(seconds: float | None) -> StreamCheck:
            seen = self._look(seconds)
            self._check_sealed(seen)
            return StreamCheck(seen, seen.counts.done, stream, seen.last_done)

        return waiting(look, until, check, self._parts.redis.timeout)

    def _check_sealed(self, seen: SeenBatch) -> None:
        if not seen.counts.sealed:
            again = f"with key={self.key!r} again" if self.key else "again"
            raise RejectedError(
                f"{self._name} has not all of its items: {seen.counts.total:,} were added so far",
                service="queue",
                hint=f"the call that adds them runs still, or was cut off: then map the same items "
                f"{again}",
            )

    @property
    def _name(self) -> str:
        return f"batch {self.key or self.id} of {self.queue.name}"

    def _collected(
        self, seen: SeenBatch, timeout: float | None, errors: str, kind: Any
    ) -> list[Any] | None:
        """Return the results of a batch that has ended; None if some of its jobs run again."""
        if not seen.counts.done:
            raise self._late(seen, timeout)
        results: list[Any] = []
        unfinished: list[BatchItem[Any]] = []
        for numbers in chunks(range(seen.counts.total)):
            items = self._items(numbers, seen)
            if len(items) < len(numbers):
                return None
            for item in items:
                if item.state == "completed":
                    try:
                        results.append(item.result(type=kind))
                        continue
                    except AgentnbError as error:
                        error.add_note(f"item {item.index:,} of {self._name}")
                        if errors == "raise":
                            raise
                        results.append(error)
                        continue
                unfinished.append(item)
                results.append(item.error if errors == "return" else None)
        if unfinished and errors == "raise":
            raise self._failed_error(unfinished, seen)
        self._store.was_read(self.id, _READ_SECONDS)
        return results

    def _items(self, numbers: Sequence[int], seen: SeenBatch) -> list[BatchItem[Any]]:
        """Return the outcomes of those of some items that have ended and do not run again."""
        reader = OutcomeReader(self.queue, self._parts, seen.attempts)
        items = []
        for number, outcome in zip(numbers, self._store.results(self.id, numbers), strict=True):
            if outcome is not None:
                state, _, value = outcome.partition(b" ")
                job = f"{self.id}.{number}"
                items.append(BatchItem(number, job, state.decode(), value, reader))
        return items

    def _late(self, seen: SeenBatch, timeout: float | None) -> DeadlineExceeded:
        counts, why = seen.counts, None
        with suppress(AgentnbError):
            why = self.queue.why_waiting() if counts.waiting else None
        return DeadlineExceeded(
            f"{counts.left:,} of {counts.total:,} jobs of {self._name} have not ended within "
            f"{timeout:g} s",
            service="queue",
            hint=why or "wait longer; they go on meanwhile",
        )

    def _failed_error(self, items: list[BatchItem[Any]], seen: SeenBatch) -> BatchFailed:
        cancelled = sum(item.state == "cancelled" for item in items)
        failed = [item for item in items if item.state == "failed"]
        parts = [f"{len(failed):,} failed"] if failed else []
        parts += [f"{cancelled:,} were cancelled"] if cancelled else []
        numbers = ", ".join(f"{item.index:,}" for item in items[:_NAMED])
        more = f" and {len(items) - _NAMED:,} more" if len(items) > _NAMED else ""
        text = f"{' and '.join(parts)} of {seen.counts.total:,} jobs of {self._name}: items "
        text += f"{numbers}{more}"
        if failed:
            text += f"; the first: {Failure.read(failed[0]._value).error}"  # noqa: SLF001 - its own
        error = BatchFailed(
            text,
            service="queue",
            hint='batch.results(errors="return") has the others; batch.failed says why; '
            "batch.retry() runs them again",
        )
        error.failed = [item.index for item in items]
        return error

    # Its results as they come.

    def as_completed(self, timeout: float | None = None) -> Iterator[BatchItem[R_co]]:
        """Yield the outcome of each item as soon as its job has ended, in the order of the ends.

        Parameters
        ----------
        timeout
            Seconds to wait for all of them; None for as long as it takes.

        Raises
        ------
        DeadlineExceeded, RejectedError, NotFoundError, UnavailableError
            As `results`.
        """
        self._parts.loop.check()
        reading = _Reading(self, timeout)
        with self._waiting() as check:
            while reading.goes_on:
                found = self._parts.streams.run(reading.steps(check))
                yield from reading.items(found)

    async def aas_completed(
        self,
        timeout: float | None = None,  # noqa: ASYNC109 - as as_completed
    ) -> AsyncIterator[BatchItem[R_co]]:
        """Yield the outcome of each item as soon as its job has ended; see `as_completed`."""
        reading = _Reading(self, timeout)
        call = self._parts.threads.call
        await call(reading.begin)
        with self._waiting() as check:
            while reading.goes_on:
                found = await self._parts.streams.arun(reading.steps(check))
                for item in await call(reading.items, found):
                    yield item

    def __iter__(self) -> Iterator[R_co]:
        """Yield the results in the order of the items, each as soon as those before it are there.

        Raises
        ------
        JobFailed, JobCancelled, UnkeptResult
            The job of the item did not complete.
        """
        order = _Order()
        for item in self.as_completed():
            for ready in order.take(item):
                yield ready.result()

    async def __aiter__(self) -> AsyncIterator[R_co]:
        """Yield the results in the order of the items; see `__iter__`."""
        order = _Order()
        async for item in self.aas_completed():
            for ready in order.take(item):
                yield ready.result()

    # What did not complete.

    @property
    def failed(self) -> list[BatchItem[R_co]]:
        """The items whose jobs failed or were cancelled until now, in their order."""
        seen = self._look()
        found: list[BatchItem[Any]] = []
        for numbers in chunks(self._store.unfinished(self.id)):
            found += self._items(numbers, seen)
        return found

    def retry(self, *, cancelled: bool = False) -> int:
        """Run the jobs that failed again, with all their attempts, and return how many.

        Parameters
        ----------
        cancelled
            Those that were cancelled, too.

        Raises
        ------
        NotFoundError
            The batch is no longer kept.
        """
        if not self._store.stop(self.id, stopped=False):
            raise self._gone()
        numbers = self._store.unfinished(self.id)
        return self._store.retry(self.id, numbers, cancelled=bool(cancelled))

    def cancel(self) -> int:
        """Cancel the jobs that have not ended, and return how many; none is added after that.

        Raises
        ------
        NotFoundError
            The batch is no longer kept.
        """
        if not self._store.stop(self.id, stopped=True):
            raise self._gone()
        total = self._look().counts.total
        retention = DEFAULTS.retention("cancelled")
        count = self._store.cancel(self.id, total, Failure(CANCELLED).write(), retention)
        worker = self.queue.worker
        if worker is not None:
            worker.look()
        self._parts.log.info(
            "batch cancelled", extra=self._parts.events.stamp(batch=self.id, jobs=count)
        )
        return count

    def remove(self) -> None:
        """Remove the batch with its results, and free its key.

        Raises
        ------
        NotFoundError, RejectedError
            It is gone; some of its jobs have not ended.
        """
        left = self._store.remove(self.id)
        if left < 0:
            raise self._gone()
        if left:
            raise RejectedError(
                f"{self._name} cannot be removed: {left:,} of its jobs have not ended",
                service="queue",
                hint="batch.cancel() cancels them",
            )

    acounts, aretry = twin(counts), twin(retry)
    acancel, aremove = twin(cancel), twin(remove)

    # How it is shown.

    def summary(self) -> str:
        """Return its progress in a line, as it was seen last."""
        seen = self._seen
        if seen is None:
            return self._name
        counts = seen.counts
        parts = [f"{counts.ended:,} of {counts.total:,}{'' if counts.sealed else ' so far'}"]
        parts += [f"{counts.failed:,} failed"] if counts.failed else []
        parts += [f"{counts.cancelled:,} cancelled"] if counts.cancelled else []
        if counts.left and counts.rate:
            parts.append(f"{counts.rate:,.3g}/s")
        if counts.sealed and counts.seconds_left is not None:
            parts.append(f"{duration(counts.seconds_left)} left at this rate")
        return f"{self.queue.name} {self.key or self.id}: {', '.join(parts)}"

    def __repr__(self) -> str:
        return f"Batch({self.summary()})"

    def _ipython_display_(self) -> None:
        views = self._parts.views
        if views is None:
            raise NotImplementedError  # IPython then displays the text or the bar
        views.display_batch(self)

    def _repr_html_(self) -> str:
        """Return a bar, of now where the server answers."""
        with suppress(AgentnbError):
            self._look()
        done, total = 0, 1
        if self._seen is not None:
            done, total = self._seen.counts.ended, max(self._seen.counts.total, 1)
        return (
            f'<progress max="{total}" value="{done}" '
            f'style="width:16em;vertical-align:middle"></progress> {escape(self.summary())}'
        )


class _Jobs:
    """The jobs of a batch, as something that a processor may wait for in vain."""

    def __init__(self, batch: Batch[Any]) -> None:
        self._batch = batch
        self.queue = batch.queue
        self.id = f"of batch {batch.id}"  # an error says: job of batch ...

    @property
    def state(self) -> str:
        """Whether one of them waits."""
        return "waiting" if self._batch.counts().waiting else "active"


class _Order:
    """Puts items in the order of their numbers."""

    def __init__(self) -> None:
        self._next = 0
        self._held: dict[int, BatchItem[Any]] = {}

    def take(self, item: BatchItem[Any]) -> Iterator[BatchItem[Any]]:
        """Take an item, and yield those whose turn has come."""
        self._held[item.index] = item
        while self._next in self._held:
            yield self._held.pop(self._next)
            self._next += 1


class _Reading:
    """Reads the items of a batch as their jobs end, each once."""

    def __init__(self, batch: Batch[Any], timeout: float | None) -> None:
        self._batch = batch
        self._timeout = timeout
        self._until = end_of(timeout, service="queue")
        self._seen: SeenBatch | None = None
        self._cursor = START
        self._yielded: set[int] = set()

    def begin(self) -> SeenBatch:
        """Look at the batch, unless that was done."""
        if self._seen is None:
            seen = self._batch._look()  # noqa: SLF001 - a part of it
            self._batch._check_sealed(seen)  # noqa: SLF001 - as above
            self._seen = seen
        return self._seen

    @property
    def goes_on(self) -> bool:
        """Whether some items were not yielded."""
        return len(self._yielded) < self.begin().counts.total

    def steps(self, check: Callable[[], object] | None) -> Generator[Any, Any, Ended]:
        """Yield the steps of the wait for the next ends."""
        store, batch = self._batch._store, self._batch.id  # noqa: SLF001 - as above
        stream = store.key(batch, "ended")

        def look(seconds: float | None) -> StreamCheck:
            found = store.ended(batch, self._cursor, seconds)
            if not found.numbers:
                self._batch._look(seconds)  # noqa: SLF001 - raises if it is gone
            return StreamCheck(found, bool(found.numbers), stream, found.cursor)

        return waiting(look, self._until, check, self._batch._parts.redis.timeout)  # noqa: SLF001

    def items(self, found: Ended) -> Iterator[BatchItem[Any]]:
        """Return the items that have ended, those that were not yielded before."""
        batch, seen = self._batch, self.begin()
        if not found.numbers:
            raise batch._late(batch._look(), self._timeout)  # noqa: SLF001 - as above
        self._cursor = found.cursor
        fresh = [one for one in dict.fromkeys(found.numbers) if one not in self._yielded]
        items = batch._items(fresh, seen)  # noqa: SLF001 - as above
        self._yielded.update(item.index for item in items)
        if not self.goes_on:
            batch._store.was_read(batch.id, _READ_SECONDS)  # noqa: SLF001 - as above
        return iter(items)


def batches_of(queue: Queue, parts: QueueParts, ids: Sequence[str]) -> list[Batch[Any]]:
    """Return batches by their ids, as they are now, in one round trip."""
    found = []
    for id_, seen in zip(ids, parts.batches.show(ids), strict=True):
        if seen is not None:
            batch: Batch[Any] = Batch(queue, parts, id_)
            batch._saw(seen)  # noqa: SLF001 - as its own method
            found.append(batch)
    return found
