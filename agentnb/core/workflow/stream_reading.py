"""Streams of tasks are read: from the beginning, and then as they are written."""

from __future__ import annotations

import datetime as dt
import sys
from concurrent.futures import TimeoutError as NotYet
from time import sleep
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agentnb.core.errors import TaskNotFound, UnavailableError
from agentnb.core.outage import OutageTracker
from agentnb.core.table import Column, Table
from agentnb.core.work.watcher import Watcher
from agentnb.core.workflow.stream_rows import path_of
from agentnb.core.workflow.streams import Chunk, StreamText
from agentnb.core.workflow.transactions import listed

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Iterator, Sequence

    from agentnb.core.callthreads import CallThreads
    from agentnb.core.trace import ServiceLog
    from agentnb.core.workflow.stream_writer import Streams
    from agentnb.core.workflow.transactions import Transaction

__all__ = ["StreamReader"]

_ENDED = {"completed", "failed", "cancelled", "skipped"}
_SOON = {"active", "waiting"}
_PAUSE, _IDLE_PAUSE = 0.04, 0.2  # seconds between two looks: at what runs, and at what does not
_SLICE = 2.0  # seconds after which a reader looks by itself
_AGAIN_SECONDS = 0.5  # between two reads while the database is away
_TAIL = 4  # rows that are read at once from the end
_PAGE = 32  # rows of a read: up to 256 kB each, and one value more
_MOST_MARKS = 200
_HEAD = "select coalesce(max(seq), 0) from {stream} where task_id = :id and seq > 0"
_STATE = "select state from {task} where id = :id"
_ROWS = """
select seq, name, step, first, number, attempt, data from {stream}
where task_id = :id and seq > :seq
"""
_NAMES = """
select name from {stream} where task_id = :id and seq > 0 and number > 0
group by name order by min(seq)
"""
_LAST = """
select seq, first, data from {stream}
where task_id = :id and name = :name and seq > 0 and seq < :before and number > 0
order by seq desc limit :n
"""
_LISTED = """
select name, max(first + number - 1), min(case when number > 0 then first end), sum(size),
  max(attempt), max(created)
from {stream} where task_id = :id and seq > 0 group by name order by min(seq)
"""


class _Row(NamedTuple):
    seq: int
    name: str
    step: str
    first: int
    number: int
    attempt: int
    data: str


class _Page(NamedTuple):
    """Rows that were read at once.

    Attributes
    ----------
    head
        The last row of all streams, before they were read.
    is_full
        Whether there may be more.
    is_last
        Whether the task had ended before they were read.
    """

    rows: list[_Row]
    head: int
    is_full: bool
    is_last: bool


class _Cursor:
    """The place of a reader in the streams of a task.

    Parameters
    ----------
    name
        The only stream that is read; None for all.
    """

    def __init__(self, name: str | None) -> None:
        self.name = name
        self.seq = 0
        self._ends: dict[str, int] = {}

    def chunks(self, page: _Page) -> Iterator[Chunk]:
        """Yield the chunks of a page, and go on behind it."""
        for row in page.rows:
            end = self._ends.get(row.name, 0)
            step = path_of(row.step)[-1] if row.step else None
            self.seq = row.seq
            if not row.number:
                if end >= row.first:
                    end = self._ends[row.name] = row.first - 1
                    yield Chunk(None, end, row.name, row.attempt, reset=True)
                continue
            dropped = row.first - 1 - end
            self._ends[row.name] = row.first + row.number - 1
            for n, value in enumerate(msgspec.json.decode(row.data), row.first):
                yield Chunk(value, n, row.name, row.attempt, step, dropped=dropped)
                dropped = 0
        if not page.is_full:
            self.seq = max(self.seq, page.head)


