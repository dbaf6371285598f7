"""The paths of a home's embedded server: its data, its locks and its socket."""

from __future__ import annotations

import hashlib
import os
import stat
from dataclasses import dataclass
from pathlib import Path

from agentnb.core import paths
from agentnb.core.errors import ConfigError

__all__ = ["ServerPaths", "find_server_paths"]

# The kernel's limit is 107 bytes on Linux and 103 on macOS.
_LONGEST_SOCKET = 100
# Not TMPDIR nor XDG_RUNTIME_DIR: a terminal, a notebook server and a batch job of the same user
# differ in them, and all have to find the same server.
_RUNTIME = Path("/tmp")  # noqa: S108 - the folder made in it is checked to be private


@dataclass(frozen=True, slots=True)
class ServerPaths:
    """The folders and the socket of the server of one home.

    Parameters
    ----------
    data
        The folder of the data, in the home.
    locks
        The folder of the locks: the data's, unless the home is on a network file system, where
        locks are neither quick nor sure.
    socket
        The server's socket: in the data's folder, unless its path would be too long for one.
    """

    data: Path
    locks: Path
    socket: Path

    def make(self) -> None:
        """Make the folders, private to this user.

        Raises
        ------
        ConfigError
            A folder cannot be made or written to, or belongs to another user.
        """
        paths.ensure_home(self.data.parent)
        for folder in dict.fromkeys((self.data, self.locks, self.socket.parent)):
            if folder != self.data:
                _private(folder.parent)
            _private(folder)


def find_server_paths(home: Path) -> ServerPaths:
    """Return the paths of a home; no folder is made."""
    data = home / "redis"
    real = os.path.realpath(data)
    # Two users never share a folder under /tmp, nor do two homes.
    name = hashlib.sha256(os.fsencode(real)).hexdigest()[:16]
    runtime = _RUNTIME / f"agentnb-{os.geteuid()}" / name
    local = not paths.is_network(Path(real))
    short = len(os.fsencode(str(data.absolute()))) + len("/redis.sock") <= _LONGEST_SOCKET
    return ServerPaths(
        data=data,
        locks=data if local else runtime,
        socket=(data if local and short else runtime) / "redis.sock",
    )


def _private(folder: Path) -> None:
    try:
        folder.mkdir(mode=0o700, exist_ok=True)
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode):
            raise ConfigError(f"{folder} is not a folder", service="redis", hint=_HINT)
        if found.st_uid != os.geteuid():
            raise ConfigError(
                f"{folder} belongs to another user (uid {found.st_uid})",
                service="redis",
                hint=_HINT,
            )
        if found.st_mode & 0o077:
            folder.chmod(0o700)
        if not os.access(folder, os.W_OK | os.X_OK):
            raise ConfigError(f"{folder} cannot be written to", service="redis", hint=_HINT)
    except OSError as error:
        raise ConfigError(
            f"the embedded server has no place for its data: {error}", service="redis", hint=_HINT
        ) from error


_HINT = "set AGENTNB_HOME to a folder of your own, or REDIS_URL to a server that runs already"
