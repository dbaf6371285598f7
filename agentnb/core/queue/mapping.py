"""Mapping a function over items: which worker runs it, and the pieces of a batch."""

from __future__ import annotations

import hashlib
import inspect
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import NotFoundError, RejectedError, UsageError
from agentnb.core.queue.batch import Batch
from agentnb.core.queue.functions import CELL, function_of, is_importable, load_function, name_of
from agentnb.core.queue.ids import new_id
from agentnb.core.queue.pieces import Drafts, Filling, checked_items, pieces, rereadable
from agentnb.core.queue.processing import Processor, mark_of
from agentnb.core.ranges import refused, text
from agentnb.core.trace import check_correlation_id

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.queue.batch_store import OpenedBatch
    from agentnb.core.queue.options import Options
    from agentnb.core.queue.parts import QueueParts
    from agentnb.core.queue.pieces import NewJob
    from agentnb.core.queue.queue import Queue

__all__ = ["map_items"]

_KEY = "text that names the items, such as 'monday'"


def map_items(
    queue: Queue,
    parts: QueueParts,
    f: Any,
    items: Any,
    *,
    key: str | None,
    options: Options,
    delay: float,
    ttl: float,
    given_ttl: bool,
    correlation_id: str | None,
) -> Batch[Any]:
    """Add a job for each item, and return the batch; see `Queue.map`."""
    items = checked_items(items)
    if key is not None and not text("key", key, service="queue", hint=f"key: {_KEY}"):
        raise refused("key", _KEY, key, "queue", "key='monday'")
    check_correlation_id(correlation_id, "queue")
    runner = _Runner.of(queue, f)
    runner.check()
    drafts = Drafts(parts, runner.schema, options, options.priority, delay)
    with parts.tracer.span("map", service="queue", queue=queue.name) as span:
        if correlation_id is not None:
            span.correlation_id = correlation_id

        def made() -> Iterator[NewJob]:
            for number, item in enumerate(items):
                yield drafts.make("", number, item, span, runner.function)

        if rereadable(items):
            for _ in made():
                pass
        asked = _asked(drafts, ttl)
        opened = parts.batches.open(new_id(), key, runner.function or "", ttl, asked)
        batch: Batch[Any] = Batch(queue, parts, opened.id)
        batch.key = key
        runner.check_same(key, opened)
        _check_options(batch, opened, asked, given_ttl=given_ttl)
        runner.start()
        _fill(batch, parts, opened, pieces(made()), drafts.options)
        span.attributes = {"queue": queue.name, "batch": batch.id}
    batch.counts()
    return batch


def _asked(drafts: Drafts, ttl: float) -> dict[str, Any]:
    """Return the options of a batch by the names that `Queue.map` has."""
    options = drafts.options
    names = ("priority", "attempts", "backoff", "timeout", "lifo")
    found = {name: getattr(options, name) for name in names}
    return found | {"delay": drafts.delay, "result_ttl": ttl}


def _check_options(
    batch: Batch[Any], opened: OpenedBatch, asked: dict[str, Any], *, given_ttl: bool
) -> None:
    """Refuse a key whose batch has other options; its own time, where none is given, it keeps."""
    for name, value in asked.items():
        there = opened.options.get(name, value)
        if there != value and (given_ttl or name != "result_ttl"):
            raise UsageError(
                f"key {batch.key!r} was used for batch {batch.id} of {batch.queue.name} with "
                f"{name}={there!r}; here {name}={value!r}",
                service="queue",
                hint=f"use {name}={there!r}, or another key for other options",
            )


def _fill(
    batch: Batch[Any],
    parts: QueueParts,
    opened: OpenedBatch,
    cut: Iterator[list[NewJob]],
    options: Options,
) -> None:
    """Add the pieces of a batch, those that are there already left out, and seal it."""
    filling = Filling(
        f"the same call with key={batch.key!r} adds the rest"
        if batch.key
        else f"hub.queue({batch.queue.name!r}).batch({batch.id!r}).cancel() cancels them; "
        "a map with key= can be called again and adds the rest",
        batch.id,
    )
    digest = hashlib.sha256()
    count, first = 0, 0
    with filling.telling():
        for piece in cut:
            mark = _digest(digest, piece) if batch.key else ""
            there = opened.digests[count : count + 1]
            named = [one._replace(id=f"{batch.id}.{first + n}") for n, one in enumerate(piece)]
            if there and there[0] == mark:
                word = "there"
            elif there:
                word = "other"
            else:
                add = partial(parts.batches.add_piece, batch.id, count, mark, first, options)
                word = filling.add(named, add)
            _check_word(batch, word, first, first + len(piece))
            count += 1
            first += len(piece)
        _check_word(batch, parts.batches.seal(batch.id, count), first, first)


def _digest(digest: Any, piece: list[NewJob]) -> str:
    """Return the digest of all items until the end of a piece, whatever the order of names."""
    for one in piece:
        data = msgspec.json.encode(msgspec.json.decode(one.data), order="sorted")
        digest.update(b"%d " % len(data))
        digest.update(data)
    found: str = digest.hexdigest()
    return found


def _others(first: int, last: int) -> str:
    if last - first == 1:
        return f"item {first:,} is another"
    return f"items {first:,} to {last - 1:,} are others"


