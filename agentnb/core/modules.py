"""Modules that are kept in the home, such as a queue's processor that a cell has made.

A worker process loads them. They are code, so only what this user or root owns, and no other
user can write, is run.
"""

from __future__ import annotations

import errno
import os
import sys
from types import ModuleType
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from agentnb.core.errors import ConfigError, FileNotFound, NotFoundError
from agentnb.core.trust import Trust

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

__all__ = ["KeptModule", "load_module", "module_path"]


def module_path(home: Path, kind: str, name: str) -> Path:
    """Return where the module of something in a home is kept.

    >>> from pathlib import Path
    >>> module_path(Path("/h"), "queue", "mail/out").as_posix()
    '/h/modules/queue_mail%2Fout.py'
    """
    return home / "modules" / f"{kind}_{quote(name, safe='')}.py"


def load_module(path: Path) -> ModuleType:
    """Run a kept module, and return it.

    Raises
    ------
    NotFoundError
        There is no such file.
    ConfigError
        Somebody else could have written it, or it fails.
    """
    name = f"agentnb_{path.stem}"
    module = ModuleType(name)
    module.__file__ = str(path)
    before = sys.modules.get(name)
    # There before it runs: a dataclass looks its module up to understand its annotations.
    sys.modules[name] = module
    try:
        # Not by an import, whose cached bytecode could be of another version of the file.
        exec(compile(_read(path), str(path), "exec"), vars(module))  # noqa: S102 - that is what it is for
    except BaseException as error:
        if before is None:
            sys.modules.pop(name, None)
        else:
            sys.modules[name] = before
        if isinstance(error, ConfigError | NotFoundError | KeyboardInterrupt):
            raise
        raise ConfigError(
            f"{path.name} cannot be used: {type(error).__name__}: {error}",
            service="modules",
            hint="mend its cell and run it again",
        ) from error
    return module


def _read(path: Path) -> bytes:
    """Return the source; refuse a file that another user can write."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except OSError as error:
        if error.errno in {errno.ENOENT, errno.ENAMETOOLONG}:
            raise FileNotFound(
                f"there is no {path}",
                service="modules",
                hint="run the cell that made it again",
            ) from error
        raise ConfigError(
            f"{path} cannot be read: {error}",
            service="modules",
            hint="make it readable for this user, or run its cell again",
        ) from error
    with os.fdopen(file, "rb") as opened:
        # Of the file that is open: what the name stands for may change at any time.
        trust = Trust.of()
        trust.check(path, os.fstat(file), service="modules")
        trust.check(path.parent, service="modules")
        return opened.read()


class KeptModule:
    """A module that is loaded again when its file has changed.

    Parameters
    ----------
    path
        The file.
    use
        Given each version of the module; what it raises keeps the one before in use.
    """

    def __init__(self, path: Path, use: Callable[[ModuleType], Any]) -> None:
        self.path = path
        self._use = use
        self._seen: object = None

    def refresh(self) -> bool:
        """Load the module if its file is another than before, and return whether it was.

        A file that is gone changes nothing, except for the first time.

        Raises
        ------
        NotFoundError, ConfigError
            As `load_module`, and what ``use`` raises; once for each version.
        """
        try:
            found = self.path.stat()
        except OSError:
            if self._seen is not None:
                return False
            now: object = None
        else:
            now = (found.st_ino, found.st_mtime_ns, found.st_size, found.st_mode, found.st_uid)
            if now == self._seen:
                return False
        self._seen = now
        self._use(load_module(self.path))
        return True
