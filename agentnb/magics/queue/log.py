"""The output of a processor, kept as the log of its job."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING

from agentnb.magics.output import Logged

if TYPE_CHECKING:
    from agentnb.core.errors import AgentnbError
    from agentnb.core.queue import Job

__all__ = ["job_log"]

_log = logging.getLogger("agentnb.queue")


def job_log(job: Job) -> Logged:
    """Return what logs with a job what is printed while it is processed.

    Parameters
    ----------
    job
        The job, as its processor is given it.
    """

    def lost(error: AgentnbError) -> None:
        # The processor learns of a lost job as it does otherwise.
        data = {"queue": job.queue.name, "job_id": job.id}
        _log.warning("the job's output is not kept: %s", error, extra={"data": data})

    def log(line: str) -> None:
        job.log(line)

    return Logged(log, lost)
