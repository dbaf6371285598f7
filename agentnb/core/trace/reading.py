"""Reads the spans that the processes of a home have written."""

from __future__ import annotations

import gc
import json
import re
from contextlib import contextmanager
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agentnb.core.trace.process import read_process
from agentnb.core.trace.settling import settle
from agentnb.core.trace.spanfile import gone_until, span_files
from agentnb.core.trace.spans import KINDS, Span

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator
    from pathlib import Path

    from agentnb.core.trace.process import Process

__all__ = ["MOST", "Gap", "Reading", "Root", "SpanReader", "TraceSpans", "read_spans"]

MOST = 50_000
"""The spans of one trace that are read; of more, the first by start."""
_TRACE_ID = b'"trace_id":"'
_DIGITS = 32
_ID = re.compile(rb"[0-9a-f]{32}")
_SPAN_DIGITS = 16
_KINDS = frozenset(KINDS)
_ANY_TRACE = re.compile(rb'"trace_id":"([0-9a-f]{32})"')
_ROOTS = (b'"parent_id":null', b'"kind":"cell"', b'"kind":"work"')
_PROCESS = b'{"process":'
_DROPPED = b'{"dropped":'
_NOT_WELL = re.compile(rb'"outcome":"(?!ok")')
_FEW = 3
_LATEST = 1e11  # seconds since 1970, and milliseconds: beyond it is no date
_SLACK = 60.0
"""Seconds by which the clocks of a file and of a span may differ."""
_UNREADABLE = (ValueError, TypeError, KeyError, RecursionError)


class _Line(msgspec.Struct, gc=False):
    """A line of a file, as `Span.to_dict` makes it."""

    name: str
    service: str
    started: float
    ms: float
    outcome: str
    attempt: int
    trace_id: str
    span_id: str
    parent_id: str | None
    correlation_id: str | None
    kind: str = "call"
    error: str | None = None
    links: list[str] | None = None
    attributes: dict[str, Any] | None = None
    open: bool = False


class _RootLine(msgspec.Struct, gc=False):
    trace_id: str
    started: float
    parent_id: str | None
    kind: str = "call"


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


class _Gap(msgspec.Struct, gc=False):
    spans: int
    since: float
    until: float


class _GapLine(msgspec.Struct, gc=False):
    dropped: _Gap


class _Source(NamedTuple):
    """The bytes of one file, and the process that wrote it."""

    data: bytes
    process: Process | None
    owner: str | None


_Lines = dict[str, tuple[_Line, _Source]]

