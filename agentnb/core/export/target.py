"""The file that an export writes: judged before any work, and there when all of it is written."""

from __future__ import annotations

import errno
import os
import secrets
import stat
from contextlib import suppress
from typing import IO, TYPE_CHECKING, Any, Self

from agentnb.core.errors import (
    AgentnbError,
    FileExists,
    FileNotFound,
    IsADirectory,
    PermissionDenied,
    UnavailableError,
    UsageError,
)
from agentnb.core.expand import expand
from agentnb.core.paths import home_of

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["Target"]

_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}
_PRIVATE = (".agentnb", ".git")
_PERMISSIONS = 0o777


class Target:
    r"""A file that is written aside, and takes its name at the end.

    Parameters
    ----------
    path
        The path; ``~`` is a home directory. A link is followed: the file behind it is replaced.
    overwrite
        Whether a file that is there is replaced.
    private
        A folder that is not written to, such as the home of agentnb.

    Raises
    ------
    FileExists
        There is such a file, and it is not to be replaced.
    IsADirectory, FileNotFound, PermissionDenied
        It is a folder, or its folder is not there or cannot be written to.
    UsageError
        It is no regular file, or lies in a folder of agentnb's or git's own.

    Examples
    --------
    >>> import tempfile
    >>> from pathlib import Path
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Target(Path(folder, "a.csv")) as target:
    ...         _ = target.file.write(b"n\n")
    ...         size = target.keep()
    ...     Path(folder, "a.csv").read_text()
    'n\n'
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        *,
        overwrite: bool = False,
        private: Path | None = None,
    ) -> None:
        if not isinstance(path, str | os.PathLike) or not os.fspath(path):
            raise UsageError(
                f"path must be the path of a file, got {path!r:.60}",
                service="export",
                hint='result.to_csv("rows.csv")',
            )
        self.name = os.fspath(path)
        self._overwrite = overwrite
        try:
            self.path = expand(path, service="export")
            self._final = self.path.resolve()
            self._mode = self._judged(private)
        except AgentnbError:
            raise
        except (OSError, RuntimeError, ValueError) as error:  # a loop of links, a NUL
            raise self._refused(error) from error
        self._aside: Path | None = None
        self.file: IO[bytes]

    @property
    def folder(self) -> Path:
        """The folder of the file."""
        return self._final.parent

    def _judged(self, private: Path | None) -> int | None:
        """Return the permissions of the file that is there; None where there is none."""
        final = self._final
        if final.is_symlink():  # a loop of links, which Python 3.13 returns as it is
            raise OSError(errno.ELOOP, os.strerror(errno.ELOOP))
        owner = next((one for one in _PRIVATE if one in final.parts[:-1]), None)
        in_home = private is not None and final.is_relative_to(private.resolve())
        if owner or in_home or home_of(final) is not None:
            raise UsageError(
                f"{self.name} lies in {owner or 'the home of agentnb'}, which is not written to",
                service="export",
                hint="name a file of the project, such as data/rows.csv",
            )
        if not final.parent.is_dir():
            raise FileNotFound(
                f"there is no folder {final.parent}",
                service="export",
                hint=f"mkdir -p {final.parent}",
            )
        if not os.path.lexists(self.path):
            return None
        if final.is_dir():
            raise IsADirectory(
                f"{self.name} is a folder", service="export", hint=f"{self.name}/rows.csv"
            )
        if not self._overwrite:
            raise self._exists()
        if not final.exists():  # a link to nothing
            return None
        found = final.stat()
        if not stat.S_ISREG(found.st_mode):
            raise UsageError(
                f"{self.name} is no regular file", service="export", hint="name a new file"
            )
        return stat.S_IMODE(found.st_mode) & _PERMISSIONS

    def _exists(self) -> FileExists:
        return FileExists(
            f"{self.name} exists",
            service="export",
            hint="replace it: overwrite=True (--force), or name another file",
        )

    def __enter__(self) -> Self:
        aside = self._final.with_name(f".{self._final.name[:80]}.{secrets.token_hex(6)}.part")
        try:
            number = os.open(aside, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o666)
        except OSError as error:
            raise self.error_of(error) from error
        self._aside = aside
        self.file = os.fdopen(number, "w+b")
        return self

    def keep(self) -> int:
        """Give the file its name, and return its size in bytes.

        Raises
        ------
        FileExists
            There is one by now.
        """
        aside = self._aside
        assert aside is not None  # noqa: S101 - it was entered
        self.file.flush()
        number = self.file.fileno()
        if self._mode is not None:
            os.fchmod(number, self._mode)
        os.fsync(number)
        size = os.fstat(number).st_size
        if self._overwrite:
            aside.replace(self._final)
            return size
        try:
            os.link(aside, self._final)  # which never replaces one
        except FileExistsError as error:
            raise self._exists() from error
        except OSError as error:  # a file system without links
            if os.path.lexists(self._final):
                raise self._exists() from error
            aside.replace(self._final)
        return size

    def __exit__(self, kind: object, error: BaseException | None, trace: object) -> None:
        with suppress(OSError):  # what could not be written is still in its buffer
            self.file.close()
        if self._aside is not None:
            with suppress(OSError):
                self._aside.unlink(missing_ok=True)

    def error_of(self, error: OSError) -> AgentnbError:
        """Return the error of a file that cannot be written."""
        reason = error.strerror or type(error).__name__
        if error.errno in _FULL:
            return UnavailableError(
                f"{self.name} cannot be written: {reason}; nothing of it is kept",
                service="export",
                hint="free some room on that disk, or name a file on another one",
            )
        return self._refused(error)

    def _refused(self, error: Exception) -> AgentnbError:
        reason: Any = getattr(error, "strerror", None) or error
        kind = PermissionDenied if isinstance(error, PermissionError) else UsageError
        return kind(
            f"{self.name!r:.120} cannot be written: {reason}",
            service="export",
            hint="name a file in a folder that you may write to",
        )
