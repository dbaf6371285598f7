"""The jobs of a queue, as the fault suite of stores of work tries them."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING

from agentnb.core.queue import Queues

from .work_benches import Seen

if TYPE_CHECKING:
    from collections.abc import Iterator

_NUMBERS = itertools.count(1)


class QueueBench:
    """The store of a queue on the embedded server; see `MemoryBench`."""

    def __init__(self, redis, prefix: str) -> None:
        self.redis, self.prefix = redis, prefix
        self.queue = Queues(redis, prefix=prefix).get_queue("work")

    def store(self, lease: float = 30.0):
        """Return a store as another worker has it."""
        queues = Queues(self.redis, prefix=self.prefix, lease=lease)
        return queues.get_queue("work")._work_store()

    def add(self, *, attempts: int = 3, delay: float = 0.0) -> str:
        """Add a job."""
        return self.queue.add(None, attempts=attempts, delay=delay, backoff=0.01).id

    def look(self, unit: str) -> Seen:
        """Return a job."""
        seen = self.queue._store.show(unit)
        fields = seen.fields
        error = seen.failure.error if seen.failure else None
        value = fields["result"].decode() if "result" in fields else None
        entry, deaths = int(fields.get("entry", 0)), int(fields.get("deaths", 0))
        return Seen(seen.state, entry, seen.attempt, deaths, value, error)

    def value(self, text: str) -> bytes:
        """Return the result of an outcome."""
        return text.encode()

    def note(self, store, claim, line: str) -> bool:
        """Write a line of the job's log."""
        return self.queue._store.note(claim.id, claim.owner, claim.entry, line=line)

    def cancel(self, unit: str) -> None:
        """Cancel a job."""
        self.queue.cancel(unit)

    def retry(self, unit: str) -> None:
        """Let a job run again."""
        self.queue.retry(unit)


def queue_bench(request) -> Iterator[QueueBench]:
    """Yield a bench of a queue of its own."""
    redis = request.getfixturevalue("shared_redis")
    bench = QueueBench(redis, f"bench-{next(_NUMBERS)}")
    yield bench
    bench.queue.queues.close()