def _check_word(batch: Batch[Any], word: str, first: int, last: int) -> None:
    """Refuse a batch that is another, was cancelled or is gone."""
    name = batch.queue.name
    if word == "other":
        where = _others(first, last) if last > first else "it has more"
        raise UsageError(
            f"key {batch.key!r} was used for batch {batch.id} of {name} with other items: {where}",
            service="queue",
            hint=f"use another key for other items; "
            f"hub.queue({name!r}).batch({batch.key!r}) has that batch",
        )
    if word == "stopped":
        raise RejectedError(
            f"batch {batch.key or batch.id} of {name} was cancelled when {first:,} of its items "
            f"were added",
            service="queue",
            hint=f"hub.queue({name!r}).batch({batch.key or batch.id!r}).retry(cancelled=True) runs "
            f"them again; then map the same items once more for the rest",
        )
    if word == "gone":
        raise NotFoundError(
            f"batch {batch.key or batch.id} of {name} was removed while its items were added",
            service="queue",
            hint="map the items again",
        )


@dataclass(frozen=True, slots=True)
class _Runner:
    """The function that the jobs of a batch are for, and whether this process runs it.

    Attributes
    ----------
    queue
        The queue.
    function
        The name of the function, or None for any processor of the queue.
    processor
        The processor for this process, None where only others may run it.
    """

    queue: Queue
    function: str | None
    processor: Processor | None
    schema: Any

    @classmethod
    def of(cls, queue: Queue, f: Any) -> _Runner:
        """Return the runner of what was given: a function, a name, or None.

        Raises
        ------
        UsageError
            It is none of these, or cannot be imported.
        """
        current = queue.current
        if f is None:
            if current is None:
                return cls(queue, None, None, None)
            return cls(queue, function_of(current, queue.name), None, current.schema)
        function: Callable[..., Any] = load_function(f) if isinstance(f, str) else f
        if not callable(function):
            raise refused(
                "f", "a function or 'module:function'", f, "queue", "map(function, items)"
            )
        if current is not None and _same(current.function, function):
            name = function_of(current, queue.name)
            return cls(queue, name, None if isinstance(f, str) else current, current.schema)
        mark = mark_of(function)
        processor = Processor(
            function,
            None if mark is None else mark.schema,
            None if mark is None else mark.timeout,
            returns=None if mark is None else mark.returns,
        )
        name = name_of(function)
        return cls(queue, name, None if isinstance(f, str) else processor, processor.schema)

    def check(self) -> None:
        """Refuse a function that a worker of the queue would not run.

        Raises
        ------
        UsageError
            A worker of the queue has another function, or cannot have this one.
        """
        if self.function is None:
            return
        name, here = self.queue.name, self.queue.worker
        if here is not None and self.queue.current is not None:
            working = function_of(self.queue.current, name)
            if working != self.function:
                raise self._other(working, "this process")
            self._check_nameless()
        for worker in self._others():
            where = f"process {worker.pid} on {worker.host}"
            if worker.function not in {"", self.function}:
                raise self._other(worker.function, where)
            if self.processor is not None and not self._elsewhere:
                raise UsageError(
                    f"{self.function} exists in this process only, and queue {name} is worked on "
                    f"by {where}, too",
                    service="queue",
                    hint="use another queue, or a function of a module that the worker can import",
                )

    def _check_nameless(self) -> None:
        """Refuse a lambda in the place of another one, of which jobs are left."""
        current = self.queue.current
        if self.processor is None or current is None or "<" not in (self.function or ""):
            return
        if not _same(current.function, self.processor.function) and self.queue.counts().left:
            raise UsageError(
                f"queue {self.queue.name} has jobs for another {self.function}, which has the same "
                f"name",
                service="queue",
                hint="wait until they have ended, use another queue, or functions with a name",
            )

    @property
    def _elsewhere(self) -> bool:
        """Whether other processes can have the function."""
        if self.processor is None or (self.function or "").startswith(CELL):
            return True
        return is_importable(self.processor.function)

    def _others(self) -> list[Any]:
        here = self.queue.worker
        own = None if here is None else here.owner
        return [one for one in self.queue.workers() if one.owner != own]

    def _other(self, function: str, where: str) -> UsageError:
        name = self.queue.name
        return UsageError(
            f"queue {name} works with {function} ({where}), not with {self.function}",
            service="queue",
            hint=f"use another queue: hub.queue(NAME).map(...); hub.queue({name!r}).workers() "
            f"(%queue workers {name}) shows who works on it",
        )

    def check_same(self, key: str | None, opened: OpenedBatch) -> None:
        """Refuse a key whose batch is for another function."""
        if key is not None and opened.function != (self.function or ""):
            raise UsageError(
                f"key {key!r} was used for batch {opened.id} of {self.queue.name} with "
                f"{opened.function or 'the processor of the queue'}; here "
                f"{self.function or 'the processor of the queue'}",
                service="queue",
                hint="use another key for another function",
            )

    def start(self) -> None:
        """Run the function in this process, unless others run it or are to run it."""
        made, queue = self.processor, self.queue
        if made is None:
            return
        if queue.worker is None and self._others():
            return
        current = queue.current
        if current is None or not _same(current.function, made.function):
            queue.process(
                made.function, schema=made.schema, timeout=made.timeout, returns=made.returns
            )
        if queue.worker is None:
            queue.work()


def _same(one: Any, other: Any) -> bool:
    return inspect.unwrap(one) is inspect.unwrap(other)
