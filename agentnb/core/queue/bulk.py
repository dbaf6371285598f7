"""Many jobs of a queue at once: added together, or as the batch of a function over items."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, Final, TypeVar, Unpack, cast, overload

from agentnb.core.keywords import refuse_unknown
from agentnb.core.queue.options import DEFAULTS, RESULT_TTL, Options
from agentnb.core.queue.taped import ManyJobs, MappedBatch
from agentnb.core.ranges import seconds, text, whole
from agentnb.core.tape.methods import on_tapes
from agentnb.core.twins import twin

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterable

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.queue.arguments import Backoff, MapOptions
    from agentnb.core.queue.batch import Batch
    from agentnb.core.queue.batch_store import SeenBatch
    from agentnb.core.queue.job import Job
    from agentnb.core.queue.parts import QueueParts
    from agentnb.core.queue.processing import Processor
    from agentnb.core.queue.queue import Queue
    from agentnb.core.tape.hook import Form

__all__ = ["QueueBatches"]

R = TypeVar("R")
S = TypeVar("S")

_BATCH_TTL: Final = 86400.0


def _added(queue: QueueBatches) -> Form:
    from agentnb.core.queue.job import Job

    whole = cast("Queue", queue)
    return ManyJobs(lambda id_, message: Job(whole, queue._parts, id_, message))  # noqa: SLF001 - of its own module


def _mapped(queue: QueueBatches) -> Form:
    from agentnb.core.queue.batch import Batch

    def made(id_: str, seen: SeenBatch) -> Batch[Any]:
        batch: Batch[Any] = Batch(cast("Queue", queue), queue._parts, id_)  # noqa: SLF001 - as above
        batch._saw(seen)  # noqa: SLF001 - of its own package
        return batch

    return MappedBatch(made)


@on_tapes(
    "queue",
    "_parts.redact",
    {"add_many": _added, "map": _mapped},
    names=lambda queue: {"queue": queue.name},
    items="items",
)
@refuse_unknown("queue")
class QueueBatches:
    """The part of a `Queue` that adds many jobs at once, and keeps batches of them."""

    _parts: QueueParts
    _call_threads: CallThreads

    if TYPE_CHECKING:

        @property
        def current(self) -> Processor | None:
            """The queue's processor in this process, or None."""

        @property
        def result_ttl(self) -> float:
            """Seconds for which an unread result is kept."""

    def add_many(  # noqa: PLR0913 - as add
        self,
        items: Iterable[Any],
        *,
        priority: int | Callable[[Any], int] = 0,
        delay: float | Callable[[Any], float] = 0.0,
        attempts: int = 3,
        backoff: float | Backoff | None = None,
        timeout: float | None = None,
        key: Callable[[Any], str | None] | None = None,
        lifo: bool = False,
        remove_on_complete: bool | int = 100,
        remove_on_fail: bool | int = 50,
        result_ttl: float | None = None,
        correlation_id: str | None = None,
    ) -> list[Job]:
        """Add a job for each of many items, and return the jobs in the order of the items.

        The jobs are added in pieces of up to 500, one round trip each. A piece is added whole or
        not at all; all pieces together are no transaction. The items of a list, or of another
        sequence, are checked before the first is added; those of a generator piece by piece, and
        an error says how many jobs were added before it.

        Parameters
        ----------
        items
            The data of each job; see `add`.
        priority, delay
            As `add` takes them; or a function that is given an item and returns its value.
        key
            A function that is given an item and returns its idempotency key, or None for none.
            The same call again then adds only the jobs that are not there.
        attempts, backoff, timeout, lifo, remove_on_complete, remove_on_fail, result_ttl
            As `add` takes them, for all jobs.
        correlation_id
            As `add` takes it.

        Raises
        ------
        UsageError
            An item or an option cannot be used; the message names the item.
        PartlyAdded
            The server is away: ``error.added`` has the ids of the jobs that were added, and
            ``error.uncertain`` those of the piece that was under way.

        Examples
        --------
        ``queue.add_many(orders, key=lambda order: order["id"], priority=lambda order: order["p"])``
        """
        from agentnb.core.queue.adding import add_many
        from agentnb.core.queue.pieces import Drafts

        options = Options.checked(
            priority=0,
            attempts=attempts,
            backoff=backoff,
            timeout=timeout,
            key=None,
            lifo=lifo,
            remove_on_complete=remove_on_complete,
            remove_on_fail=remove_on_fail,
            result_ttl=self.result_ttl if result_ttl is None else result_ttl,
        )
        schema = self.current.schema if self.current is not None else None
        drafts = Drafts(self._parts, schema, options, priority, delay, key)
        return add_many(cast("Queue", self), drafts, items, correlation_id)

    @overload
    def map(
        self,
        f: Callable[[Job[S]], Coroutine[Any, Any, R]],
        items: Iterable[Any],
        key: str | None = ...,
        **options: Unpack[MapOptions],
    ) -> Batch[R]: ...
    @overload
    def map(
        self,
        f: Callable[[Job[S]], R],
        items: Iterable[Any],
        key: str | None = ...,
        **options: Unpack[MapOptions],
    ) -> Batch[R]: ...
    @overload
    def map(
        self,
        f: str | None,
        items: Iterable[Any],
        key: str | None = ...,
        **options: Unpack[MapOptions],
    ) -> Batch: ...
    def map(  # noqa: PLR0913 - one word for each option
        self,
        f: Callable[[Job[Any]], Any] | str | None,
        items: Iterable[Any],
        key: str | None = None,
        *,
        priority: int = 0,
        delay: float = 0.0,
        attempts: int = 3,
        backoff: float | Backoff | None = None,
        timeout: float | None = None,
        lifo: bool = False,
        result_ttl: float | None = None,
        correlation_id: str | None = None,
    ) -> Batch[Any]:
        """Add a job for each item, to be processed by a function, and return the batch of them.

        The items of a generator are never all in memory: they are added in pieces of up to 500,
        each at once. Results are kept with the batch until ``result_ttl`` is over.

        Parameters
        ----------
        f
            The function, which is called with each `Job`; ``job.data`` is the item. The jobs carry
            its name, never its code, and a worker that has another function refuses them.

            - A function is processed by this process, from now on; by others instead, where
              workers of this queue have the function. A lambda, or a function of a notebook, runs
              in this process only.
            - ``"pkg.module:function"`` is for workers elsewhere, such as
              ``agentnb worker QUEUE --processor pkg.module:function``.
            - None is for the queue's own processor, such as a cell under ``%%queue task``.
        items
            The data of each job, from any iterable; see `add_many`.
        key
            Names the items. Mapping the same items with the same key and options again, in a
            restarted kernel for example, returns the same batch and adds only what is missing.
        priority, delay, attempts, backoff, timeout, lifo
            As `add` takes them, for all jobs.
        result_ttl
            Seconds for which the batch, its key and its results are kept after its last job has
            ended. Default: 7 days with a key (`Queues`' ``key_ttl``); a day without one, and an
            hour once all results were read.
        correlation_id
            As `add` takes it.

        Returns
        -------
        Batch
            ``batch.results()``, ``for item in batch.as_completed()``, ``await batch``.

        Raises
        ------
        UsageError
            An item or an option cannot be used; the key was used with other items or options;
            workers of this queue have another function; the function cannot be imported.
        PartlyAdded
            The server went away; with a key, the same call adds the rest.

        Examples
        --------
        ``hub.queue("thumbnails").map(resize, paths, key="monday").results()``
        """
        from agentnb.core.queue.mapping import map_items

        unread = _BATCH_TTL if key is None else self._parts.key_ttl
        options = Options.checked(
            priority=priority,
            attempts=attempts,
            backoff=backoff,
            timeout=timeout,
            key=None,
            lifo=lifo,
            remove_on_complete=DEFAULTS.remove_on_complete,
            remove_on_fail=DEFAULTS.remove_on_fail,
            result_ttl=RESULT_TTL,
        )
        ttl = unread if result_ttl is None else seconds("result_ttl", result_ttl, service="queue")
        return map_items(
            cast("Queue", self),
            self._parts,
            f,
            items,
            key=key,
            options=options,
            delay=delay,
            ttl=ttl,
            given_ttl=result_ttl is not None,
            correlation_id=correlation_id,
        )

    @overload
    async def amap(
        self,
        f: Callable[[Job[S]], Coroutine[Any, Any, R]],
        items: Iterable[Any],
        key: str | None = ...,
        **options: Unpack[MapOptions],
    ) -> Batch[R]: ...
    @overload
    async def amap(
        self,
        f: Callable[[Job[S]], R],
        items: Iterable[Any],
        key: str | None = ...,
        **options: Unpack[MapOptions],
    ) -> Batch[R]: ...
    @overload
    async def amap(
        self,
        f: str | None,
        items: Iterable[Any],
        key: str | None = ...,
        **options: Unpack[MapOptions],
    ) -> Batch: ...
    async def amap(  # noqa: PLR0913 - as map
        self,
        f: Callable[[Job[Any]], Any] | str | None,
        items: Iterable[Any],
        key: str | None = None,
        *,
        priority: int = 0,
        delay: float = 0.0,
        attempts: int = 3,
        backoff: float | Backoff | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as map
        lifo: bool = False,
        result_ttl: float | None = None,
        correlation_id: str | None = None,
    ) -> Batch[Any]:
        """Await `map`: the items are read in a thread."""
        options: dict[str, Any] = {
            "priority": priority,
            "delay": delay,
            "attempts": attempts,
            "backoff": backoff,
            "timeout": timeout,
            "lifo": lifo,
            "result_ttl": result_ttl,
            "correlation_id": correlation_id,
        }
        # `timeout` is that of an attempt: it does not count from this call.
        return await self._call_threads.call(partial(self.map, f, items, key, **options))

    def batch(self, id_or_key: str) -> Batch:
        """Return a batch by its id, or by the key that it was made with.

        Raises
        ------
        NotFoundError
            There is none, or it is no longer kept.
        """
        from agentnb.core.queue.batch import Batch

        name = text("id_or_key", id_or_key, service="queue", hint="batch.id, or its key")
        found = self._parts.batches.id_of(name)
        batch: Batch = Batch(cast("Queue", self), self._parts, name if found is None else found)
        batch.counts()
        return batch

    def batches(self, n: int = 20) -> list[Batch]:
        """Return the newest batches that are kept, the newest first.

        Parameters
        ----------
        n
            How many at most.
        """
        from agentnb.core.queue.batch import batches_of

        whole("n", n, service="queue")
        ids = self._parts.batches.newest(n)
        return batches_of(cast("Queue", self), self._parts, ids)

    aadd_many = twin(add_many)
    abatch, abatches = twin(batch), twin(batches)
