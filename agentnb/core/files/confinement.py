"""Confinement: files are opened below a folder only, for every path and in every race.

Linux does it in one call, ``openat2`` with ``RESOLVE_BENEATH``. Where that is missing or
forbidden, the path is walked name by name, each opened without following a link; links are
read and walked in turn. Both follow links that stay inside, and both say so by the same errors.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
import sys
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Protocol

from agentnb.core.hidden import NAMES_ONLY, Hidden

if TYPE_CHECKING:
    from collections.abc import Sequence

__all__ = [
    "FOLDER",
    "PATH_ONLY",
    "Confined",
    "Openat2",
    "Outside",
    "Resolver",
    "Walk",
    "best",
    "real_parts",
]

PATH_ONLY: Final = getattr(os, "O_PATH", os.O_RDONLY | os.O_NONBLOCK)
"""To stand somewhere, without a right to read where the system has that."""
FOLDER: Final = PATH_ONLY | os.O_DIRECTORY | os.O_CLOEXEC

_SYS_OPENAT2 = 437  # on every architecture but alpha
_NO_MAGICLINKS, _NO_SYMLINKS, _BENEATH = 0x02, 0x04, 0x08
_LINKS = 40  # as many as Linux follows
_TRIES = 64


class Outside(OSError):  # noqa: N818 - what happened, as the errors' leaves say it
    """A path leads out of the folder."""


class Resolver(Protocol):
    """Opens files below a folder."""

    name: str

    def open(self, root: int, parts: Sequence[str], flags: int) -> int:
        """Return a descriptor of the file at a path below a folder.

        Parameters
        ----------
        root
            A descriptor of the folder.
        parts
            The names of the path; none for the folder itself. Links are followed, the last
            one too unless the flags have ``O_NOFOLLOW``.
        flags
            As `os.open` takes them; nothing is created.

        Raises
        ------
        Outside
            The path leads out of the folder.
        OSError
            As `os.open`.
        """


class Openat2:
    """The kernel looks after it, in one call.

    Source: openat2(2), Linux 5.6.
    """

    name = "openat2"

    def __init__(self) -> None:
        self._syscall = ctypes.CDLL(None, use_errno=True).syscall
        # Said once, not for each call; what is behind the number is openat2's own.
        path, how, size = ctypes.c_char_p, ctypes.c_char_p, ctypes.c_size_t
        self._syscall.argtypes = [ctypes.c_long, ctypes.c_int, path, how, size]
        self._syscall.restype = ctypes.c_long

    def open(
        self, root: int, parts: Sequence[str], flags: int, *, follow_links: bool = True
    ) -> int:
        """Return a descriptor of the file at a path below a folder; see `Resolver`.

        Without `follow_links` a link on the way is an error, ``ELOOP``.
        """
        path = os.fsencode("/".join(parts) or ".")
        how = _how(flags | os.O_CLOEXEC, follow_links)
        for _ in range(_TRIES):
            found = self._syscall(_SYS_OPENAT2, root, path, how, len(how))
            if found >= 0:
                return int(found)
            code = ctypes.get_errno()
            # EAGAIN: something was renamed meanwhile, and the kernel cannot be sure.
            if code not in {errno.EAGAIN, errno.EINTR}:
                break
        if code == errno.EXDEV:
            raise Outside(code, os.strerror(code))
        raise OSError(code, os.strerror(code))


@lru_cache(maxsize=64)
def _how(flags: int, follow_links: bool) -> bytes:  # noqa: FBT001 - a key of the cache
    resolve = _BENEATH | (_NO_MAGICLINKS if follow_links else _NO_SYMLINKS)
    return struct.pack("QQQ", flags, 0, resolve)


class Walk:
    """Name by name, each opened in the folder before it, links read instead of followed.

    Parameters
    ----------
    hidden
        The names that it does not go through, be they of the path or of a link.
    """

    name = "walk"

    def __init__(self, hidden: Hidden | None = None) -> None:
        self._hidden = hidden

    def open(self, root: int, parts: Sequence[str], flags: int) -> int:
        """Return a descriptor of the file at a path below a folder; see `Resolver`."""
        steps = _Steps(root, parts, self._hidden)
        try:
            while steps.waiting:
                name = steps.next()
                last = not steps.waiting
                if name == "..":
                    steps.up()
                elif last and name != ".":
                    if (found := steps.last(name, flags)) is not None:
                        return found
                elif name != ".":
                    steps.down(name)
            # The path ended in a folder that is open already, by `..` or being empty.
            return os.open(".", flags | os.O_CLOEXEC, dir_fd=steps.current)
        finally:
            steps.close()


class _Steps:
    """The folders that a walk has come through, and the names that it has still to go."""

    def __init__(self, root: int, parts: Sequence[str], hidden: Hidden | None) -> None:
        self._root = root
        self._hidden = hidden
        self._way: list[tuple[str, int]] = []
        self.waiting = list(reversed(parts))
        self._links = 0

    @property
    def current(self) -> int:
        return self._way[-1][1] if self._way else self._root

    @property
    def names(self) -> list[str]:
        return [name for name, _ in self._way]

    def next(self) -> str:
        """Return the name to go through next.

        Raises
        ------
        PathEscape
            It is hidden.
        """
        name = self.waiting.pop()
        if self._hidden is not None:
            self._hidden.refuse([*self.names, name])
        return name

    def up(self) -> None:
        if not self._way:
            raise Outside(errno.EXDEV, os.strerror(errno.EXDEV))
        os.close(self._way.pop()[1])

    def down(self, name: str) -> None:
        """Enter a folder, or follow a link of that name."""
        try:
            found = os.open(name, FOLDER | os.O_NOFOLLOW, dir_fd=self.current)
        except OSError as error:
            if error.errno not in {errno.ENOTDIR, errno.ELOOP} or not self._follow(name):
                raise
        else:
            self._way.append((name, found))

    def last(self, name: str, flags: int) -> int | None:
        """Return a descriptor of the last name, or None where it is a link to follow."""
        if flags & os.O_NOFOLLOW:
            return os.open(name, flags | os.O_CLOEXEC, dir_fd=self.current)
        try:
            found = os.open(name, flags | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=self.current)
        except OSError as error:
            if error.errno not in {errno.ENOTDIR, errno.ELOOP} or not self._follow(name):
                raise
            return None
        try:
            # With O_PATH a link itself is opened.
            is_link = flags & PATH_ONLY == PATH_ONLY and self._follow(name)
        except OSError:
            os.close(found)
            raise
        if is_link:
            os.close(found)
        return None if is_link else found

    def _follow(self, name: str) -> bool:
        try:
            target = os.readlink(name, dir_fd=self.current)
        except OSError as error:
            if error.errno == errno.EINVAL:  # no link
                return False
            raise
        self._links += 1
        if self._links > _LINKS:
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        if target.startswith("/"):
            raise Outside(errno.EXDEV, os.strerror(errno.EXDEV))
        self.waiting.extend(reversed([part for part in target.split("/") if part]))
        return True

    def close(self) -> None:
        for _, found in self._way:
            os.close(found)


class Confined:
    """Opens files below a folder by a resolver, except hidden ones.

    The names of the path are looked at, and where a link is on the way, those that it leads
    through: then the path is walked, since only that tells them.

    Parameters
    ----------
    resolver
        How paths are resolved.
    hidden
        The names that are not gone through.
    """

    def __init__(self, resolver: Resolver, hidden: Hidden = NAMES_ONLY) -> None:
        self.name = resolver.name
        self.hidden = hidden
        self._direct = resolver if isinstance(resolver, Openat2) else None
        self._walk = Walk(hidden)

    def open(self, root: int, parts: Sequence[str], flags: int, *, checked: bool = False) -> int:
        """Return a descriptor of the file at a path below a folder; see `Resolver`.

        Parameters
        ----------
        root, parts, flags
            As `Resolver.open` takes them.
        checked
            Whether `refuse_hidden` has accepted the path already.

        Raises
        ------
        PathEscape
            The path goes through a hidden name.
        """
        if self._direct is not None:
            if not checked:
                self.hidden.refuse(parts)
            try:
                return self._direct.open(root, parts, flags, follow_links=False)
            except OSError as error:
                if error.errno != errno.ELOOP:
                    raise
        return self._walk.open(root, parts, flags)

    def refuse_hidden(self, root: int, parts: Sequence[str]) -> None:
        """Refuse a path that is hidden, before anything is done to its last name.

        Raises
        ------
        PathEscape
            It is.
        """
        self.hidden.refuse(parts)
        if self.hidden.homes:  # a home that is known by its path, which links change
            self.hidden.refuse([*self.real_parts(root, parts[:-1]), *parts[-1:]])

    def real_parts(self, root: int, parts: Sequence[str]) -> list[str]:
        """Return a path without links and ``..``, as far as it exists; see `real_parts`."""
        return real_parts(root, parts, self.hidden)


def real_parts(root: int, parts: Sequence[str], hidden: Hidden | None = None) -> list[str]:
    """Return a path beneath a folder without links and ``..``, as far as it exists.

    Raises
    ------
    Outside
        The path leads out of the folder.
    PathEscape
        It goes through a hidden name.
    """
    steps = _Steps(root, parts, hidden)
    missing: list[str] = []
    try:
        while steps.waiting:
            name = steps.next()
            if name == ".":
                continue
            if name == ".." and missing:
                missing.pop()
            elif name == "..":
                steps.up()
            elif missing:
                missing.append(name)
            else:
                try:
                    steps.down(name)
                except OSError as error:
                    if isinstance(error, Outside) or error.errno not in {
                        errno.ENOENT,
                        errno.ENOTDIR,
                    }:
                        raise
                    missing.append(name)
        return steps.names + missing
    finally:
        steps.close()


@lru_cache(maxsize=1)
def best() -> Resolver:
    """Return openat2 where the system has it and allows it, else the walk."""
    if sys.platform != "linux":
        return Walk()  # the same number is another call there
    try:
        resolver = Openat2()
        here = os.open("/", FOLDER)
    except (OSError, AttributeError):  # no libc to call
        return Walk()
    try:
        os.close(resolver.open(here, (), FOLDER))
    except OSError:  # ENOSYS, or EPERM under a seccomp profile that does not know it
        return Walk()
    finally:
        os.close(here)
    return resolver
