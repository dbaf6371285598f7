"""Jobs on a tape: what a replay needs to run the processor again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.codec import decode
from agentnb.core.queue.options import Message
from agentnb.core.tape.units import function_name, trace_of
from agentnb.core.tape.values import dump

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.queue.job import Job
    from agentnb.core.queue.processing import Processor
    from agentnb.core.work.attempt import Attempt

__all__ = ["AddedJobs", "described"]


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


class AddedJobs:
    """The form of a job that was added.

    Parameters
    ----------
    make
        Returns a job of an id and a message.
    """

    def __init__(self, make: Callable[[str, bytes], Job]) -> None:
        self._make = make

    def hold(self, answer: Job) -> tuple[Any, int]:
        """Return the job, which nobody changes, and its size."""
        return answer, len(answer.raw)

    def dump(self, held: Job, redactor: Callable[[str], str]) -> dict[str, Any]:
        """Return the id and the data of a job."""
        return {"id": held.id, "data": dump(decode(held.raw), redactor)}

    def load(self, data: dict[str, Any]) -> Job:
        """Return the job of an id and data; no server knows it."""
        raw = msgspec.Raw(msgspec.json.encode(data["data"]))
        return self._make(data["id"], msgspec.json.encode(Message(raw)))
