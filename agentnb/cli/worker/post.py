"""One queue that this process works on, with a processor that may change meanwhile."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING, Any

from huey.exceptions import CancelExecution

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.cli.worker.sources import Source
    from agentnb.core.errors import AgentnbError
    from agentnb.core.queue import Queue

__all__ = ["Post"]

_REFUSED = 5.0


class Post:
    """A queue, its processor, and the threads that process its jobs.

    Parameters
    ----------
    queue, source
        The queue and where its processor comes from.
    concurrency
        How many jobs run at once.
    grace
        Seconds that running jobs have when work ends.
    tell
        Given a line for people.
    """

    def __init__(
        self,
        queue: Queue,
        source: Source,
        *,
        concurrency: int,
        grace: float,
        tell: Callable[[str], object],
    ) -> None:
        self._queue = queue
        self._source = source
        self._concurrency = concurrency
        self._grace = grace
        self._tell = tell
        self._used: object = None
        self._stopping = threading.Event()
        self._stopper: threading.Thread | None = None
        self.orderly = True
        """Whether everything that ran when work ended came to its end."""
        queue.huey.pre_execute("agentnb-processor")(self._before)

    def start(self) -> None:
        """Begin to work."""
        self._stopping.clear()
        self._stopper = None
        self._take_over()
        self._queue.work(concurrency=self._concurrency)

    def stop(self) -> threading.Thread:
        """Begin to stop, and return what can be waited for."""
        if self._stopper is None:
            self._stopping.set()
            self._stopper = threading.Thread(target=self._stop, name="agentnb-stop", daemon=True)
            self._stopper.start()
        return self._stopper

    def _stop(self) -> None:
        self.orderly = self._queue.stop(self._grace)

    def look(self) -> None:
        """Look for a newer processor; while it may not be used, nothing is taken."""
        self._refresh()
        refused = self._source.refused
        if refused is not None and self._stopper is None:
            self._complain(refused)
            self._tell(f"{self._queue.name}  its jobs wait until then")
            self.stop()
        elif refused is None and self._stopper is not None and not self._stopper.is_alive():
            self.start()

    def _refresh(self) -> None:
        error = self._source.refresh()
        if error is not None:
            self._complain(error)
            self._tell(f"{self._queue.name}  the processor from before is used on")
        self._take_over()

    def _take_over(self) -> None:
        processor = self._source.processor
        if processor is not self._used and self._source.refused is None:
            if self._used is not None:
                self._tell(f"{self._queue.name}  the processor was replaced: {processor.name}")
            self._used = processor
            self._queue.process(
                processor.function,
                schema=processor.schema,
                timeout=processor.timeout,
                source=processor.source,
            )

    def _complain(self, error: AgentnbError) -> None:
        self._tell(f"{self._queue.name}  {error}" + (f" ({error.hint})" if error.hint else ""))

    def _before(self, task: Any) -> None:
        """Before each job, in the thread that is to process it."""
        self._refresh()
        if self._source.refused is not None:
            self._queue.huey.storage.hand_back(task.attempt)
            self._stopping.wait(_REFUSED)
            raise CancelExecution(retry=False)
