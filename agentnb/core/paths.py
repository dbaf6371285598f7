"""Folders of our own: made private, and told apart from those on a network."""

from __future__ import annotations

from pathlib import Path

from agentnb.core.errors import ConfigError

__all__ = ["ensure_home", "is_network"]

_NETWORK = {"nfs", "nfs4", "cifs", "smb3", "smbfs", "9p", "afs", "ceph", "lustre", "glusterfs"}


_OURS = {
    *("agentnb.db", "agentnb.db-wal", "agentnb.db-shm", "agentnb.db-journal"),
    *("logs", "modules", "redis", "serve"),
}


def ensure_home(home: Path) -> Path:
    """Make the home folder, private and with a ``.gitignore`` of ``*``.

    A folder that holds other things than ours, such as a project chosen as the home, gets
    no ``.gitignore``: it would hide them.

    Raises
    ------
    ConfigError
        It cannot be made or written to.
    """
    try:
        home.mkdir(mode=0o700, parents=True, exist_ok=True)
        ignore = home / ".gitignore"
        if not ignore.exists() and all(path.name in _OURS for path in home.iterdir()):
            ignore.write_text("*\n", encoding="utf-8")
    except OSError as error:
        raise ConfigError(
            f"the home folder cannot be used: {error}",
            service="settings",
            hint="set AGENTNB_HOME to a folder that you may write to",
        ) from error
    return home


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
