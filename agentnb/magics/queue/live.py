"""How far a queue or a batch is, below the cell that works on it or displays it."""

from __future__ import annotations

import logging
import threading
import time
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any

from agentnb.core.background import run_in_thread
from agentnb.core.errors import AgentnbError
from agentnb.core.forking import new_event
from agentnb.magics.progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterator

    from agentnb.core.queue import Batch, Queue
    from agentnb.core.queue.worker import Worker

__all__ = ["display_batch", "follow", "watching"]

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


class _Bar:
    """A batch as it was seen last: a bar, or a line."""

    def __init__(self, batch: Batch) -> None:
        self._html = batch._repr_html_()  # reads it anew
        self._text = repr(batch)

    def __repr__(self) -> str:
        return self._text

    def _repr_html_(self) -> str:
        return self._html


def display_batch(batch: Batch, shell: Any) -> None:
    """Display a batch, in a kernel as a bar that goes on until all of its jobs have ended."""
    from IPython.display import display

    show: Any = display
    if not hasattr(shell, "kernel"):
        show(_Bar(batch))
        return
    handle = show(_Bar(batch), display_id=True)

    def run() -> None:
        # Until the hub is closed; it is the state of then that stays.
        with suppress(AgentnbError):
            while not batch.seen.done:
                time.sleep(_EVERY)
                batch.counts()
                handle.update(_Bar(batch))

    run_in_thread(run, name="batch-bar", log=logging.getLogger("agentnb.queue"))


@contextmanager
def watching(batch: Batch, shell: Any) -> Iterator[None]:
    """Show a bar while the block waits for longer than a moment; nothing without a kernel."""
    in_cell = threading.current_thread() is threading.main_thread()
    if not (in_cell and hasattr(shell, "kernel")):
        yield
        return
    over = new_event()
    with Progress(batch.queue.name) as progress:

        def run() -> None:
            with suppress(AgentnbError):
                while not over.wait(_EVERY):
                    counts = batch.counts()
                    progress(counts.ended, counts.total)

        watcher = run_in_thread(run, name="batch-progress", log=logging.getLogger("agentnb.queue"))
        try:
            yield
        finally:
            over.set()
            with suppress(Exception):  # its end is no part of the wait
                watcher.result(_EVERY)
