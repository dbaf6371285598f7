"""Finds traces: in the files of a home and in the memory of this process."""

from __future__ import annotations

import sys
from functools import partial
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING

from agentnb.core.errors import NotFoundError, UsageError
from agentnb.core.nearest import did_you_mean
from agentnb.core.trace.listed import Known, ListedTrace, row_of
from agentnb.core.trace.lookup import newest_about
from agentnb.core.trace.process import NOTEBOOK, this_owner, this_process
from agentnb.core.trace.settling import RUNNING, settle
from agentnb.core.trace.spans import Span
from agentnb.core.trace.tree import Trace

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from agentnb.core.trace.index import Row
    from agentnb.core.trace.process import Process
    from agentnb.core.trace.reading import Gap, Reading, Root, SpanReader
    from agentnb.core.trace.spans import Tracer

__all__ = ["Finder"]

_CANDIDATES = 5
_EVERY = 1_000_000
_WHOLE = 32
_BATCH = 20
_HINT = "hub.trace.list() (%trace list) lists the traces"


class Finder:
    """Finds the traces of a home.

    Parameters
    ----------
    tracer
        The tracer of this process, which knows the folder.
    """

    def __init__(self, tracer: Tracer) -> None:
        self._tracer = tracer
        self._made: SpanReader | None = None

    def get(self, prefix: str) -> Trace:
        """Return the trace whose id begins with some digits.

        Raises
        ------
        NotFoundError
            There is none.
        UsageError
            There are several.
        """
        self._tracer.flush()
        ids = self._ids(prefix)
        if len(ids) > 1:
            raise UsageError(
                f"{len(ids)} traces begin with {prefix}",
                service="trace",
                hint=f"one of {', '.join(ids[:_CANDIDATES])}",
            )
        if not ids:
            raise self._unknown(prefix)
        found = next(iter(self._traces(dict.fromkeys(ids, 0.0))), None)
        if found is None:  # its lines are damaged, or were removed just now
            raise self._unknown(prefix)
        return found

    def about(self, kind: str, name: str) -> Trace:
        """Return the newest trace of a job, a workflow or an event.

        Raises
        ------
        NotFoundError
            There is none.
        """
        self._tracer.flush()
        newest = newest_about(kind, name, self._own(), self._reader)
        found = next(iter(self._traces({} if newest is None else {newest: 0.0})), None)
        if found is None:
            raise self._none(f"no trace of {kind} {name:.80}", _HINT)
        return found

    def ended(self) -> Iterator[Trace]:
        """Yield the traces whose cell, run or root has ended, the last first.

        Those of this process come first; in a notebook cells and runs come before other calls.
        """
        self._tracer.flush()
        own = self._own_ended()
        for id in own:  # noqa: A001 - the name of the field
            yield from self._traces({id: 0.0})
        # Those of this process that have left its memory, then those of others.
        seen = {*own, *self._running()}
        roots = [root for root in self._roots() if root.trace_id not in seen]
        in_notebook, owner = this_process().role == NOTEBOOK, this_owner()
        roots.sort(key=lambda root: (in_notebook and not root.is_cell, root.owner != owner))
        for batch in (roots[:1], *(roots[at : at + _BATCH] for at in range(1, len(roots), _BATCH))):
            for trace in self._traces(_began(batch)):
                if all(root.outcome != RUNNING for root in trace.roots):
                    yield trace

    def newest(self, limit: int, failed: bool | None) -> list[Trace]:  # noqa: FBT001 - of `Traces.list`
        """Return the last traces, newest first; of those that failed or did not, if given."""
        self._tracer.flush()
        found: list[Trace] = []
        roots = iter(self._roots() if failed is not True else self._failed_roots())
        batch = limit
        while len(found) < limit and (began := _began(islice(roots, min(batch, sys.maxsize)))):
            found += [
                trace
                for trace, has_failed in self._listed(began)
                if failed is None or has_failed is failed
            ]
            batch *= 2  # every batch reads all files
        if self._reader is not None:
            self._reader.index.save()
        return found[:limit]

    def _listed(self, began: Mapping[str, float]) -> Iterator[tuple[Trace, bool]]:
        """Yield traces for a list, and whether each has failed; of those that are known the row.

        The spans of these are read once somebody asks for those of one.
        """
        rows: dict[str, Row] = {}
        reader = self._reader
        # Else this process has spans that are in no file.
        if reader is not None and self._tracer.failed is None and not self._tracer.dropped:
            found = ((id, reader.index.row(id)) for id in began)  # noqa: A001 - the name of the field
            rows = {id: row for id, row in found if row is not None}  # noqa: A001 - as above
        rest = {id: since for id, since in began.items() if id not in rows}  # noqa: A001 - as above
        made = {trace.id: (trace, read) for trace, read in self._counted(rest)}
        known = Known(partial(self._traces, {id: began[id] for id in rows}))  # noqa: A001 - as above
        for id in began:  # noqa: A001 - as above
            if id in rows:
                yield ListedTrace(id, rows[id], known, self._tracer.redactor), bool(rows[id].failed)
            elif id in made:
                trace, read = made[id]
                row = row_of(trace)
                if reader is not None and read == len(trace.spans) and not _runs(trace):
                    reader.index.keep(id, row)
                yield trace, bool(row.failed)

    @property
    def _reader(self) -> SpanReader | None:
        if self._tracer.path is None:
            return None
        if self._made is None:
            from agentnb.core.trace.reading import SpanReader

            self._made = SpanReader(self._tracer.path)
        return self._made

    def _own(self) -> Iterator[Span]:
        """Yield the spans of this process's memory, the running ones last."""
        yield from self._tracer.recent(_EVERY)
        yield from self._tracer.running()

    def _ids(self, prefix: str) -> Sequence[str]:
        if len(prefix) == _WHOLE and any(span.trace_id == prefix for span in self._own()):
            return [prefix]
        found = {span.trace_id for span in self._own() if span.trace_id.startswith(prefix)}
        if self._reader is not None:
            found.update(self._reader.trace_ids(prefix))
        return sorted(found)

    def _running(self) -> dict[str, float]:
        """Return the traces of which a cell, a run or a root runs here, and since when."""
        found: dict[str, float] = {}
        for span in self._tracer.running():
            if span.kind == "cell" or not span.parent:
                found[span.trace_id] = min(span.began, found.get(span.trace_id, span.began))
        return found

    def _own_ended(self) -> list[str]:
        """Return the traces of this process whose cell or run has ended, in a script the roots.

        The work that one has caused, such as a thread, may still run.
        """
        in_notebook = this_process().role == NOTEBOOK
        began: dict[str, float] = {}
        for span in reversed(self._tracer.recent(_EVERY)):
            if span.kind == "cell" or (not span.parent and not in_notebook):
                began[span.trace_id] = min(span.began, began.get(span.trace_id, span.began))
        running = self._running()
        found = [id for id, since in began.items() if running.get(id, since) >= since]  # noqa: A001 - as above
        if in_notebook:  # a run in a thread of an older cell may have ended later
            found.sort(key=began.__getitem__, reverse=True)
        return found

    def _roots(self) -> list[Root]:
        """Return all traces, newest first."""
        from agentnb.core.trace.reading import Root

        found: dict[str, Root] = {}
        if self._reader is not None:
            found = {root.trace_id: root for root in self._reader.roots()}
        for span in self._own():
            is_cell = span.kind == "cell"
            if (is_cell or not span.parent) and span.trace_id not in found:
                found[span.trace_id] = Root(span.trace_id, span.began, is_cell, this_owner())
        return sorted(found.values(), key=attrgetter("began"), reverse=True)

    def _failed_roots(self) -> list[Root]:
        """Return the traces that may have failed, newest first."""
        failed = {span.trace_id for span in self._own() if span.outcome != "ok"}
        if self._reader is not None:
            failed |= self._reader.failed_ids()
        return [root for root in self._roots() if root.trace_id in failed]

    def _traces(self, ids: Mapping[str, float]) -> list[Trace]:
        """Return some traces, in the order of their ids; see `_counted`."""
        return [trace for trace, _ in self._counted(ids)]

    def _counted(self, ids: Mapping[str, float]) -> list[tuple[Trace, int]]:
        """Return some traces, in the order of their ids, and how many spans were in files.

        Parameters
        ----------
        ids
            The ids, and when the traces began: files that were last written before are not read.
        """
        reading = None
        if self._reader is not None and ids:
            reading = self._reader.read(ids, min(ids.values()))
        written = {} if reading is None else reading.traces
        own: dict[str, list[Span]] = {id: [] for id in ids}  # noqa: A001 - the name of the field
        for span in self._own():
            if span.trace_id in own:
                own[span.trace_id].append(span)
        made = []
        for id in ids:  # noqa: A001 - as above
            found = written.get(id)
            spans = self._with_own([] if found is None else found.spans, own[id])
            if spans:
                total = len(spans) if found is None else max(found.total, len(spans))
                notes = self._notes(spans, total, reading)
                trace = Trace(id, spans, notes=notes, redactor=self._tracer.redactor)
                made.append((trace, 0 if found is None else found.total))
        return made

    def _with_own(self, spans: list[Span], own: list[Span]) -> list[Span]:
        """Add the spans of this process's memory that are in no file, with secrets masked."""
        if not own:
            return spans
        known = {span.span for span in spans}
        running: dict[int, str | None] = {}
        for span in own:
            if span.span in known:
                continue
            copy = Span.from_dict(span.to_dict(self._tracer.redactor))
            copy.process = this_process()
            if span in self._tracer.running():
                running[copy.span] = this_owner()
            spans.append(copy)
        return settle(sorted(spans, key=attrgetter("began")), running)

    def _notes(self, spans: list[Span], total: int, reading: Reading | None) -> list[str]:
        """Return lines about what a trace may lack."""
        notes = []
        if total > len(spans):
            notes.append(f"only the first {len(spans):,} of {total:,} spans are shown")
        if self._tracer.failed is not None:
            notes.append(f"spans of this process are no longer written: {self._tracer.failed}")
        if reading is None or self._reader is None:
            return notes
        began, ended = spans[0].began, max(span.ended for span in spans)
        gone = self._reader.gone_until()
        if gone is not None and gone >= began:
            notes.append(f"older spans are gone ({self._tracer.retention})")
        for process, number in _dropped(reading.gaps, began, ended).items():
            which = "a process" if process is None else f"{process.role} (pid {process.pid})"
            notes.append(f"{number:,} spans of {which} were dropped: too many at once")
        if reading.unreadable:
            files = "a file" if reading.unreadable == 1 else f"{reading.unreadable} files"
            notes.append(f"{files} of another user could not be read")
        return notes

    def _unknown(self, prefix: str) -> NotFoundError:
        near = did_you_mean(prefix, [root.trace_id[: len(prefix)] for root in self._roots()])
        return self._none(f"no trace {prefix}", near or _HINT)

    def _none(self, what: str, hint: str) -> NotFoundError:
        if self._reader is not None and self._reader.gone_until() is not None:
            hint += f"; older spans are gone ({self._tracer.retention})"
        return NotFoundError(f"{what} in this home", service="trace", hint=hint)


def _runs(trace: Trace) -> bool:
    return any(span.outcome == RUNNING for span in trace.spans)


def _began(roots: Iterable[Root]) -> dict[str, float]:
    return {root.trace_id: root.began for root in roots}


def _dropped(gaps: Sequence[Gap], began: float, ended: float) -> dict[Process | None, int]:
    """Return how many spans each process dropped in a time."""
    found: dict[Process | None, int] = {}
    for gap in gaps:
        if gap.since <= ended and gap.until >= began:
            found[gap.process] = found.get(gap.process, 0) + gap.spans
    return found
