"""Many new jobs, made of items and cut into pieces, each of which is added in one step."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

import msgspec

from agentnb.core.errors import AgentnbError, PartlyAdded, UnavailableError
from agentnb.core.queue.keys import KeyRecord
from agentnb.core.queue.options import DEFAULTS, Message, Options
from agentnb.core.queue.scripts import MOST_PRIORITY
from agentnb.core.ranges import refused, seconds, text, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.queue.parts import QueueParts
    from agentnb.core.trace.spans import Span

__all__ = ["MOST_JOBS", "Drafts", "Filling", "NewJob", "checked_items", "pieces", "rereadable"]

T = TypeVar("T")

MOST_JOBS = 500
"""Maximum number of jobs in a piece: a longer script holds up other clients for too long."""
_MOST_BYTES = 512 * 1024
_KEY = "a function of the item that returns its key"


class NewJob(NamedTuple):
    """A job that is to be added.

    Attributes
    ----------
    id, message
        Its id, and its message as the server keeps it.
    priority, delay
        Its priority, and the seconds before it may run.
    data
        Its data as JSON, which its message holds.
    record
        The record of its idempotency key, or None.
    """

    id: str
    message: bytes
    priority: int
    delay: float
    data: bytes
    record: KeyRecord | None = None


@dataclass(slots=True)
class Drafts:
    """Makes jobs of items, with options that are the same for all of them or a function of each.

    Parameters
    ----------
    parts
        Those of the queue.
    schema
        The type that the items are checked by; None for plain JSON.
    options
        The options that are the same for all.
    priority, delay, key
        The value for all items, or a function that is given one and returns its value.
    """

    parts: QueueParts
    schema: Any
    options: Options
    priority: int | Callable[[Any], Any] = 0
    delay: float | Callable[[Any], Any] = 0.0
    key: Callable[[Any], Any] | None = None

    def __post_init__(self) -> None:
        if not callable(self.priority):
            self.priority = _priority(self.priority)
            self.options = msgspec.structs.replace(self.options, priority=self.priority)
        if not callable(self.delay):
            self.delay = _delay(self.delay)
        if self.key is not None and not callable(self.key):
            raise refused("key", _KEY, self.key, "queue", "key=lambda item: item['order']")
        if self.options == DEFAULTS:
            self.options = DEFAULTS  # which is left out of a message without being compared

    def make(
        self, id_: str, number: int, item: Any, span: Span, function: str | None = None
    ) -> NewJob:
        """Return the job of an item.

        Parameters
        ----------
        id_
            The id of the job.
        number, item
            The item, and its number for errors.
        span
            The span that the job is added in.
        function
            The name of the function that the job is for, or None.

        Raises
        ------
        UsageError
            The item has no JSON form, is too large or not of the schema, or one of its options
            cannot be used.
        """
        try:
            data = self.parts.json.encode(item, self.schema)
            options, priority, delay, record = self.options, self.priority, self.delay, None
            if callable(priority):
                priority = _priority(priority(item))
                options = msgspec.structs.replace(options, priority=priority)
            if callable(delay):
                delay = _delay(delay(item))
            if self.key is not None and (key := self.key(item)) is not None:
                hint = "key=lambda item: item['order']"
                if not text("key", key, service="queue", hint=hint):
                    raise refused("key", "text that names the work", key, "queue", hint)
                options = msgspec.structs.replace(options, key=key)
                record = KeyRecord.of(key, self.parts.key_ttl, data, self.parts.redact)
        except AgentnbError as error:
            raise error.within(f"item {number:,}") from error
        message = Message(
            msgspec.Raw(data), options, span.traceparent, span.correlation_id, function
        )
        return NewJob(id_, msgspec.json.encode(message), priority, delay, data, record)


class Filling:
    """The jobs that a call has added so far, told by the errors that end it.

    Parameters
    ----------
    hint
        The hint of the error of a server that went away; empty for that of the server.
    batch
        The batch whose jobs they are, in the order of their numbers; None for other jobs, whose
        ids are kept.

    Attributes
    ----------
    added
        How many were added.
    """

    def __init__(self, hint: str = "", batch: str | None = None) -> None:
        self.added = 0
        self._hint = hint
        self._batch = batch
        self._first = 0
        self._ids: list[str] = []
        self._piece: list[str] = []

    @contextmanager
    def telling(self) -> Iterator[None]:
        """Tell in each error of the block how many jobs were added before it.

        Raises
        ------
        PartlyAdded
            The server is away.
        """
        try:
            yield
        except UnavailableError as error:
            raise self._partly(error) from error
        except AgentnbError as error:
            if not self.added:
                raise
            made = error.within(f"{self.added:,} jobs were added, and then")
            raise made from error
        except BaseException as error:
            if self.added:
                error.add_note(f"{self.added:,} jobs were added before")
            raise

    def _partly(self, error: UnavailableError) -> PartlyAdded:
        made = PartlyAdded(
            f"{self.added:,} jobs were added, {len(self._piece):,} may have been: {error.message}",
            service="queue",
            hint=self._hint or error.hint,
        )
        numbers = range(self._first, self._first + self.added)
        ids = self._ids if self._batch is None else [f"{self._batch}.{n}" for n in numbers]
        made.added, made.uncertain = list(ids), list(self._piece)
        return made

    def add(self, piece: list[NewJob], call: Callable[[list[NewJob]], T]) -> T:
        """Add a piece by a function, and return what that returns."""
        self._piece = [one.id for one in piece]
        found = call(piece)
        if self._batch is None:
            self._ids += self._piece
        elif not self.added:
            self._first = int(self._piece[0].rpartition(".")[2])
        self.added += len(piece)
        self._piece = []
        return found


def pieces(jobs: Iterable[NewJob]) -> Iterator[list[NewJob]]:
    """Cut jobs into pieces, none of which is large; the same data is cut at the same places."""
    piece: list[NewJob] = []
    size = 0
    for one in jobs:
        if piece and (len(piece) == MOST_JOBS or size + len(one.data) > _MOST_BYTES):
            yield piece
            piece, size = [], 0
        piece.append(one)
        size += len(one.data)
    if piece:
        yield piece


def checked_items(items: Any) -> Iterable[Any]:
    """Return what is an iterable of items.

    Raises
    ------
    UsageError
        It is none, or one of parts that are hardly meant: a text, an object, a frame.
    """
    if isinstance(items, str | bytes | bytearray | Mapping) or not isinstance(items, Iterable):
        hint = "[item] for a single one"
        if isinstance(items, Mapping):
            hint = "list(items.items()), or list(items.values())"
        raise refused("items", _ITEMS, items, "queue", hint)
    if hasattr(items, "to_dict") and hasattr(items, "columns"):
        raise refused("items", _ITEMS, items, "queue", 'frame.to_dict("records")')
    if hasattr(items, "iter_rows") and hasattr(items, "columns"):
        raise refused("items", _ITEMS, items, "queue", "frame.to_dicts()")
    return items


_ITEMS = "a list or another iterable of items"


def rereadable(items: Iterable[Any]) -> bool:
    """Return whether items can be read twice, so that all are checked before one is added."""
    return isinstance(items, Sequence)


def _priority(value: Any) -> int:
    return whole("priority", value, service="queue", least=0, most=MOST_PRIORITY)


def _delay(value: Any) -> float:
    return 0.0 if value is None else seconds("delay", value, service="queue", zero=True)
