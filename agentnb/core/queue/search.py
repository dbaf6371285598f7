"""Search of jobs by state and text, however many there are and however large."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, NamedTuple

import msgspec

from agentnb.core import ranges
from agentnb.core.codec import Unkept
from agentnb.core.failure import Failure
from agentnb.core.moments import moment_of
from agentnb.core.queue.counts import ENDED
from agentnb.core.queue.options import DEFAULTS, Message
from agentnb.core.queue.snapshot import progress_of
from agentnb.core.redis.script import Script
from agentnb.core.work.identity import describe

if TYPE_CHECKING:
    import datetime as dt
    from collections.abc import Callable

    from agentnb.core.queue.parts import QueueParts

__all__ = ["JobPage", "JobSummary", "search", "search_ids"]

SHOWN: Final = 300
"""Characters of a job's data that are shown."""
_FETCHED = 1024
_CHUNK = 500
_CHUNK_BYTES = 4_000_000
_SETS = {"waiting": "wait", "paused": "wait"}
_DATA = b'{"data":'

# ARGV: set, first, last, 1 for the newest first, text in lower case, the same as within JSON, bytes
# to fetch of a message, bytes to look at before it ends, the offset of the clock in ms.
# Gives: clock in ms, whether paused, how many were looked at, how many there are, then of each that
# was found: id, score, the message's size and beginning, attempt, created, started, finished,
# progress, owner, error, unkept.
FIND = Script("""
local base, jobs = KEYS[1], KEYS[2]
local time = redis.call('TIME')
local now = time[1] * 1000 + math.floor(time[2] / 1000) + ARGV[9]
local text, within = ARGV[5], ARGV[6]
local function holds(field, wanted)
  return field and string.find(string.lower(field), wanted, 1, true)
end
local function found(id, message, error)
  if text == '' or holds(id, text) or holds(error, within) then return true end
  if not message or not holds(message, text) then return false end
  -- Behind the data there are the options and the trace.
  return holds(string.match(message, '^{"data":(.*),"traceparent":"') or message, text)
end
local read = ARGV[4] == '1' and 'ZREVRANGE' or 'ZRANGE'
local ids = redis.call(read, base .. ':' .. ARGV[1], ARGV[2], ARGV[3], 'WITHSCORES')
local all = {now, redis.call('HEXISTS', base .. ':meta', 'paused'), 0,
  redis.call('ZCARD', base .. ':' .. ARGV[1])}
local bytes = 0
for i = 1, #ids, 2 do
  local id = ids[i]
  local f = redis.call('HMGET', jobs .. id, 'message', 'attempt', 'created', 'started',
    'finished', 'progress', 'owner', 'error', 'unkept')
  local message = f[1] or ''
  if found(id, f[1], f[8]) then
    f[1] = string.sub(message, 1, ARGV[7])
    table.insert(all, {id, ids[i + 1], #message, unpack(f, 1, 9)})
  end
  all[3] = all[3] + 1
  bytes = bytes + #message
  if bytes > tonumber(ARGV[8]) then break end
end
return all
""")


@dataclass(frozen=True, slots=True)
class JobSummary:
    """A job in a list.

    Attributes
    ----------
    id, queue, state
        Which job, and where it stands.
    attempt, attempts
        How many there have been, of how many; None where its message is too large to tell.
    data
        The beginning of its data, as JSON, without secrets.
    error
        Why its latest failed attempt failed, or empty.
    progress
        The latest progress: a fraction from 0 to 1, another value, or None.
    created, started, finished, due
        By the server's clock, as aware datetimes in UTC; None for what has not been.
    now
        The server's clock.
    worker
        The short name of its worker, or empty.
    unkept
        Description of a result that could not be kept, or empty.
    """

    id: str
    queue: str
    state: str
    attempt: int
    attempts: int | None
    data: str
    error: str
    progress: Any
    created: dt.datetime | None
    started: dt.datetime | None
    finished: dt.datetime | None
    due: dt.datetime | None
    now: dt.datetime
    worker: str
    unkept: str = ""


@dataclass(slots=True)
class JobPage:
    """The jobs that a search has found.

    Attributes
    ----------
    jobs
        The jobs.
    looked, total
        How many were looked at for that, of how many in that state.
    complete
        Whether there are no others.
    """

    jobs: list[Any] = field(default_factory=list)
    looked: int = 0
    total: int = 0
    complete: bool = True


