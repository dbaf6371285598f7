"""``%queue retry``, ``cancel`` and ``rm`` with many jobs at once."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import NotFoundError, RejectedError, UsageError, did_you_mean
from agentnb.magics.base import Message

if TYPE_CHECKING:
    from agentnb.core.queue import Queue, TaskQueue
    from agentnb.magics.grammar import Call

__all__ = ["chosen", "each", "id_of"]

_MANY = 10
_ALL = 10**9

Found = list[tuple["Queue", str]]


def chosen(call: Call, queues: TaskQueue) -> Found:
    """Return the jobs that a line names, or that are in a state.

    Raises
    ------
    UsageError
        It says neither, or both.
    NotFoundError
        There is no such job, or queue.
    """
    verb, name = call.verb, call.options.get("from")
    if bool(call.arguments) == bool(name):
        raise UsageError(
            f"%queue {verb} needs either jobs or --from QUEUE",
            service="queue",
            hint=f"%queue {verb} --from QUEUE --state failed",
        )
    if name:
        return _in_state(call, queues, name)
    if "state" in call.options:
        raise UsageError(
            "--state goes with --from QUEUE",
            service="queue",
            hint=f"%queue {verb} --from QUEUE --state {call.options['state']}",
        )
    given: list[Any] = []
    for one in call.arguments:
        given += one if isinstance(one, list | tuple) else [one]
    # All are looked up first, so that a wrong one stops before anything is done.
    jobs = [queues.find(id_of(one)) for one in given]
    return [(job.queue, job.id) for job in jobs]


def _in_state(call: Call, queues: TaskQueue, name: str) -> Found:

    state = call.options.get("state", "failed" if call.verb == "retry" else None)
    if state is None:
        raise UsageError(
            f"%queue {call.verb} --from {name} needs a --state",
            service="queue",
            hint=f"%queue {call.verb} --from {name} --state waiting",
        )
    names = queues.names()
    if name not in names:
        raise NotFoundError(
            f"there is no queue {name}", service="queue", hint=did_you_mean(name, names, "queues")
        )
    queue = queues.get_queue(name)
    # Looked at in pieces, between which one may have come to stand where it is seen again.
    return [(queue, id_) for id_ in dict.fromkeys(queue.search_ids(state, n=_ALL))]


def each(call: Call, found: Found, deed: str, done: str) -> Message:
    """Do something with each job, and say with how many.

    Parameters
    ----------
    call
        The line.
    found
        The jobs.
    deed
        The method of a `Queue` that does it.
    done
        The participle for the message, such as ``removed``.

    Raises
    ------
    UsageError
        They are many and the line does not say ``--yes``; nothing was done.
    """
    from agentnb.magics.progress import Progress

    if len(found) > _MANY and "yes" not in call.options:
        raise UsageError(
            f"{len(found):,} jobs; nothing was done",
            service="queue",
            hint="the same line with --yes",
        )
    count = missed = 0
    try:
        with Progress(done) as progress:
            for queue, id_ in found:
                try:
                    getattr(queue, deed)(id_)
                except (NotFoundError, RejectedError):
                    # Of many, some will have moved on meanwhile; of those named it is an error.
                    if call.arguments:
                        raise
                    missed += 1
                else:
                    count += 1
                progress(count + missed, len(found))
    except KeyboardInterrupt:
        print(f"{count:,} of {len(found):,} {done}")  # noqa: T201 - what an interrupt leaves
        raise
    return Message(f"{count:,} {done}" + (f"; {missed:,} had gone on meanwhile" if missed else ""))


def id_of(value: Any) -> str:
    """Return a job's id, of a job or of what was typed.

    Raises
    ------
    UsageError
        It is neither.
    """
    found = getattr(value, "id", value)
    if not isinstance(found, str):
        raise UsageError(
            f"a job is named by its id, not by a {type(value).__name__}",
            service="queue",
            hint="%queue jobs QUEUE lists them",
        )
    return found