_decode = msgspec.json.Decoder(_Line).decode
_decode_root = msgspec.json.Decoder(_RootLine).decode
_decode_gap = msgspec.json.Decoder(_GapLine).decode


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
    """What was read of some traces.

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


class SpanReader:
    """Finds traces in the files of a folder.

    Parameters
    ----------
    directory
        The folder.
    """

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self._unreadable = 0

    def trace_ids(self, prefix: str) -> list[str]:
        """Return the ids of the traces that begin with some digits, in order."""
        needle = _TRACE_ID + prefix.encode()
        found: set[bytes] = set()
        for source in self._sources():
            for at in _hits(source.data, needle):
                start = at + len(_TRACE_ID)
                found.add(source.data[start : start + _DIGITS])
        return sorted(digits.decode() for digits in found if _ID.fullmatch(digits))

    def roots(self) -> list[Root]:
        """Return the traces that have a root, a cell or work, newest first."""
        found: dict[str, Root] = {}
        for source in self._sources():
            for needle in _ROOTS:
                for at in _hits(source.data, needle):
                    line = _root(_line_at(source.data, at))
                    if line is None:
                        continue
                    root = Root(line.trace_id, line.started, line.kind == "cell", source.owner)
                    found[line.trace_id] = _earlier(root, found.get(line.trace_id))
        return sorted(found.values(), key=attrgetter("began"), reverse=True)

    def traces_with(self, key: str, value: str) -> list[tuple[float, str]]:
        """Return the beginnings and the traces of the spans that have an attribute."""
        needle = msgspec.json.encode({key: value.encode("utf-8", "replace").decode()})[1:-1]
        found: list[tuple[float, str]] = []
        for source in self._sources():
            for at in _hits(source.data, needle):
                line = _span_line(_line_at(source.data, at))
                if line is not None and (line.attributes or {}).get(key) == value:
                    found.append((line.started, line.trace_id))
        return found

    def failed_ids(self) -> set[str]:
        """Return the ids of the traces in which something failed, or has no end."""
        found: set[str] = set()
        for source in self._sources():
            for match in _NOT_WELL.finditer(source.data):
                line = _span_line(_line_at(source.data, match.start()))
                if line is not None and line.outcome != "ok":
                    found.add(line.trace_id)
        return found

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
            for at in _hits_of(source.data, expected):
                line = _span_line(_line_at(source.data, at))
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

    def _sources(self, since: float = 0.0) -> Iterator[_Source]:
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
            yield _Source(data, *_process_of(data))


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


def _hits(data: bytes, needle: bytes) -> Iterator[int]:
    """Yield where some bytes are found in others."""
    at = data.find(needle)
    while at >= 0:
        yield at
        at = data.find(needle, at + len(needle))


def _hits_of(data: bytes, ids: Collection[bytes]) -> Iterator[int]:
    """Yield where one of the trace ids is found."""
    if len(ids) <= _FEW:
        for each in ids:
            yield from _hits(data, _TRACE_ID + each + b'"')
        return
    for match in _ANY_TRACE.finditer(data):
        if match[1] in ids:
            yield match.start()


def _line_at(data: bytes, at: int) -> bytes:
    """Return the line that a place is in."""
    end = data.find(b"\n", at)
    return data[data.rfind(b"\n", 0, at) + 1 : len(data) if end < 0 else end]


def _process_of(data: bytes) -> tuple[Process | None, str | None]:
    if data.startswith(_PROCESS):
        try:
            found = read_process(msgspec.json.decode(_line_at(data, 0)))
        except _UNREADABLE:
            found = None
        if found is not None:
            return found
    return None, None


def _root(line: bytes) -> _RootLine | None:
    try:
        found = _decode_root(line)
    except _UNREADABLE:
        return None
    is_root = found.parent_id is None or found.kind in {"cell", "work"}
    return found if is_root and _ID.fullmatch(found.trace_id.encode()) else None


def _earlier(root: Root, known: Root | None) -> Root:
    """Return the earlier of two roots of a trace."""
    if known is None:
        return root
    first = min(root, known, key=attrgetter("began"))
    return first._replace(is_cell=root.is_cell or known.is_cell)


def _span_line(line: bytes) -> _Line | None:
    """Return what a line says; None where a crash cut it short, or it is not a span's."""
    try:
        found = _decode(line)
    except _UNREADABLE:
        try:  # an undecodable name of a file has lone surrogates, which only `json` takes
            found = msgspec.convert(json.loads(line), _Line)
        except _UNREADABLE:
            return None
    is_whole = (
        0 <= found.started < _LATEST
        and 0 <= found.ms < _LATEST
        and found.kind in _KINDS
        and len(found.span_id) == _SPAN_DIGITS
        and (found.parent_id is None or len(found.parent_id) == _SPAN_DIGITS)
    )
    return found if is_whole else None


def _settled(found: list[tuple[_Line, _Source]]) -> list[Span]:
    """Return the spans of a trace, by start; of very many the first."""
    found.sort(key=_start)
    del found[MOST:]
    trace = int(found[0][0].trace_id, 16)
    spans: list[Span] = []
    owners: dict[int, str | None] = {}
    for line, source in found:
        try:
            spans.append(_span(trace, line, source.process))
        except ValueError:
            continue  # an id that is no number
        if line.open:
            owners[spans[-1].span] = source.owner
    return settle(spans, owners)


def _start(found: tuple[_Line, _Source]) -> float:
    return found[0].started


def _span(trace: int, line: _Line, process: Process | None) -> Span:
    # Not by the constructor, and every attribute once: a list of traces reads very many.
    span = Span.__new__(Span)
    span._tracer = None  # noqa: SLF001 - the reader of what it writes
    span.name = line.name
    span.service = line.service
    span.attempt = line.attempt
    span.attributes = line.attributes
    span.outcome = line.outcome
    span.ms = line.ms
    span.kind = line.kind  # type: ignore[assignment]  # one of KINDS
    span.error = line.error
    span.links = tuple(line.links) if line.links else ()
    span.process = process
    span._started = line.started  # noqa: SLF001 - as above
    span.trace = trace
    span.span = int(line.span_id, 16)
    span.parent = int(line.parent_id, 16) if line.parent_id else 0
    span.correlation_id = line.correlation_id
    span.sampled = True
    return span


def _gaps(source: _Source) -> Iterator[Gap]:
    """Yield what a process dropped."""
    for at in _hits(source.data, _DROPPED):
        try:
            gap = _decode_gap(_line_at(source.data, at)).dropped
        except _UNREADABLE:
            continue
        yield Gap(source.process, gap.spans, gap.since, gap.until)
