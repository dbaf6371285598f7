"""Writing a file so that it is there whole or not at all, and making the folders around it."""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import re
import stat
import time
from typing import TYPE_CHECKING, Final, Self

from agentnb.core.errors import FileChanged, PermissionDenied, UnavailableError, UsageError
from agentnb.core.files.confinement import FOLDER, Confined, Outside
from agentnb.core.files.errors import no_file
from agentnb.core.files.names import refuse_folder, shown, split_last, temporary
from agentnb.core.files.reading import READ, hash_of, read_all
from agentnb.core.files.renaming import rename_new
from agentnb.core.flock import release

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

__all__ = [
    "Entry",
    "check_hash",
    "check_unchanged",
    "create",
    "ensure_folder",
    "entry_of",
    "keep_mode",
    "refuse_read_only",
    "refuse_replacing",
    "replace",
    "rewrite",
    "write_whole",
]

NEW: Final = ""
"""The hash of a file that is not there yet."""

_LINKS = 40
_LOCK_SECONDS = 10.0
_PERMISSIONS = 0o777
_WRITE = 0o222
_HASH = re.compile("[0-9a-f]{64}")


def ensure_folder(resolver: Confined, root: int, parts: Sequence[str]) -> int:
    """Return a descriptor of a folder beneath the root; it and those around it are made."""
    missing = 0
    while True:
        try:
            found = resolver.open(root, parts[: len(parts) - missing], FOLDER)
            break
        except FileNotFoundError:
            missing += 1
            if missing > len(parts):
                raise
    for at in range(len(parts) - missing, len(parts)):
        try:
            with contextlib.suppress(FileExistsError):
                os.mkdir(parts[at], dir_fd=found)
        finally:
            os.close(found)
        found = resolver.open(root, parts[: at + 1], FOLDER)
    return found


class Entry:
    """A name in an open folder, and its file; a link has been followed.

    Parameters
    ----------
    folder
        A descriptor, closed at the end of a ``with`` block.
    name
        The name.
    existing
        The status of its file; None where there is none.
    """

    __slots__ = ("existing", "folder", "name")

    def __init__(self, folder: int, name: str) -> None:
        self.folder, self.name = folder, name
        self.existing = self._look()

    def _look(self) -> os.stat_result | None:
        """Return the status of the file of that name."""
        try:
            return os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            return None
        except OSError:
            os.close(self.folder)
            raise

    def look_again(self, path: str) -> None:
        """Read the status of the file again.

        Raises
        ------
        UsageError
            It is no longer a regular file.
        """
        try:
            self.existing = os.stat(self.name, dir_fd=self.folder, follow_symlinks=False)
        except FileNotFoundError:
            self.existing = None
        if self.existing is not None and not stat.S_ISREG(self.existing.st_mode):
            raise no_file(path, self.existing.st_mode)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        os.close(self.folder)


def entry_of(resolver: Confined, root: int, parts: list[str], path: str) -> Entry:
    """Return the entry of a file to be written; the folders around it are made.

    Raises
    ------
    UsageError
        There is something that is no file, or the path has no name at its end.
    """
    refuse_folder(path)
    for _ in range(_LINKS):
        around, name = split_last(parts, path)
        entry = Entry(ensure_folder(resolver, root, around), name)
        if entry.existing is None or stat.S_ISREG(entry.existing.st_mode):
            return entry
        with entry:
            if not stat.S_ISLNK(entry.existing.st_mode):
                raise no_file(path, entry.existing.st_mode)
            target = os.readlink(name, dir_fd=entry.folder)
        if target.startswith("/"):
            raise Outside(errno.EXDEV, os.strerror(errno.EXDEV))
        parts = [*around, *(part for part in target.split("/") if part not in {"", "."})]
        resolver.refuse_hidden(root, parts)
    raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))


