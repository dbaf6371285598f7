"""Many queues at once: their jobs by state and their workers, in one round trip."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from agentnb.core.hints import rendered
from agentnb.core.queue import counts
from agentnb.core.queue.limits import limits_from
from agentnb.core.queue.registry import WorkerInfo, living

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.queue.counts import Counts
    from agentnb.core.queue.queue import Queue
    from agentnb.core.queue.store import JobStore
    from agentnb.core.redis import RedisClient
    from agentnb.core.work.limits import Limit

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
    oldest
        Seconds for which the first waiting job could have run; None where none waits, or where
        it was not asked for.
    silent
        The workers that have missed several heartbeats, and are not known to be dead.
    """

    queue: Queue
    counts: Counts
    workers: list[WorkerInfo]
    where: str
    oldest: float | None = None
    silent: list[WorkerInfo] = field(default_factory=list)

    @property
    def paused(self) -> bool:
        """Whether the queue is paused."""
        return self.counts.is_paused

    @property
    def limits(self) -> list[Limit]:
        """The limits of the queue."""
        return limits_from(self.counts.limits)

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


def overview(
    redis: RedisClient, queues: Sequence[tuple[Queue, JobStore]], *, oldest: bool = False
) -> list[QueueOverview]:
    """Return what is known of some queues, in their order, and forget workers that are dead.

    Parameters
    ----------
    redis, queues
        The client; the queues and their stores.
    oldest
        Whether to read for how long the first waiting job could have run, too.
    """
    if not queues:
        return []
    with redis.untraced.pipeline(transaction=False) as pipe:
        pipe.time()
        for _, store in queues:
            counts.ask(pipe, store.base)
            pipe.hgetall(store.workers_key)
            if oldest:
                pipe.zrange(f"{store.base}:wait", 0, 0)
        (seconds, micro), *answers = pipe.execute()
    now = int(seconds) * 1000 + int(micro) // 1000
    size = counts.ASKED + (2 if oldest else 1)
    parts = [answers[at : at + size] for at in range(0, len(answers), size)]
    ages = (
        _ages(redis, [store for _, store in queues], [one.pop() for one in parts], now)
        if oldest
        else [None] * len(parts)
    )
    found = []
    for (queue, store), (*counted, workers), age in zip(queues, parts, ages, strict=True):
        alive, silent = _workers(store, workers, now)
        known = counts.counts_from(counted)
        found.append(QueueOverview(queue, known, alive, store.where, age, silent))
    return found


def _ages(
    redis: RedisClient, stores: Sequence[JobStore], first: Sequence[list[bytes]], now: int
) -> list[float | None]:
    """Return for how many seconds the first waiting job of each queue could have run."""
    with redis.untraced.pipeline(transaction=False) as pipe:
        for store, ids in zip(stores, first, strict=True):
            name = ids[0].decode() if ids else ""
            pipe.hmget(f"{store.jobs}{name}", "created", "due")
        found = pipe.execute()
    since = [max((int(float(one)) for one in times if one), default=None) for times in found]
    return [
        None if start is None else max(now + store.clock.offset_ms - start, 0) / 1000
        for start, store in zip(since, stores, strict=True)
    ]


def _workers(
    store: JobStore, answer: dict[bytes, bytes], now: int
) -> tuple[list[WorkerInfo], list[WorkerInfo]]:
    alive, silent, dead = living(answer, now)
    if dead:
        store.forget_workers(dead)
    return alive, silent
