"""Adding many jobs to a queue."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import NotFoundError
from agentnb.core.queue.ids import new_id
from agentnb.core.queue.job import Job
from agentnb.core.queue.pieces import Filling, checked_items, pieces, rereadable
from agentnb.core.trace import check_correlation_id

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentnb.core.queue.keys import AddedJob
    from agentnb.core.queue.pieces import Drafts, NewJob
    from agentnb.core.queue.queue import Queue

__all__ = ["add_many"]


def add_many(queue: Queue, drafts: Drafts, items: Any, correlation_id: str | None) -> list[Job]:
    """Add a job for each item; see `Queue.add_many`."""
    parts = drafts.parts
    items = checked_items(items)
    check_correlation_id(correlation_id, "queue")
    with parts.tracer.span("add_many", service="queue", queue=queue.name) as span:
        if correlation_id is not None:
            span.correlation_id = correlation_id

        def made() -> Iterator[NewJob]:
            for number, item in enumerate(items):
                yield drafts.make(new_id(), number, item, span)

        if rereadable(items):
            for _ in made():
                pass
        jobs: list[Job] = []
        ended = 0
        filling = Filling()
        with filling.telling():
            for piece in pieces(made()):
                found = filling.add(piece, lambda one: parts.store.add_many(one, drafts.options))
                for new, added in zip(piece, found, strict=True):
                    job = Job(queue, parts, added.id, new.message)
                    _check(job, new, added)
                    ended += added.state in {"failed", "cancelled"}
                    jobs.append(job)
        span.attributes = {"queue": queue.name, "jobs": len(jobs)}
    if ended:
        parts.log.warning(
            "%s keys are those of jobs that failed or were cancelled: nothing was added for them",
            f"{ended:,}",
            extra=parts.events.stamp(),
        )
    return jobs


def _check(job: Job, new: NewJob, added: AddedJob) -> None:
    """Refuse a key that was used with other data."""
    if new.record is None or added.id == new.id:
        return
    data = None
    if added.digest is None:  # earlier code has added it
        with suppress(NotFoundError):
            data = job.refresh().raw
    added.check(new.record, data)
