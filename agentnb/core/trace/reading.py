"""Reads the spans that the processes of a home have written."""

from __future__ import annotations

import gc
import re
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

import msgspec

from agentnb.core.trace.index import SpanIndex
from agentnb.core.trace.lines import (
    DROPPED,
    TRACE_ID,
    Source,
    SpanLine,
    gap_in,
    hits,
    hits_of,
    line_at,
    process_of,
    span_in,
    span_of,
)
from agentnb.core.trace.settling import settle
from agentnb.core.trace.spanfile import gone_until, span_files

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from pathlib import Path

    from agentnb.core.trace.process import Process
    from agentnb.core.trace.spans import Span

__all__ = ["MOST", "Gap", "Reading", "Root", "SpanReader", "TraceSpans", "read_spans"]

MOST = 50_000
"""The spans of one trace that are read; of more, the first by start."""
_DIGITS = 32
_ID = re.compile(rb"[0-9a-f]{32}")
_SLACK = 60.0
"""Seconds by which the clocks of a file and of a span may differ."""


class Root(NamedTuple):
    """A trace, as the list of all has it.

    Attributes
    ----------
    trace_id, began
        Its id, and when its first root began.
    is_cell
        Whether a root is a cell of a notebook, or a run.
    owner
        The identity of the process of that root; None where the file does not say.
    """

    trace_id: str
    began: float
    is_cell: bool
    owner: str | None


class Gap(NamedTuple):
    """Spans that a process dropped, and when."""

    process: Process | None
    spans: int
    since: float
    until: float


class TraceSpans(NamedTuple):
    """The spans of a trace that were read, by start, and how many there are."""

    spans: list[Span]
    total: int


class Reading(NamedTuple):
    """The spans that were read of some traces.

    Attributes
    ----------
    traces
        The spans, by the ids of the traces that have some.
    gaps
        The spans that were dropped, of any trace.
    unreadable
        How many files could not be read, since they are another user's.
    """

    traces: dict[str, TraceSpans]
    gaps: list[Gap]
    unreadable: int


_Lines = dict[str, tuple[SpanLine, Source]]


class SpanReader:
    """Finds traces in the files of a folder.

    Parameters
    ----------
    directory
        The folder.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.index = SpanIndex(directory)
        self._unreadable = 0

    def trace_ids(self, prefix: str) -> list[str]:
        """Return the ids of the traces that begin with some digits, in order."""
        needle = TRACE_ID + prefix.encode()
        found: set[bytes] = set()
        for source in self._sources():
            for at in hits(source.data, needle):
                start = at + len(TRACE_ID)
                found.add(source.data[start : start + _DIGITS])
        return sorted(digits.decode() for digits in found if _ID.fullmatch(digits))

    def roots(self) -> list[Root]:
        """Return the traces that have a root, a cell or work, newest first."""
        self.index.refresh()
        found: dict[str, Root] = {}
        for entry in self.index.files.values():
            for trace_id, (began, is_cell) in entry.roots.items():
                root = Root(trace_id, began, is_cell, entry.owner)
                found[trace_id] = _earlier(root, found.get(trace_id))
        return sorted(found.values(), key=attrgetter("began"), reverse=True)

    def traces_with(self, key: str, value: str) -> list[tuple[float, str]]:
        """Return the beginnings and the traces of the spans that have an attribute."""
        needle = msgspec.json.encode({key: value.encode("utf-8", "replace").decode()})[1:-1]
        found: list[tuple[float, str]] = []
        for source in self._sources():
            for at in hits(source.data, needle):
                line = span_in(line_at(source.data, at))
                if line is not None and (line.attributes or {}).get(key) == value:
                    found.append((line.started, line.trace_id))
        return found

    def failed_ids(self) -> set[str]:
        """Return the ids of the traces in which something failed, or was begun."""
        self.index.refresh()
        found: set[str] = set()
        return found.union(*(entry.not_well for entry in self.index.files.values()))

    def read(self, ids: Iterable[str], since: float = 0.0) -> Reading:
        """Return the spans of traces.

        Parameters
        ----------
        ids
            The ids of the traces.
        since
            Files that were not changed since this time are left out.
        """
        with _without_collector():
            return self._read(ids, since)

    def _read(self, ids: Iterable[str], since: float) -> Reading:
        expected = {id.encode(): id for id in ids}  # noqa: A001 - the name of the field
        lines: dict[str, _Lines] = {id: {} for id in expected.values()}  # noqa: A001
        gaps: list[Gap] = []
        for source in self._sources(since - _SLACK):
            for at in hits_of(source.data, expected):
                line = span_in(line_at(source.data, at))
                trace = None if line is None else lines.get(line.trace_id)
                if line is None or trace is None:
                    continue
                known = trace.get(line.span_id)
                # The later line wins, but an end is never undone by a beginning.
                if known is None or known[0].open or not line.open:
                    trace[line.span_id] = line, source
            gaps += _gaps(source)
        found = {
            id: TraceSpans(_settled(list(spans.values())), len(spans))
            for id, spans in lines.items()  # noqa: A001
            if spans
        }
        return Reading(found, gaps, self._unreadable)

    def gone_until(self) -> float | None:
        """Return the time before which spans were removed, or None."""
        return gone_until(self.directory)

    def _sources(self, since: float = 0.0) -> Iterator[Source]:
        """Yield the files that were changed since a time, the oldest first."""
        self._unreadable = 0
        for file in sorted(span_files(self.directory), key=attrgetter("changed")):
            if file.changed < since:
                continue
            try:
                data = file.path.read_bytes()
            except FileNotFoundError:
                continue
            except OSError:
                self._unreadable += 1
                continue
            yield Source(data, *process_of(data))


@contextmanager
def _without_collector() -> Iterator[None]:
    """Keep the garbage collector from looking at each of very many objects, all of which stay."""
    was_on = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_on:
            gc.enable()


def read_spans(path: Path, trace_id: str) -> list[Span]:
    """Return the spans of a trace that all processes wrote to a folder, by start time.

    Spans are written every 0.2 seconds; call `Tracer.flush` first to see those of this process.
    """
    found = SpanReader(path).read([trace_id]).traces.get(trace_id)
    return [] if found is None else found.spans


def _earlier(root: Root, known: Root | None) -> Root:
    """Return the earlier of two roots of a trace."""
    if known is None:
        return root
    first = min(root, known, key=attrgetter("began"))
    return first._replace(is_cell=root.is_cell or known.is_cell)


def _settled(found: list[tuple[SpanLine, Source]]) -> list[Span]:
    """Return the spans of a trace, by start; of very many the first."""
    found.sort(key=_start)
    del found[MOST:]
    trace = int(found[0][0].trace_id, 16)
    spans: list[Span] = []
    owners: dict[int, str | None] = {}
    for line, source in found:
        try:
            spans.append(span_of(trace, line, source.process))
        except ValueError:
            continue  # an id that is no number
        if line.open:
            owners[spans[-1].span] = source.owner
    return settle(spans, owners)


def _start(found: tuple[SpanLine, Source]) -> float:
    return found[0].started


def _gaps(source: Source) -> Iterator[Gap]:
    """Yield what a process dropped."""
    for at in hits(source.data, DROPPED):
        gap = gap_in(line_at(source.data, at))
        if gap is not None:
            yield Gap(source.process, gap.spans, gap.since, gap.until)
