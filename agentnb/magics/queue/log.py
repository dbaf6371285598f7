"""What a processor prints, kept as the log of its job."""

from __future__ import annotations

import threading
from typing import TYPE_CHECKING

from agentnb.core.errors import AgentnbError
from agentnb.magics.output import LONGEST

if TYPE_CHECKING:
    from agentnb.core.queue import Job

__all__ = ["JobLog"]


class JobLog:
    """Takes what is printed while a job is processed, and logs it with the job line by line.

    Parameters
    ----------
    job
        The job, as its processor is given it.
    """

    def __init__(self, job: Job) -> None:
        self._job = job
        self._lock = threading.Lock()
        self._open = ""
        self._lost = False

    def write(self, text: str) -> int:
        """Take what is printed."""
        with self._lock:
            *lines, self._open = (self._open + text).split("\n")
            self._open = self._open[-LONGEST:]
        for line in lines:
            self._keep(line)
        return len(text)

    def end(self) -> None:
        """Log the last line, which may not have been finished."""
        with self._lock:
            line, self._open = self._open, ""
        if line:
            self._keep(line)

    def _keep(self, line: str) -> None:
        if self._lost:
            return
        # Of a bar that was drawn over and over on one line the last is kept.
        shown = line.rstrip("\r").rpartition("\r")[2]
        try:
            self._job.log(shown[:LONGEST])
        except AgentnbError as error:
            # To print must not fail; the processor learns of a lost job as it does otherwise.
            self._lost = True
            queue = self._job.queue
            queue.log.warning(
                "what the job prints is not kept any more: %s", error, extra=queue.tell.of()
            )
