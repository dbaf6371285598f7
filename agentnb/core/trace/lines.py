"""The lines of the files of spans: found by their bytes, and read."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from agentnb.core.trace.process import read_process
from agentnb.core.trace.spans import KINDS, Span

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from agentnb.core.trace.process import Process

__all__ = [
    "DROPPED",
    "NOT_WELL",
    "ROOTS",
    "TRACE_ID",
    "GapData",
    "RootLine",
    "Source",
    "SpanLine",
    "gap_in",
    "hits",
    "hits_of",
    "line_at",
    "process_of",
    "root_in",
    "span_in",
    "span_of",
]

TRACE_ID = b'"trace_id":"'
ROOTS = (b'"parent_id":null', b'"kind":"cell"', b'"kind":"work"')
DROPPED = b'{"dropped":'
NOT_WELL = re.compile(rb'"outcome":"(?!ok")')
_ID = re.compile(r"[0-9a-f]{32}")
_SPAN_DIGITS = 16
_KINDS = frozenset(KINDS)
_ANY_TRACE = re.compile(rb'"trace_id":"([0-9a-f]{32})"')
_PROCESS = b'{"process":'
_FEW = 3
_LATEST = 1e11  # seconds since 1970, and milliseconds: beyond it is no date
_UNREADABLE = (ValueError, TypeError, KeyError, RecursionError)


class SpanLine(msgspec.Struct, gc=False):
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
    sampled: bool = True


class RootLine(msgspec.Struct, gc=False):
    """The fields of a line by which a list of traces is made."""

    trace_id: str
    started: float
    parent_id: str | None
    kind: str = "call"


class GapData(msgspec.Struct, gc=False):
    """How many spans were dropped, from and until which time."""

    spans: int
    since: float
    until: float


class _GapLine(msgspec.Struct, gc=False):
    dropped: GapData


class Source(NamedTuple):
    """The bytes of one file, and the process that wrote it."""

    data: bytes
    process: Process | None
    owner: str | None


_decode = msgspec.json.Decoder(SpanLine).decode
_decode_root = msgspec.json.Decoder(RootLine).decode
_decode_gap = msgspec.json.Decoder(_GapLine).decode


def hits(data: bytes, needle: bytes) -> Iterator[int]:
    """Yield where some bytes are found in others."""
    at = data.find(needle)
    while at >= 0:
        yield at
        at = data.find(needle, at + len(needle))


def hits_of(data: bytes, ids: Collection[bytes]) -> Iterator[int]:
    """Yield where one of the trace ids is found."""
    if len(ids) <= _FEW:
        for each in ids:
            yield from hits(data, TRACE_ID + each + b'"')
        return
    for match in _ANY_TRACE.finditer(data):
        if match[1] in ids:
            yield match.start()


def line_at(data: bytes, at: int) -> bytes:
    """Return the line that a place is in."""
    end = data.find(b"\n", at)
    return data[data.rfind(b"\n", 0, at) + 1 : len(data) if end < 0 else end]


def process_of(data: bytes) -> tuple[Process | None, str | None]:
    """Return the process that a file begins with, and its identity."""
    if data.startswith(_PROCESS):
        try:
            found = read_process(msgspec.json.decode(line_at(data, 0)))
        except _UNREADABLE:
            found = None
        if found is not None:
            return found
    return None, None


def root_in(line: bytes) -> RootLine | None:
    """Return the root, the cell or the attempt that a line is; None for another line."""
    try:
        found = _decode_root(line)
    except _UNREADABLE:
        return None
    is_root = found.parent_id is None or found.kind in {"cell", "work"}
    return found if is_root and _ID.fullmatch(found.trace_id) else None


def span_in(line: bytes) -> SpanLine | None:
    """Return what a line says; None where a crash cut it short, or it is not a span's."""
    try:
        found = _decode(line)
    except _UNREADABLE:
        try:  # an undecodable name of a file has lone surrogates, which only `json` takes
            found = msgspec.convert(json.loads(line), SpanLine)
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


def span_of(trace: int, line: SpanLine, process: Process | None) -> Span:
    """Return the span of a line.

    Raises
    ------
    ValueError
        An id is no number.
    """
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
    span.sampled = line.sampled
    return span


def gap_in(line: bytes) -> GapData | None:
    """Return what a line says was dropped; None for another line."""
    try:
        return _decode_gap(line).dropped
    except _UNREADABLE:
        return None
