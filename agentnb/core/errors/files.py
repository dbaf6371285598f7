"""Errors of files, which are those of Python as well.

``errno`` is set as Python sets it, and ``filename`` is the path that the call named.
"""

from __future__ import annotations

import errno

from agentnb.core.errors.base import NotFoundError, RejectedError, UsageError

__all__ = [
    "FileExists",
    "FileNotFound",
    "IsADirectory",
    "NotADirectory",
    "PermissionDenied",
]


class FileNotFound(NotFoundError, FileNotFoundError):  # noqa: N818 - what happened, as its siblings say it
    """There is no file or folder of that name; a ``FileNotFoundError``."""

    errno = errno.ENOENT


class FileExists(UsageError, FileExistsError):  # noqa: N818 - what happened, as its siblings say it
    """The name is taken; a ``FileExistsError``."""

    errno = errno.EEXIST


class IsADirectory(UsageError, IsADirectoryError):  # noqa: N818 - what happened, as its siblings say it
    """A folder was named where a file is wanted; an ``IsADirectoryError``."""

    errno = errno.EISDIR


class NotADirectory(UsageError, NotADirectoryError):  # noqa: N818 - what happened, as its siblings say it
    """A file was named where a folder is wanted; a ``NotADirectoryError``."""

    errno = errno.ENOTDIR


class PermissionDenied(RejectedError, PermissionError):  # noqa: N818 - what happened, as its siblings say it
    """The operating system refuses it to this user; a ``PermissionError``."""

    errno = errno.EACCES
