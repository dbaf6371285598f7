"""Many queues at once: their jobs by state and their workers, in one round trip."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from agentnb.core.hints import rendered
from agentnb.core.queue import counts
from agentnb.core.queue.registry import WorkerInfo, living

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.queue.counts import Counts
    from agentnb.core.queue.queue import Queue
    from agentnb.core.queue.store import JobStore
    from agentnb.core.redis import RedisClient

__all__ = ["QueueOverview", "overview"]


@dataclass(frozen=True, slots=True)
class QueueOverview:
    """The jobs and the workers of a queue.

    Attributes
    ----------
    queue
        The queue.
    counts
        The number of jobs by state.
    workers
        The workers that are alive.
    where
        The server and the prefix that they were looked for on.
    """

    queue: Queue
    counts: Counts
    workers: list[WorkerInfo]
    where: str

    @property
    def paused(self) -> bool:
        """Whether the queue is paused."""
        return self.counts.is_paused

    @property
    def state(self) -> str:
        """``paused``, ``working``, ``no worker``, or ``no worker: jobs wait``."""
        if self.paused or self.workers:
            return "paused" if self.paused else "working"
        return "no worker: jobs wait" if self.jobs_wait else "no worker"

    @property
    def jobs_wait(self) -> bool:
        """Whether jobs wait or are delayed."""
        return bool(self.counts.waiting + self.counts["delayed"])

    @property
    def why(self) -> str | None:
        """The reason why its jobs wait and what to do; None if they do not, or are worked on."""
        return self.no_progress if self.jobs_wait else None

    @property
    def no_progress(self) -> str | None:
        """The reason why a job of the queue would wait; None if a worker is running."""
        if self.workers and not self.paused:
            return None
        return rendered(self._reason())

    def _reason(self) -> str:
        name, processor = self.queue.name, self.queue.current
        if self.paused:
            return f"{name} is paused: hub.queue({name!r}).resume() (%queue resume {name})"
        missing = f"no worker is running for queue {name} on {self.where}"
        if processor is not None and processor.needs:
            return (
                f"{missing}; its cell is for this kernel only: "
                f"hub.queue({name!r}).work() (%queue work {name})"
            )
        return (
            f"{missing}: start one: agentnb worker {name} --app MODULE, "
            f"or hub.queue({name!r}).work(function) (%queue work {name})"
        )


def overview(redis: RedisClient, queues: Sequence[tuple[Queue, JobStore]]) -> list[QueueOverview]:
    """Return what is known of some queues, in their order, and forget workers that are dead."""
    if not queues:
        return []
    with redis.untraced.pipeline(transaction=False) as pipe:
        pipe.time()
        for _, store in queues:
            counts.ask(pipe, store.base)
            pipe.hgetall(store.workers_key)
        (seconds, micro), *answers = pipe.execute()
    now = int(seconds) * 1000 + int(micro) // 1000
    size = counts.ASKED + 1
    result = []
    for at, (queue, store) in enumerate(queues):
        *counted, workers = answers[at * size : (at + 1) * size]
        result.append(
            QueueOverview(
                queue, counts.counts_from(counted), _workers(store, workers, now), store.where
            )
        )
    return result


def _workers(store: JobStore, answer: dict[bytes, bytes], now: int) -> list[WorkerInfo]:
    alive, dead = living(answer, now)
    if dead:
        store.forget_workers(dead)
    return alive
