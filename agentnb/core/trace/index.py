"""An index of the files of spans: what each holds, and the rows of the list of traces.

It says nothing that the files do not say: a part of a file that it does not know is read, and a
row counts as long as its trace has as many lines in the same files as when it was made. So it may
be missing, old, damaged or of another version.
"""

from __future__ import annotations

import os
import re
import tempfile
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final
from zlib import crc32

import msgspec

from agentnb.core.trace.lines import NOT_WELL, ROOTS, hits, line_at, process_of, root_in, span_in
from agentnb.core.trace.spanfile import span_files

if TYPE_CHECKING:
    from collections.abc import Iterator

__all__ = ["FileEntry", "Row", "SpanIndex"]

_VERSION: Final = 1
_NAME: Final = "traces.index"
_CHECKED: Final = 256
"""Bytes before the end of the known part by which a file is known again."""
_WORTH: Final = 64_000
"""Bytes that have to be new before the index is written for them."""
_FIRST_LINE: Final = 4096
_ANY_TRACE = re.compile(rb'"trace_id":"([0-9a-f]{32})"')


class FileEntry(msgspec.Struct, array_like=True):
    """The known part of a file.

    Attributes
    ----------
    size, crc
        Where it ends, and the checksum of the bytes before that.
    owner
        The identity of the file's process.
    lines
        The number of lines of each trace.
    roots
        When the first root, cell or work of a trace began, and whether one is a cell.
    not_well
        The traces in which something failed, or was begun.
    """

    size: int = 0
    crc: int = 0
    owner: str | None = None
    lines: dict[str, int] = {}
    roots: dict[str, tuple[float, bool]] = {}
    not_well: set[str] = set()


class Row(msgspec.Struct, array_like=True):
    """A trace as the list shows it, and the number of its lines in each file."""

    began: float
    name: str
    ms: float
    spans: int
    processes: int
    failed: int
    lines: dict[str, int] = {}


class _Document(msgspec.Struct):
    version: int
    files: dict[str, FileEntry]
    rows: dict[str, Row]


_decode = msgspec.json.Decoder(_Document).decode


class SpanIndex:
    """Knows the files of a folder as far as they were read, in memory and beside them.

    Parameters
    ----------
    directory
        The folder.
    """

    def __init__(self, directory: Path) -> None:
        self._directory = directory
        self._path = directory / _NAME
        self._stamp: tuple[int, int] | None = None
        self._files: dict[str, FileEntry] = {}
        self._rows: dict[str, Row] = {}
        self._new = 0

    @property
    def files(self) -> dict[str, FileEntry]:
        """The files by their inodes, as `refresh` has found them."""
        return self._files

    def refresh(self) -> None:
        """Read what has come to the files since the index was made."""
        self._load()
        found: dict[str, FileEntry] = {}
        for file in span_files(self._directory):
            try:
                with file.path.open("rb") as opened:
                    key = str(os.fstat(opened.fileno()).st_ino)
                    entry = self._files.get(key, FileEntry())
                    known = _known(opened, entry)
                    if known is None:
                        entry, known = FileEntry(), b""
                        opened.seek(0)
                    data = opened.read()
            except OSError:
                continue  # removed meanwhile, or another user's
            self._new += _read_on(entry, known, data)
            found[key] = entry
        self._files = found

    def row(self, trace_id: str) -> Row | None:
        """Return the row of a trace whose lines are all known to it; None for none."""
        row = self._rows.get(trace_id)
        return row if row is not None and row.lines == self._lines(trace_id) else None

    def keep(self, trace_id: str, row: Row) -> None:
        """Keep the row of a trace of which nothing runs, as its files were at `refresh`."""
        row.lines = self._lines(trace_id)
        self._rows[trace_id] = row
        self._new += _WORTH

    def _lines(self, trace_id: str) -> dict[str, int]:
        return {
            key: entry.lines[trace_id]
            for key, entry in self._files.items()
            if trace_id in entry.lines
        }

    def _load(self) -> None:
        """Take what another process has written, if it was written since."""
        try:
            stat = self._path.stat()
            if self._stamp == (stat.st_ino, stat.st_mtime_ns):
                return
            found = _decode(self._path.read_bytes())
        except (OSError, ValueError, RecursionError):
            return  # none, or none that can be read: the files say it all
        self._stamp = stat.st_ino, stat.st_mtime_ns
        if found.version == _VERSION:
            self._files = {**found.files, **self._files}
            self._rows = {**found.rows, **self._rows}

    def save(self) -> None:
        """Write the index beside the files, where enough is new; whole or not at all."""
        if self._new < _WORTH:
            return
        self._new = 0
        known = {id for entry in self._files.values() for id in entry.lines}  # noqa: A001 - of the field
        rows = {id: row for id, row in self._rows.items() if id in known}  # noqa: A001 - as above
        data = msgspec.json.encode(_Document(_VERSION, self._files, rows))
        with suppress(OSError):  # a full disk, or a folder of another user
            number, name = tempfile.mkstemp(dir=self._directory, prefix=f".{_NAME}")
            try:
                with os.fdopen(number, "wb") as file:
                    file.write(data)
                Path(name).replace(self._path)
            except OSError:
                Path(name).unlink(missing_ok=True)
                return
            stat = self._path.stat()
            self._stamp = stat.st_ino, stat.st_mtime_ns


def _known(file: BinaryIO, entry: FileEntry) -> bytes | None:
    """Return the last bytes of a file's known part; None if the file begins otherwise."""
    start = max(0, entry.size - _CHECKED)
    file.seek(start)
    found = file.read(entry.size - start)
    return found if len(found) == entry.size - start and crc32(found) == entry.crc else None


def _read_on(entry: FileEntry, known: bytes, data: bytes) -> int:
    """Add the whole lines behind the known part of a file to its entry; return their bytes."""
    data = data[: data.rfind(b"\n") + 1]  # a line that was cut short may be written on
    if not data:
        return 0
    if not entry.size:
        entry.owner = process_of(data[:_FIRST_LINE])[1]
    for match in _ANY_TRACE.finditer(data):
        found = match[1].decode()
        entry.lines[found] = entry.lines.get(found, 0) + 1
    for trace_id, began, is_cell in _roots(data):
        first, was_cell = entry.roots.get(trace_id, (began, False))
        entry.roots[trace_id] = min(first, began), was_cell or is_cell
    for match in NOT_WELL.finditer(data):
        line = span_in(line_at(data, match.start()))
        if line is not None and line.outcome != "ok":
            entry.not_well.add(line.trace_id)
    entry.size += len(data)
    entry.crc = crc32((known + data[-_CHECKED:])[-_CHECKED:])
    return len(data)


def _roots(data: bytes) -> Iterator[tuple[str, float, bool]]:
    for needle in ROOTS:
        for at in hits(data, needle):
            line = root_in(line_at(data, at))
            if line is not None:
                yield line.trace_id, line.started, line.kind == "cell"
