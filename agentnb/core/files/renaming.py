"""Renaming within folders that are open, and never over something unless that is wanted."""

from __future__ import annotations

import ctypes
import errno
import os
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.core.files.names import shown

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["move", "rename_new"]

_NOREPLACE = 1
_UNSUPPORTED = {errno.ENOSYS, errno.EINVAL, errno.EPERM, errno.ENOTSUP}


@lru_cache(maxsize=1)
def _renameat2() -> Callable[..., int] | None:
    libc: Any = ctypes.CDLL(None, use_errno=True)
    return getattr(libc, "renameat2", None)  # glibc 2.28, musl 1.2.4; not on macOS


def rename_new(source: int, name: str, target: int, new_name: str) -> None:
    """Rename, unless something has the new name already.

    Where the system cannot do both in one step, it is looked for first.

    Parameters
    ----------
    source, target
        Descriptors of the folders.
    name, new_name
        The names in them.

    Raises
    ------
    FileExistsError
        The name is taken.
    OSError
        As `os.rename`.
    """
    call = _renameat2()
    if call is not None:
        names = os.fsencode(name), os.fsencode(new_name)
        if call(source, names[0], target, names[1], _NOREPLACE) == 0:
            return
        code = ctypes.get_errno()
        if code not in _UNSUPPORTED:
            raise OSError(code, os.strerror(code))
    try:
        os.stat(new_name, dir_fd=target, follow_symlinks=False)
    except FileNotFoundError:
        os.rename(name, new_name, src_dir_fd=source, dst_dir_fd=target)
    else:
        raise FileExistsError(errno.EEXIST, os.strerror(errno.EEXIST))


def move(here: int, name: str, there: int, new_name: str, *, overwrite: bool) -> None:
    """Rename, over a file only if that is wanted.

    Raises
    ------
    UsageError
        A folder would come to lie in itself.
    FileExistsError
        The name is taken.
    """
    try:
        if overwrite:
            os.rename(name, new_name, src_dir_fd=here, dst_dir_fd=there)
        else:
            rename_new(here, name, there, new_name)
    except OSError as error:
        if error.errno != errno.EINVAL:
            raise
        raise UsageError(
            f"{shown(name)} would lie in itself: a folder is not moved into itself",
            service="files",
            hint="name a destination outside of the folder",
        ) from error