def search(
    parts: QueueParts, state: str, text: str = "", *, n: int = 100, most: int = 20_000
) -> JobPage:
    """Return jobs of a state, the newest of those that have ended first, the others as they run.

    Parameters
    ----------
    parts
        Those of the queue.
    state
        ``waiting`` (or ``paused``, which is the same jobs), ``delayed``, ``active``,
        ``completed``, ``failed`` or ``cancelled``.
    text
        Text that the id, the data as JSON, or the error contains; the case of ASCII letters is
        ignored.
    n
        How many to return at most.
    most
        How many to look at for a text.

    Returns
    -------
    JobPage
        Its `jobs` are `JobSummary` objects.
    """
    return _search(parts, state, _checked(text), n, most, _summary)


def search_ids(parts: QueueParts, state: str, text: str = "", *, n: int = 100_000) -> JobPage:
    """Return the ids of jobs; as `search`, for all of them."""
    return _search(parts, state, _checked(text), n, n, lambda _parts, row, _read: row.id)


def _checked(text: str) -> str:
    return ranges.text("text", text, service="queue").strip()


class _Row(NamedTuple):
    """A job as the server gives it."""

    state: str
    now: float
    id: str
    score: float
    size: int
    message: bytes
    attempt: bytes | None
    created: bytes | None
    started: bytes | None
    finished: bytes | None
    progress: bytes | None
    owner: bytes | None
    error: bytes | None
    unkept: bytes | None


def _search(
    parts: QueueParts,
    state: str,
    text: str,
    n: int,
    most: int,
    make: Callable[[QueueParts, _Row, Message | None], Any],
) -> JobPage:
    """Search a chunk at a time, so that the server is never busy for long."""
    found = JobPage()
    lower = text.encode("utf-8", "replace").lower()
    escaped = msgspec.json.encode(lower.decode("utf-8", "replace"))[1:-1]
    where = _SETS.get(state, state)
    newest = int(state in ENDED)
    while len(found.jobs) < n and (not text or found.looked < most):
        chunk = min(_CHUNK, most - found.looked if text else n - len(found.jobs))
        span = (where, found.looked, found.looked + chunk - 1, newest)
        answer = parts.store.run(FIND, [*span, lower, escaped, _FETCHED, _CHUNK_BYTES])
        now, paused, looked, found.total, *rows = answer
        word = ("paused" if paused else "waiting") if where == "wait" else state
        for id_, score, size, *fields in rows:
            row = _Row(word, int(now) / 1000, id_.decode(), float(score), int(size), *fields)
            read = _read(row.message) if row.size <= _FETCHED else None
            if not text or _holds(row, read, lower):
                found.jobs.append(make(parts, row, read))
        found.looked += int(looked)
        if not looked or found.looked >= found.total:
            break
    found.complete = found.looked >= found.total and len(found.jobs) <= n
    del found.jobs[n:]
    return found


def _holds(row: _Row, read: Message | None, text: bytes) -> bool:
    """Return whether a job really holds a text, which the server also finds beside the data."""
    if row.size > _FETCHED:
        return True
    failure = Failure.read(row.error) if row.error else None
    text_of_error = f"{failure.error}\n{failure.traceback}" if failure else ""
    data = bytes(read.data) if read else row.message
    return any(text in one.lower() for one in (row.id.encode(), data, text_of_error.encode()))


def _summary(parts: QueueParts, row: _Row, read: Message | None) -> JobSummary:
    data = bytes(read.data) if read else row.message.removeprefix(_DATA)
    return JobSummary(
        id=row.id,
        queue=parts.name,
        state=row.state,
        attempt=int(row.attempt or 0),
        attempts=(read.options or DEFAULTS).attempts if read else None,
        data=parts.redact(data.decode("utf-8", "replace"))[:SHOWN],
        error=Failure.read(row.error).error if row.error else "",
        progress=progress_of(row.progress),
        created=_moment(row.created),
        started=_moment(row.started),
        finished=_moment(row.finished),
        due=moment_of(row.score / 1000) if row.state == "delayed" else None,
        now=moment_of(row.now),
        worker=describe(row.owner.decode()) if row.owner and row.state == "active" else "",
        unkept=str(Unkept.read(row.unkept[1:])) if row.unkept else "",
    )


def _read(message: bytes) -> Message | None:
    try:
        return msgspec.json.decode(message, type=Message)
    except msgspec.MsgspecError:
        return None  # of another program; shown as it is


def _moment(milliseconds: bytes | None) -> dt.datetime | None:
    return moment_of(int(milliseconds) / 1000) if milliseconds else None