class StreamReader:
    """Reads the streams of tasks for any number of readers, which hold no connection.

    All readers of a process share one thread, which looks every 40 ms while a task that is read
    runs, and at once after something was written in this process.

    Parameters
    ----------
    streams
        Where they are kept.
    threads
        The threads of awaited calls to the database.
    log
        Told of outages.
    """

    def __init__(self, streams: Streams, threads: CallThreads, log: ServiceLog) -> None:
        self._streams = streams
        self._transactions = streams.transactions
        self._threads = threads
        self._watcher = Watcher(self._look, wake=streams.notify, name="streams", log=log)
        self._outage = OutageTracker(log, "the readers of streams wait", None)

    def read(self, task: str, name: str | None, *, follow: bool) -> Iterator[Chunk]:
        """Yield the chunks of a task, by its id; see `Workflow.stream`."""
        for chunk in self.beats(task, name, follow=follow, every=_SLICE):
            if chunk is not None:
                yield chunk

    def beats(
        self, task: str, name: str | None, *, follow: bool, every: float
    ) -> Iterator[Chunk | None]:
        """Yield what `read` does, and None after some seconds without any, for a display."""
        cursor, answered = _Cursor(name), False
        while True:
            try:
                page = self._page(task, cursor)
            except UnavailableError as error:
                self._away(error, answered=answered and follow)
                sleep(_AGAIN_SECONDS)
                continue
            answered = True
            self._outage.succeeded()
            yield from cursor.chunks(page)
            if page.is_full:
                continue
            if page.is_last or not follow:
                return
            if not self._wait(_unit(task, cursor), every):
                yield None

    async def aread(
        self, task: str, name: str | None, *, follow: bool
    ) -> AsyncGenerator[Chunk, None]:
        """Yield the chunks of a task, awaited; no thread is held while nothing is written."""
        import asyncio

        cursor, answered = _Cursor(name), False
        while True:
            try:
                page = await self._threads.call(self._page, task, cursor)
            except UnavailableError as error:
                self._away(error, answered=answered and follow)
                await asyncio.sleep(_AGAIN_SECONDS)
                continue
            answered = True
            self._outage.succeeded()
            for chunk in cursor.chunks(page):
                yield chunk
            if page.is_full:
                continue
            if page.is_last or not follow:
                return
            with self._watcher.awaiting(_unit(task, cursor)) as one:
                try:
                    if await one.within(_SLICE):
                        one.result()
                except UnavailableError:
                    continue  # the next read meets the same outage

    def tail(self, task: str, limit: int) -> dict[str, StreamText]:
        """Return the end of each stream of a task as text, by its name, in the order of writing.

        Parameters
        ----------
        task
            The id of the task.
        limit
            Characters of each.
        """
        found: dict[str, StreamText] = {}
        with self._transactions.read() as tx:
            names = [row[0] for row in tx.rows(_NAMES, id=task)]
            rows = {name: self._last(tx, task, name, limit) for name in names}
        for name in names:
            text = found[name] = StreamText(limit)
            for first, data in rows[name]:
                if not text.n:
                    text.skip(first - 1)
                for n, value in enumerate(msgspec.json.decode(data), first):
                    text.add(Chunk(value, n, name))
        return found

    def _last(self, tx: Transaction, task: str, name: str, limit: int) -> list[tuple[int, str]]:
        """Return the last rows of a stream, of some characters at least, in their order."""
        rows: list[tuple[int, str]] = []
        before, length = sys.maxsize, 0
        while length < limit:
            page = tx.rows(_LAST, id=task, name=name, before=before, n=_TAIL)
            rows += [(first, data) for _, first, data in page]
            length += sum(len(data) for _, _, data in page)
            if len(page) < _TAIL:
                break
            before = page[-1][0]
        return rows[::-1]

    def table(self, task: str) -> Table:
        """Return the streams of a task as a table, by its id."""
        with self._transactions.read() as tx:
            rows = tx.rows(_LISTED, id=task)
        columns = ("stream", "values", Column("size", "size"), "attempt", "written", "dropped")
        found = [
            (name, n, size, attempt, dt.datetime.fromtimestamp(written, dt.UTC), (first or 1) - 1)
            for name, n, first, size, attempt, written in rows
        ]
        return Table(
            columns, found, empty="nothing was streamed: an agent does, by ctx.write(TEXT)"
        )

    def close(self) -> None:
        """Release those who read."""
        self._watcher.stop()

    def _page(self, task: str, cursor: _Cursor) -> _Page:
        """Return some rows behind a cursor."""
        named = "" if cursor.name is None else " and name = :name"
        values = {} if cursor.name is None else {"name": cursor.name}
        with self._transactions.read() as tx:
            state = tx.row(_STATE, id=task)
            if state is None:
                raise TaskNotFound(
                    f"task {task} is gone: its workflow was deleted",
                    service="workflow",
                    hint="hub.workflows.table() (%workflow list) shows those that are there",
                )
            head = tx.rows(_HEAD, id=task)[0][0]
            found = tx.rows(
                f"{_ROWS}{named} order by seq limit {_PAGE}", id=task, seq=cursor.seq, **values
            )
        rows = [_Row(*row) for row in found]
        return _Page(rows, head, is_full=len(rows) == _PAGE, is_last=state[0] in _ENDED)

    def _away(self, error: UnavailableError, *, answered: bool) -> None:
        # An endless read of a database that does not answer at first would say nothing.
        if not answered:
            raise error
        self._outage.failed(error)

    def _wait(self, unit: str, seconds: float) -> bool:
        """Wait until there is something, and return whether there is within some seconds."""
        future = self._watcher.watch(unit)
        try:
            future.result(seconds)
        except NotYet:
            return False
        except UnavailableError:
            pass  # the next read meets the same outage
        finally:
            self._watcher.forget(unit, future)
        return True

    def _look(self, units: Sequence[str]) -> list[tuple[str, None]]:
        """Return the readers for whom there is something, after a pause if there is none."""
        seen = self._streams.count
        found: set[str] = set()
        soon = False
        for start in range(0, len(units), _MOST_MARKS):
            news, states = self._news(units[start : start + _MOST_MARKS])
            found |= news
            soon = soon or not states.isdisjoint(_SOON)
        if not found:
            self._streams.wait(seen, _PAUSE if soon else _IDLE_PAUSE)
        return [(one, None) for one in found]

    def _news(self, units: Sequence[str]) -> tuple[set[str], set[str]]:
        """Return the readers for whom there is something, and the states of the tasks."""
        readers = [(unit, *_parts(unit)) for unit in units]
        marks, ids = listed({task for _, task, _, _ in readers})
        _, after = listed(readers)
        values: dict[str, Any] = {}
        where = []
        for mark, (_, task, seq, _) in after.items():
            values |= {f"task_{mark}": task, f"seq_{mark}": seq}
            where.append(f"(task_id = :task_{mark} and seq > :seq_{mark})")
        last = (
            "select task_id, name, max(seq) from {stream} "
            f"where {' or '.join(where)} group by task_id, name"
        )
        states = f"select id, state from {{task}} where id in ({marks})"
        with self._transactions.read() as tx:
            known = dict(tx.rows(states, **ids))
            rows = tx.rows(last, **values)
        written: dict[tuple[str, str], int] = {(task, name): seq for task, name, seq in rows}
        for task, _, seq in rows:
            written[task, ""] = max(written.get((task, ""), 0), seq)
        news = {
            unit
            for unit, task, seq, name in readers
            if known.get(task, "completed") in _ENDED or written.get((task, name), 0) > seq
        }
        return news, set(known.values())


def _unit(task: str, cursor: _Cursor) -> str:
    """Return what names a reader: all that are at the same place share it."""
    return f"{task} {cursor.seq} {cursor.name or ''}"


def _parts(unit: str) -> tuple[str, int, str]:
    task, seq, name = unit.split(" ", 2)
    return task, int(seq), name
