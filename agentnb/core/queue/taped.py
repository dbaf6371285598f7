"""Jobs on a tape: what a replay needs to run the processor again."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.codec import decode
from agentnb.core.queue.batch_store import SeenBatch
from agentnb.core.queue.options import Message
from agentnb.core.tape.units import function_name, trace_of
from agentnb.core.tape.values import dump, load

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.queue.batch import Batch
    from agentnb.core.queue.job import Job
    from agentnb.core.queue.processing import Processor
    from agentnb.core.work.attempt import Attempt

__all__ = ["AddedJobs", "ManyJobs", "MappedBatch", "described"]


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


class ManyJobs:
    """The form of jobs that were added together.

    Parameters
    ----------
    make
        As that of `AddedJobs`.
    """

    def __init__(self, make: Callable[[str, bytes], Job]) -> None:
        self._one = AddedJobs(make)

    def hold(self, answer: list[Job]) -> tuple[Any, int]:
        """Return the jobs, and their size."""
        return list(answer), sum(len(job.raw) for job in answer)

    def dump(self, held: list[Job], redactor: Callable[[str], str]) -> list[dict[str, Any]]:
        """Return the id and the data of each job."""
        return [self._one.dump(job, redactor) for job in held]

    def load(self, data: list[dict[str, Any]]) -> list[Job]:
        """Return the jobs of ids and data."""
        return [self._one.load(one) for one in data]


class MappedBatch:
    """The form of a batch: its id, and what was seen of it.

    Parameters
    ----------
    make
        Returns a batch of an id and what was seen of it.
    """

    def __init__(self, make: Callable[[str, SeenBatch], Batch[Any]]) -> None:
        self._make = make

    def hold(self, answer: Batch[Any]) -> tuple[Any, int]:
        """Return the id and what was seen, which nobody changes."""
        seen = answer._seen  # noqa: SLF001 - of its own package
        return (answer.id, seen), 0

    def dump(self, held: tuple[str, SeenBatch], redactor: Callable[[str], str]) -> dict[str, Any]:
        """Return the id, and the fields of what was seen."""
        number, seen = held
        return {"id": number, "seen": dump(dict(zip(seen._fields, seen, strict=True)), redactor)}

    def load(self, data: dict[str, Any]) -> Batch[Any]:
        """Return the batch; no server knows it."""
        return self._make(data["id"], SeenBatch(**load(data["seen"])))
