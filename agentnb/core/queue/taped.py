"""Jobs on a tape: what a replay needs to run the processor again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.codec import decode
from agentnb.core.tape.units import function_name, trace_of

if TYPE_CHECKING:
    from agentnb.core.queue.job import Job
    from agentnb.core.queue.processing import Processor
    from agentnb.core.work.attempt import Attempt

__all__ = ["described"]


def described(job: Job, attempt: Attempt, processor: Processor | None) -> dict[str, Any]:
    """Return a job as the unit of a tape."""
    return {
        "kind": "job",
        "id": job.id,
        "queue": job.queue.name,
        "attempt": attempt.claim.attempt,
        "attempts": attempt.claim.attempts,
        "data": decode(job.raw),
        "function": "" if processor is None else function_name(processor.function),
        "trace_id": trace_of(attempt.context),
    }
