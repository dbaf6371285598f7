"""The files of spans: named by their process, rotated, and kept by bytes and days."""

from __future__ import annotations

import json
import os
import re
import stat
from contextlib import suppress
from time import time
from typing import TYPE_CHECKING, NamedTuple

from agentnb.core.trace.files import LinesFile, encode, is_running
from agentnb.core.trace.process import process_line, read_process, this_owner

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

__all__ = ["KEEP_BYTES", "KEEP_DAYS", "STEM", "SpanFile", "gone_until", "owner_of", "span_files"]

STEM = "spans"
KEEP_BYTES = 200_000_000
KEEP_DAYS = 7.0
_ROTATED = 4
_NAME = re.compile(r"spans-(?P<pid>\d{1,10})(-[0-9a-f]{6})?\.jsonl(?P<rotated>\.\d)?")
_GONE = "spans.gone"
_FIRST_LINE = 4096
_DAY = 86_400.0
_SILENT = 3600.0
"""Seconds without a line after which a process of another host is taken for ended."""


class SpanFileInfo(NamedTuple):
    """A file of spans."""

    path: Path
    pid: int
    rotated: bool
    size: int
    changed: float


def span_files(directory: Path) -> Iterator[SpanFileInfo]:
    """Yield the files of spans in a folder, in no order."""
    from pathlib import Path

    with suppress(OSError), os.scandir(directory) as entries:
        for entry in entries:
            named = _NAME.fullmatch(entry.name)
            if named is None:
                continue  # a file of somebody else's
            try:
                found = entry.stat()
            except OSError:
                continue  # another process removed it first
            if not stat.S_ISREG(found.st_mode):
                continue  # a device may have no end
            yield SpanFileInfo(
                Path(entry.path),
                int(named["pid"]),
                named["rotated"] is not None,
                found.st_size,
                found.st_mtime,
            )


def gone_until(directory: Path) -> float | None:
    """Return the time before which spans were removed from a folder, or None."""
    try:
        return (directory / _GONE).stat().st_mtime
    except OSError:
        return None


class SpanFile(LinesFile):
    """Appends the spans of a process to ``spans-<pid>.jsonl``, whose first line is the process.

    A full file is set aside as ``.jsonl.1``, and what was there as ``.jsonl.2``, up to 4. Files
    are removed where all of a folder take more than `keep_bytes`, or after `keep_days`: the oldest
    of dead processes first, then the oldest that live ones have set aside.

    Parameters
    ----------
    directory
        The folder; made when it is missing.
    max_bytes
        The cap on one file, in bytes.
    keep_bytes
        The cap on all files of the folder, in bytes.
    keep_days
        The age after which files are removed, in days.
    """

    def __init__(
        self,
        directory: Path,
        *,
        max_bytes: int,
        keep_bytes: int = KEEP_BYTES,
        keep_days: float = KEEP_DAYS,
    ) -> None:
        super().__init__(directory, STEM, max_bytes=max_bytes)
        self._keep_bytes = keep_bytes
        self._keep_seconds = keep_days * _DAY
        self._mark = ""

    @property
    def path(self) -> Path:
        """The file of the running process."""
        return self.directory / f"{STEM}-{os.getpid()}{self._mark}.jsonl"

    def _prepare(self) -> None:
        """Set aside the file of an earlier process that had the same number.

        One of another container, where the number means another process, is left alone.
        """
        self._mark = ""
        try:
            if not self.path.stat().st_size:
                return
        except FileNotFoundError:
            return
        present = owner_of(self.path)
        if present == this_owner():
            return
        if present is None or present.rpartition("|")[0] == this_owner().rpartition("|")[0]:
            self._set_aside()
        else:
            import hashlib

            self._mark = f"-{hashlib.sha256(this_owner().encode()).hexdigest()[:6]}"

    def _first_line(self) -> bytes:
        return process_line(encode)

    def _set_aside(self) -> None:
        path = self.path
        names = [path, *(path.with_name(f"{path.name}.{n}") for n in range(1, _ROTATED + 1))]
        with suppress(OSError):
            _note_gone(self.directory, names[-1].stat().st_mtime)
        for older, newer in zip(reversed(names), reversed(names[:-1]), strict=False):
            with suppress(FileNotFoundError):
                newer.replace(older)

    def _prune(self) -> None:
        prune(self.directory, self._keep_bytes, self._keep_seconds)


def prune(directory: Path, most: int, seconds: float) -> None:
    """Remove the oldest files of a folder until they take no more bytes, and all older ones.

    Parameters
    ----------
    directory
        The folder.
    most
        The bytes that all files may take.
    seconds
        The age of a file that is removed.
    """
    files = sorted(span_files(directory), key=lambda file: file.changed)
    total = sum(file.size for file in files)
    oldest = time() - seconds
    if total <= most and all(file.changed >= oldest for file in files):
        return
    ended = [file for file in files if _has_ended(file)]
    gone = 0.0
    for file in [*ended, *(file for file in files if file.rotated and file not in ended)]:
        if total <= most and file.changed >= oldest:
            continue
        try:
            file.path.unlink(missing_ok=True)
        except OSError:
            continue  # another user's file in a shared folder: theirs to remove
        total -= file.size
        gone = max(gone, file.changed)
    if gone:
        _note_gone(directory, gone)


def _note_gone(directory: Path, until: float) -> None:
    """Record that spans up to a time were removed; the reader says so."""
    mark = directory / _GONE
    with suppress(OSError):
        until = max(until, gone_until(directory) or 0.0)
        mark.touch(mode=0o600)
        os.utime(mark, (until, until))


def owner_of(path: Path) -> str | None:
    """Return the identity of the process that a file begins with, or None."""
    try:
        with path.open("rb") as file:
            line = file.readline(_FIRST_LINE)
        found = read_process(json.loads(line))
    except (OSError, ValueError):
        return None
    return None if found is None else found[1]


def _has_ended(file: SpanFileInfo) -> bool:
    """Return whether the process of a file is gone, as far as that can be told."""
    from agentnb.core.work.identity import is_alive, is_dead

    owner = owner_of(file.path)
    if owner is None:  # of a version that wrote none
        return not is_running(file.pid)
    # An identity of one attempt has a nonce behind it.
    owner = f"{owner}|"
    return is_dead(owner) or (not is_alive(owner) and file.changed < time() - _SILENT)
