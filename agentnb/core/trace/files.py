"""JSON lines on disk: one capped file a process, safe across threads, forks and hubs."""

from __future__ import annotations

import functools
import json
import math
import os
import sys
import weakref
from time import monotonic
from typing import TYPE_CHECKING

from agentnb.core.forking import new_rlock
from agentnb.core.redact import MASK, redact

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["LinesFile", "clean", "clean_text", "encode", "is_running"]

_KEEP = 10
_LOOK = 0.1
_AGAIN = 30.0
_DEEPEST = 6
_UNCHANGED = frozenset({int, bool, type(None)})
_LONGEST = 20_000

# Made once: `json.dumps` makes an encoder on every call that asks for anything special. What
# `clean` returns has no cycles to look for.
_json = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), check_circular=False)

# Guards every write in the process: two hubs may share a file. Re-entrant, because the garbage
# collector may close one file while another is being written.
_writing = new_rlock()
_open_files: weakref.WeakSet[LinesFile] = weakref.WeakSet()


def clean(
    value: object,
    redactor: Callable[[str], str] = redact,
    *,
    depth: int = 0,
    longest: int = _LONGEST,
) -> object:
    """Return a copy of a value as plain JSON, with its secrets masked, texts of `longest` at most.

    >>> clean({"url": "redis://u:secret@host", "password": "x", "n": 1})
    {'url': 'redis://u:••••••@host', 'password': '••••••', 'n': 1}
    """
    if type(value) in _UNCHANGED:
        return value
    if isinstance(value, str):
        return clean_text(value, redactor, longest)
    if isinstance(value, int):
        return int(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth < _DEEPEST and isinstance(value, dict):
        return {
            redactor(str(key)): (
                MASK
                if item is not None and _is_secret(str(key))
                else clean(item, redactor, depth=depth + 1, longest=longest)
            )
            for key, item in value.items()
        }
    if depth < _DEEPEST and isinstance(value, list | tuple | set | frozenset):
        return [clean(item, redactor, depth=depth + 1, longest=longest) for item in value]
    return clean_text(str(value), redactor, longest)


def clean_text(text: str, redactor: Callable[[str], str] = redact, longest: int = _LONGEST) -> str:
    """Return the text with its secrets masked, and cut when it is very long."""
    if len(text) <= longest:
        return redactor(text)
    # Cut again after masking: the first cut may have gone through a secret.
    return f"{redactor(text[: 2 * longest])[:longest]}… ({len(text)} characters)"


@functools.lru_cache(maxsize=512)
def _is_secret(key: str) -> bool:
    return MASK in redact(f"{key}=value")


def encode(record: dict[str, object]) -> bytes:
    """Return the record as one line of JSON.

    A lone surrogate, as in an undecodable file name, is written as its escape.
    """
    # Seven times as fast, and imported by what needs it: not for a line of the log.
    msgspec = sys.modules.get("msgspec")
    if msgspec is not None:
        try:
            found: bytes = msgspec.json.encode(record)
        except (UnicodeEncodeError, AttributeError):
            pass  # a lone surrogate; or another thread is importing it just now
        else:
            return found + b"\n"
    return _json.encode(record).encode("utf-8", "backslashreplace") + b"\n"


class LinesFile:
    r"""Appends lines to ``directory/<stem>-<pid>.jsonl``, opened at the first line.

    A file that would pass its cap is renamed to ``.jsonl.1``, replacing the former one. Opening
    also removes the files of dead processes, but for those of the 10 newest processes. A folder
    that cannot be written to is given up for 30 s: `failed` says why, nothing is raised.

    Parameters
    ----------
    directory
        The folder; made when it is missing.
    stem
        The first part of the file's name.
    max_bytes
        The cap on one file, in bytes; with the rotated one, a process takes twice as much.

    Examples
    --------
    >>> import tempfile, pathlib
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     file = LinesFile(pathlib.Path(folder), "spans", max_bytes=1_000_000)
    ...     file.write([b"{}\n"]), file.path.read_bytes()
    ...     file.close()
    (True, b'{}\n')
    """

    def __init__(self, directory: Path, stem: str, *, max_bytes: int) -> None:
        self.directory = directory
        self.stem = stem
        self.max_bytes = max_bytes
        self.failed: str | None = None
        self._again = 0.0
        self._fd: int | None = None
        self._size = 0
        self._looked = 0.0
        _open_files.add(self)

    @property
    def path(self) -> Path:
        """The file of the running process."""
        return self.directory / f"{self.stem}-{os.getpid()}.jsonl"

    def write(self, lines: list[bytes]) -> bool:
        """Append the lines, each with its line break; False if the folder failed."""
        if not self.is_given_up:
            with _writing:
                try:
                    # A line that was cut off when the disk was full must not spoil the next one.
                    self._write(lines if self.failed is None else [b"\n", *lines])
                    self.failed = None
                except OSError as error:
                    self.failed = f"{type(error).__name__}: {error}"
                    self._again = monotonic() + _AGAIN
                    self._close()
        return self.failed is None

    @property
    def is_given_up(self) -> bool:
        """Whether the folder failed less than 30 s ago: nothing is tried."""
        return self.failed is not None and monotonic() < self._again

    def close(self) -> None:
        """Close the file; a later `write` opens it again."""
        with _writing:
            self._close()

    def _write(self, lines: list[bytes]) -> None:
        self._open()
        batch = bytearray()
        for line in lines:
            if self._size + len(batch) + len(line) > self.max_bytes and (self._size or batch):
                self._append(batch)
                self._rotate()
                batch = bytearray()
            batch += line
        self._append(batch)

    def _append(self, data: bytearray) -> None:
        # A plain descriptor: a buffered file would be flushed a second time by a forked child.
        rest = memoryview(data)
        while rest and self._fd is not None:
            written = os.write(self._fd, rest)
            self._size += written
            rest = rest[written:]

    def _open(self) -> None:
        if self._fd is not None:
            # Another hub may have rotated the file, or a user deleted the folder. Looked for now
            # and then: what is written in between can still be read where it was moved to.
            now = monotonic()
            if now - self._looked < _LOOK:
                return
            self._looked = now
            path = self.path
            here = os.fstat(self._fd)
            self._size = here.st_size
            try:
                if os.path.samestat(here, path.stat()):
                    return
            except FileNotFoundError:
                pass
            self._close()
        self.directory.mkdir(mode=0o700, parents=True, exist_ok=True)
        self._prepare()
        self._fd = os.open(self.path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
        self._size = os.fstat(self._fd).st_size
        if not self._size:
            self._append(bytearray(self._first_line()))
        self._prune()

    def _prepare(self) -> None:
        """Make way for the file, before it is opened."""

    def _first_line(self) -> bytes:
        """Return the line with which a new file begins."""
        return b""

    def _prune(self) -> None:
        """Remove old files of other processes, after one was opened."""
        _prune(self.directory, self.stem)

    def _rotate(self) -> None:
        self._close()
        self._set_aside()
        self._open()

    def _set_aside(self) -> None:
        """Rename the full file."""
        path = self.path
        path.replace(path.with_name(path.name + ".1"))

    def _close(self) -> None:
        if self._fd is not None:
            fd, self._fd = self._fd, None
            os.close(fd)

    def __del__(self) -> None:
        self._close()


def _close_inherited() -> None:
    for file in list(_open_files):
        file._close()  # noqa: SLF001 - its own module's class


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_close_inherited)


def _prune(directory: Path, stem: str) -> None:
    """Remove the files of dead processes, but for those of the newest `_KEEP` processes."""
    newest: dict[int, float] = {}
    files: dict[int, list[Path]] = {}
    for path in directory.glob(f"{stem}-*.jsonl*"):
        pid_text = path.name.removeprefix(f"{stem}-").removesuffix(".1").removesuffix(".jsonl")
        if not (pid_text.isascii() and pid_text.isdigit()):
            continue  # a file that we did not write
        try:
            changed = path.stat().st_mtime
        except OSError:
            continue  # another process removed it first
        pid = int(pid_text)
        files.setdefault(pid, []).append(path)
        newest[pid] = max(newest.get(pid, 0.0), changed)
    for pid in sorted(newest, key=newest.__getitem__, reverse=True)[_KEEP:]:
        if not is_running(pid):
            for path in files[pid]:
                try:
                    path.unlink(missing_ok=True)
                except OSError:
                    continue  # another user's file in a shared folder: theirs to remove


def is_running(pid: int) -> bool:
    """Return whether there is a process of this number; True if that cannot be told."""
    if os.name == "nt":
        return True  # there, signal 0 is not a question
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return True
