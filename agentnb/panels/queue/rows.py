"""Queues, jobs and workers as the rows of their tables."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Final

from agentnb.core.format import ago, duration, time_left
from agentnb.core.moments import seconds_between
from agentnb.core.queue.counts import ENDED
from agentnb.core.table import Column, names_of
from agentnb.panels.base import Indicator, progress, stacked, state
from agentnb.panels.base.saved import absolute

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.queue import Batch
    from agentnb.core.queue.registry import WorkerInfo
    from agentnb.core.queue.search import JobSummary
    from agentnb.panels.queue.snapshot import QueueSnapshot

__all__ = [
    "BATCH_COLUMNS",
    "JOB_COLUMNS",
    "QUEUE_COLUMNS",
    "WORKER_COLUMNS",
    "batch_row",
    "job_rows",
    "queue_row",
    "worker_row",
]

QUEUE_COLUMNS: Final = (
    "queue",
    "state",
    "jobs",
    "waiting",
    "delayed",
    "active",
    "completed",
    "failed",
    "busy",
)
JOB_COLUMNS: Final = (
    "job",
    "queue",
    "state",
    "progress",
    "data or error",
    "attempt",
    "when",
    Column("took", "duration"),
)
_BESIDE: Final = ("attempt", "when", "took")  # the detail has them
WORKER_COLUMNS: Final = ("worker", "queue", "where", "busy", "last heartbeat", "processor")
BATCH_COLUMNS: Final = ("batch", "progress", "failed", "cancelled", "left", "function")

TONES: Final = {
    "completed": "good",
    "active": "brand",
    "waiting": "dim",
    "paused": "warn",
    "delayed": "dim",
    "failed": "bad",
    "cancelled": "dim",
}
_KEPT: Final = ("completed", "failed")
_LATE = 8.0  # seconds; a heartbeat comes every 5


def queue_row(one: QueueSnapshot) -> tuple[object, ...]:
    """Return the row of a queue."""
    counts = one.counts
    parts = [
        (name, counts[name], TONES[name])
        for name in ("completed", "active", "waiting", "paused", "delayed", "failed", "cancelled")
    ]
    numbers = (counts["delayed"], counts["active"], *(_kept(counts, name) for name in _KEPT))
    return (
        one.queue.name,
        _state_of(one),
        stacked(parts),
        one.counts.waiting,
        *numbers,
        _busy(one, one.workers),
    )


def batch_row(batch: Batch) -> tuple[object, ...]:
    """Return the row of a batch."""
    counts = batch.seen
    left = ""
    if not counts.sealed:
        left = "not all added"
    elif counts.seconds_left is not None:
        left = f"{counts.rate:,.3g}/s, {duration(counts.seconds_left)}"
    return (
        batch.key or batch.id,
        progress(100 * counts.progress, text=f"{counts.ended:,} of {counts.total:,}"),
        counts.failed,
        counts.cancelled,
        left,
        batch.function,
    )


def _kept(counts: dict[str, int], name: str) -> object:
    """Return how many jobs in a state are kept, of all that ever came to it."""
    kept, total = counts[name], counts[f"{name}_total"]
    return Indicator(f"{kept:,} of {total:,}", order=total) if total > kept else kept


def _state_of(one: QueueSnapshot) -> Indicator:
    if one.overview.paused:
        return state("paused", "warn")
    if one.workers:
        return state("working", "good")
    return state("no worker", "bad" if one.overview.jobs_wait else "dim")


def _busy(of: QueueSnapshot, workers: list[WorkerInfo]) -> object:
    slots = sum(one.concurrency for one in workers)
    running = sum(of.running.get(one.name, 0) for one in workers)
    if not slots:
        return ""
    return progress(100 * running / slots, text=f"{running:,} of {slots:,}")


def job_rows(
    jobs: Iterable[JobSummary], *, queue: bool, beside: bool
) -> tuple[tuple[str | Column, ...], list[tuple[object, ...]]]:
    """Return the columns and the rows of jobs.

    Parameters
    ----------
    jobs
        The jobs.
    queue
        Whether they are of several queues, which have a column then.
    beside
        Whether there is less room, since the detail of one stands beside them.
    """
    left_out = {*(() if queue else ("queue",)), *(_BESIDE if beside else ())}
    kept = [at for at, name in enumerate(names_of(JOB_COLUMNS)[0]) if name not in left_out]
    rows = [job_row(one) for one in jobs]
    columns = tuple(JOB_COLUMNS[at] for at in kept)
    return columns, [tuple(cells[at] for at in kept) for cells in rows]


def job_row(one: JobSummary) -> tuple[object, ...]:
    """Return the row of a job, under `JOB_COLUMNS`."""
    return (
        one.id,
        one.queue,
        state(one.state, TONES[one.state]),
        _progress(one),
        _about(one),
        _attempt(one),
        _when(one),
        _took(one),
    )


def _progress(one: JobSummary) -> object:
    said = one.progress
    if said is None:
        return ""
    if isinstance(said, (int, float)) and not isinstance(said, bool):
        return progress(100 * said, tone=TONES[one.state])
    return said


def _attempt(one: JobSummary) -> object:
    if not one.attempt:
        return ""
    of = f" of {one.attempts}" if one.attempts else ""
    again = one.attempt > 1 and one.state != "completed"
    return Indicator(f"{one.attempt}{of}", "warn" if again else "", order=one.attempt)


def _when(one: JobSummary) -> Indicator:
    if one.due is not None:
        left, due = seconds_between(one.now, one.due), one.due.timestamp()
        words = f"in {time_left(left)}" if left >= 1 else "due now"
        return Indicator(words, order=due, saved=f"due {absolute(due)}")
    at = one.finished if one.state in ENDED else one.created
    at = one.started if one.state == "active" else at
    if at is None:
        return Indicator("")
    since = max(seconds_between(at, one.now), 0.0)
    return Indicator(ago(since), order=at.timestamp(), saved=absolute(at.timestamp()))


def _took(one: JobSummary) -> float | None:
    ended = one.now if one.state == "active" else one.finished
    if ended is None or one.started is None or ended < one.started:
        return None
    return seconds_between(one.started, ended)


def _about(one: JobSummary) -> object:
    if one.unkept:
        return Indicator(one.unkept, "warn")
    if one.error and one.state in {"failed", "delayed"}:
        return Indicator(one.error, TONES[one.state] if one.state == "failed" else "warn")
    return one.data


def worker_row(of: QueueSnapshot, one: WorkerInfo) -> tuple[object, ...]:
    """Return the row of one of a queue's workers."""
    return (
        one.name,
        of.queue.name,
        f"{one.kind} {one.pid} on {one.host}, {one.executor}",
        _busy(of, [one]),
        Indicator(
            ago(one.seen),
            "good" if one.seen <= _LATE else "warn",
            dot=True,
            order=one.seen,
            saved=absolute(time.time() - one.seen),
        ),
        one.processor,
    )
