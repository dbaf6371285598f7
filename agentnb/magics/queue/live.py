"""How far a queue is, below the cell that works on it, while jobs are left."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING

from agentnb.core.background import run_in_thread
from agentnb.core.errors import AgentnbError
from agentnb.magics.progress import Progress

if TYPE_CHECKING:
    from agentnb.core.queue import Queue
    from agentnb.core.queue.worker import Worker

__all__ = ["follow"]

_EVERY = 0.5


def follow(queue: Queue, worker: Worker) -> None:
    """Show a bar until no job is left or the worker has stopped; nothing where none is left now.

    Parameters
    ----------
    queue
        The queue.
    worker
        The worker of this kernel.
    """
    counts = queue.counts()
    first = counts.ended
    if not counts.left:
        return
    # At once, in the cell that asked for it.
    progress = Progress(queue.name, after=0.0)
    progress(0, counts.left)

    def run() -> None:
        try:
            while worker.running:
                time.sleep(_EVERY)
                counts = queue.counts()
                done, left = counts.ended - first, counts.left
                progress(done, done + left)
                if not left:
                    return
        except AgentnbError:
            return  # the server is away, or the hub was closed: the worker says so

    run_in_thread(run, name="queue-bar", log=logging.getLogger("agentnb.queue"))
