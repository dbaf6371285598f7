"""The last failed jobs of many queues, in one round trip."""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.failure import Failure
from agentnb.core.redis.script import Script
from agentnb.core.trace.context import trace_id_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agentnb.core.queue.store import JobStore
    from agentnb.core.redis import RedisClient

__all__ = ["FailedJob", "failed_jobs"]

# ARGV: how many. Gives of each job: id, the ms at which it failed, error, traceparent or ''.
# The traceparent is behind the data, which may hold another.
_FIND = Script("""
local found = {}
local ids = redis.call('ZREVRANGE', KEYS[1] .. ':failed', 0, ARGV[1] - 1)
for _, id in ipairs(ids) do
  local f = redis.call('HMGET', KEYS[2] .. id, 'finished', 'error', 'message')
  local message = f[3] or ''
  local trace = string.match(message, '^{"data":.*,"traceparent":"(%x+%-%x+%-%x+%-%x+)"')
  table.insert(found, {id, f[1] or '', f[2] or '', trace or ''})
end
return found
""")


class FailedJob(NamedTuple):
    """A job that has failed for good.

    Attributes
    ----------
    id, queue
        Which job.
    error
        Class and message of its last error.
    when
        When it failed, in seconds since the epoch.
    trace_id
        The trace that it belongs to, or None.
    """

    id: str
    queue: str
    error: str
    when: float
    trace_id: str | None


def failed_jobs(
    redis: RedisClient, queues: Sequence[tuple[str, JobStore]], n: int
) -> list[FailedJob]:
    """Return the last `n` failed jobs of each of some queues, newest first."""
    if not queues or n < 1:
        return []
    with redis.untraced.pipeline(transaction=False) as pipe:
        for _, store in queues:
            pipe.execute_command("EVAL", _FIND.text, 2, *store.keys, n)
        answers = pipe.execute()
    found = [
        FailedJob(
            id.decode(),
            name,
            Failure.read(error).error if error else "unknown",
            int(finished) / 1000 if finished else 0.0,
            trace_id_of(trace.decode()),
        )
        for (name, _), rows in zip(queues, answers, strict=True)
        for id, finished, error, trace in rows  # noqa: A001 - as the field
    ]
    return sorted(found, key=lambda one: one.when, reverse=True)