def create(folder: int, mode: int = 0o666) -> tuple[str, int]:
    """Return the name and descriptor of a new file that is swept if this process dies.

    It is locked as long as it is open. That, and no number of a process, tells the living
    from the dead, on every machine that shares the folder.
    """
    flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
    while True:
        name = temporary()
        made = os.open(name, flags, mode, dir_fd=folder)
        try:
            fcntl.flock(made, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            pass  # a sweeper was quicker than the lock
        except OSError:
            return name, made  # a file system without locks
        else:
            if os.fstat(made).st_nlink:
                return name, made
        os.close(made)
        with contextlib.suppress(FileNotFoundError):
            os.unlink(name, dir_fd=folder)


def write_whole(made: int, data: bytes | memoryview) -> None:
    """Write all of some bytes."""
    left = memoryview(data)
    while left:
        left = left[os.write(made, left) :]


def keep_mode(made: int, before: os.stat_result) -> None:
    """Give a new file the permissions, and as far as allowed the owner, of the one before."""
    own = os.fstat(made)
    if (own.st_uid, own.st_gid) != (before.st_uid, before.st_gid):
        with contextlib.suppress(PermissionError):
            os.fchown(made, before.st_uid, before.st_gid)
    os.fchmod(made, before.st_mode & _PERMISSIONS)


def refuse_read_only(folder: int, name: str, found: os.stat_result, path: str) -> None:
    """Refuse to change a file that its permissions protect, also as root.

    Parameters
    ----------
    folder, name
        A descriptor of the folder that it lies in, and its name there.
    found
        Its status.
    path
        Its path, for the error.

    Raises
    ------
    PermissionDenied
        Nobody, or not this user, may write to it.
    """
    mode = stat.S_IMODE(found.st_mode)
    if not stat.S_ISREG(found.st_mode):
        return
    effective = os.access in os.supports_effective_ids
    if mode & _WRITE and os.access(name, os.W_OK, dir_fd=folder, effective_ids=effective):
        return
    raise PermissionDenied(
        f"{shown(path)} is read-only (mode {mode:04o}); nothing was changed",
        service="files",
        hint=f"if it may be changed: chmod u+w {shown(path)}",
    )


def refuse_replacing(folder: int, name: str, path: str) -> None:
    """Refuse to replace a file that is read-only.

    Raises
    ------
    PermissionDenied
        It is.
    """
    with contextlib.suppress(FileNotFoundError):
        found = os.stat(name, dir_fd=folder, follow_symlinks=False)
        refuse_read_only(folder, name, found, path)


def rewrite(entry: Entry, path: str, make: Callable[[bytes | None], bytes], limit: int) -> None:
    """Replace a file by a function of its content, exclusively among such calls.

    Parameters
    ----------
    entry
        The file.
    path
        Its path, for errors.
    make
        Returns the new content, given the one that is there; None where there is none.
    limit
        The largest file that is read, in bytes; 0 is no limit.
    """
    with exclusive(entry.folder, path):
        entry.look_again(path)
        data = None
        if entry.existing is not None:
            found = os.open(entry.name, READ | os.O_NOFOLLOW, dir_fd=entry.folder)
            data = read_all(found, path, limit)
        replace(entry, make(data), path, None)


def replace(entry: Entry, data: bytes, path: str, if_hash: str | None) -> None:
    """Replace a file by these bytes, wholly or not at all.

    Raises
    ------
    FileChanged
        The file has another hash.
    PermissionDenied
        It is read-only.
    """
    before = entry.existing
    if before is not None:
        refuse_read_only(entry.folder, entry.name, before, path)
    if before is None:
        name, made = create(entry.folder)
    else:
        name, made = create(entry.folder, before.st_mode & _PERMISSIONS)
    try:
        try:
            write_whole(made, data)
            if before is not None:
                keep_mode(made, before)
            os.fsync(made)
            if if_hash is None:
                os.rename(name, entry.name, src_dir_fd=entry.folder, dst_dir_fd=entry.folder)
            else:
                _rename_unchanged(name, entry, path, if_hash)
        except BaseException:
            with contextlib.suppress(OSError):
                os.unlink(name, dir_fd=entry.folder)
            raise
    finally:
        os.close(made)


def _rename_unchanged(name: str, entry: Entry, path: str, if_hash: str) -> None:
    with exclusive(entry.folder, path):
        check_unchanged(entry, path, if_hash)
        if if_hash == NEW:
            try:
                rename_new(entry.folder, name, entry.folder, entry.name)
            except FileExistsError as error:
                raise _changed(path, "is there already") from error
        else:
            os.rename(name, entry.name, src_dir_fd=entry.folder, dst_dir_fd=entry.folder)


def check_hash(if_hash: str | None) -> None:
    """Refuse a value that is no hash.

    Raises
    ------
    UsageError
        It is none.
    """
    if if_hash and not _HASH.fullmatch(if_hash):
        raise UsageError(
            f"if_hash must be a hash_of, or '' for a new file, got {if_hash[:80]!r}",
            service="files",
            hint='if_hash=hash_of(text), of the text that was read, or ""',
        )


def check_unchanged(entry: Entry, path: str, if_hash: str) -> None:
    """Refuse to continue if the file does not have this hash.

    Raises
    ------
    FileChanged
        It is another one, or gone, or there although it should not be.
    """
    try:
        found = os.open(entry.name, READ | os.O_NOFOLLOW, dir_fd=entry.folder)
    except FileNotFoundError as error:
        if if_hash == NEW:
            return
        raise _changed(path, "is gone") from error
    if if_hash == NEW:
        os.close(found)
        raise _changed(path, "is there already")
    if hash_of(read_all(found, path, 0)) != if_hash:
        raise _changed(path, "has changed since it was read")


def _changed(path: str, what: str) -> FileChanged:
    return FileChanged(
        f"{shown(path)} {what}; nothing was written",
        service="files",
        hint="read it again, and write with if_hash=hash_of(what was read)",
    )


@contextlib.contextmanager
def exclusive(folder: int, path: str) -> Iterator[None]:
    """Be the only one who compares and replaces in a folder, for the length of a block.

    Raises
    ------
    UnavailableError
        Somebody else keeps the folder locked.
    """
    lock = os.open(".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC, dir_fd=folder)
    try:
        until = time.monotonic() + _LOCK_SECONDS
        while True:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError as error:
                if time.monotonic() > until:
                    raise UnavailableError(
                        f"the folder of {shown(path)} is locked by another program",
                        service="files",
                        hint="call again once it is done",
                    ) from error
                time.sleep(0.002)
            except OSError:
                break  # a file system without locks
        yield
    finally:
        release(lock)
