"""Private folders of agentnb, and network file systems."""

from __future__ import annotations

import errno
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.core.errors import ConfigError, UnavailableError
from agentnb.core.trust import private_folder

if TYPE_CHECKING:
    from agentnb.core.errors import AgentnbError

__all__ = ["ensure_home", "home_error", "home_of", "is_network", "refuse_workspace"]

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "glusterfs"}


_OURS = {
    *("agentnb.db", "agentnb.db-wal", "agentnb.db-shm", "agentnb.db-journal"),
    *("docker", "files", "logs", "modules", "redis", "serve", "tapes"),
}
_homes: set[Path] = set()  # of this process, of any name


def home_of(path: Path) -> Path | None:
    """Return the home that a path lies in, of those in use by this process; None if it does not.

    A project that was chosen as the home, and has files of its own, is not counted.

    Parameters
    ----------
    path
        The path, resolved.
    """
    for home in _homes.intersection(path.parents):
        if (home / ".gitignore").is_file() and not (home / ".git").exists():
            return home
    return None


def ensure_home(home: Path) -> Path:
    """Make the home folder, private and with a ``.gitignore`` of ``*``.

    One that is there and open to other users becomes private, with one line on stderr. A folder
    that holds other things than ours, such as a project chosen as the home, gets no
    ``.gitignore``: it would hide them.

    Raises
    ------
    UntrustedPath
        It belongs to another user.
    ConfigError, UnavailableError
        It cannot be made or written to, is shared by all users; its disk is full.
    """
    try:
        private_folder(home, service="settings")
        ignore = home / ".gitignore"
        if not ignore.exists() and all(path.name in _OURS for path in home.iterdir()):
            try:
                ignore.touch(mode=0o600)
                ignore.write_text("*\n", encoding="utf-8")
            except OSError:
                ignore.unlink(missing_ok=True)  # an empty one would hide nothing
                raise
    except OSError as error:
        what = "the home folder cannot be used"
        raise home_error(f"{what}: {error}", error, service="settings") from error
    _homes.add(home.resolve())
    return home


def refuse_workspace(workspace: Path, home: Path) -> None:
    """Refuse a workspace whose files would be those of the home.

    Raises
    ------
    ConfigError
        The workspace is the home, or lies in one of the folders that agentnb keeps there.
    """
    real, around = workspace.resolve(), home.resolve()
    if not real.is_relative_to(around):
        return
    names = real.relative_to(around).parts
    if not names or names[0] in _OURS:
        raise ConfigError(
            f"the workspace {workspace} lies in the home {home}: files that agents write there "
            "would be run as code",
            service="settings",
            hint="set AGENTNB_WORKSPACE to a folder of its own, such as workspace",
        )


def home_error(message: str, error: OSError, *, service: str) -> AgentnbError:
    """Return the error of a home that cannot be written to, with its remedy."""
    if error.errno in {errno.ENOSPC, errno.EDQUOT}:
        hint = "free some room on that disk, then run this again"
        return UnavailableError(message, service=service, hint=hint)
    hint = "set AGENTNB_HOME to a folder that you may write to"
    return ConfigError(message, service=service, hint=hint)


def is_network(path: Path, mounts: str | None = None) -> bool:
    """Return whether a path lies on a network file system, as far as can be told.

    Parameters
    ----------
    path
        A file or folder; it need not exist.
    mounts
        The text of ``/proc/mounts``, which is the default; elsewhere than on Linux
        there is none, and the answer is False.
    """
    if mounts is None:
        try:
            mounts = Path("/proc/mounts").read_text(encoding="utf-8", errors="replace")
        except OSError:
            return False
    best, kind = "", ""
    absolute = str(path.absolute())
    for line in mounts.splitlines():
        fields = line.split(" ")
        if len(fields) < 3:  # noqa: PLR2004 - device, mount point, type
            continue
        point = fields[1].replace("\\040", " ").rstrip("/") or "/"
        inside = point in {"/", absolute} or absolute.startswith(point + "/")
        if inside and len(point) >= len(best):
            best, kind = point, fields[2]
    return kind in _NETWORK or kind.startswith("fuse.sshfs")
