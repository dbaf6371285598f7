"""Files and folders that may be trusted, by their owner and by who else can write them.

Settings and code are read from files that are found by their name, in folders that other users
of the machine may be able to write to. Such a file counts only if this user or root owns it and
no other user can write it. The user's own primary group may.

Access control lists are seen only in so far as they show in the mode.
"""

from __future__ import annotations

import grp
import os
import pwd
import stat
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from agentnb.core.errors import ConfigError, UntrustedPath
from agentnb.core.expand import expand

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["VARIABLE", "Trust", "private_folder"]

VARIABLE = "AGENTNB_TRUST"


@dataclass(frozen=True, slots=True)
class Trust:
    """Decides whether a file or folder that was found may be used.

    Parameters
    ----------
    places
        Folders that are trusted with all that is below them, regardless of the owner.

    Examples
    --------
    >>> Trust.of({"AGENTNB_TRUST": "/srv/shared"}).places
    (PosixPath('/srv/shared'),)
    >>> Trust.of({}).check(Path("/"), service="settings")
    """

    places: tuple[Path, ...] = ()

    @classmethod
    def of(cls, environ: Mapping[str, str] | None = None) -> Trust:
        """Return the trust that ``AGENTNB_TRUST`` defines.

        Parameters
        ----------
        environ
            The environment; default: the process's.

        Raises
        ------
        ConfigError
            A path in it is not absolute.
        """
        text = (os.environ if environ is None else environ).get(VARIABLE, "")
        places = []
        for word in filter(None, text.split(os.pathsep)):
            place = expand(word, service="settings")
            if not place.is_absolute():
                raise ConfigError(
                    f"{VARIABLE} cannot hold {word!r}: its paths are absolute",
                    service="settings",
                    hint=f"{VARIABLE}={place.absolute()}",
                )
            places.append(place.resolve())
        return cls(tuple(places))

    def covers(self, path: Path) -> bool:
        """Return whether a path is one of `places` or lies below one."""
        if not self.places:
            return False
        real = path.resolve()
        return any(real.is_relative_to(place) for place in self.places)

    def check(
        self, path: Path, found: os.stat_result | None = None, *, service: str, own: bool = False
    ) -> None:
        """Refuse a file or folder that another user owns or can write.

        Parameters
        ----------
        path
            The file or folder. A link has to be trusted as well as what it leads to.
        found
            The status of the opened file, where there is one.
        service
            The service of the error.
        own
            Whether one of this user's own is accepted although others can write it.

        Raises
        ------
        UntrustedPath
            It is not trusted.
        OSError
            It cannot be looked at.
        """
        link = path.lstat()
        about = path.stat() if found is None else found
        reason = _owner(link) if stat.S_ISLNK(link.st_mode) else None
        reason = reason or _owner(about) or ("" if own else _writers(about))
        if reason and not self.covers(path):
            raise UntrustedPath(
                f"{path} is not used: {reason}",
                service=service,
                hint="remove it if it is not yours; make it yours alone with chown and chmod go-w; "
                f"or accept it: {VARIABLE}={path}",
            )


def _owner(about: os.stat_result) -> str:
    """Return why its owner is not trusted, or nothing."""
    if about.st_uid in {0, os.geteuid()}:
        return ""
    return f"it belongs to {_user(about.st_uid)}"


def _writers(about: os.stat_result) -> str:
    """Return who else can write it, or nothing."""
    mode = stat.S_IMODE(about.st_mode)
    if mode & stat.S_IWOTH:
        return f"every user can write it (mode {mode:04o}); its owner is {_user(about.st_uid)}"
    if mode & stat.S_IWGRP and not _is_own_group(about):
        return (
            f"the group {_group(about.st_gid)} can write it (mode {mode:04o}); "
            f"its owner is {_user(about.st_uid)}"
        )
    return ""


def _is_own_group(about: os.stat_result) -> bool:
    if about.st_uid == 0 and about.st_gid == 0:
        return True  # root's own, whose members are root already
    try:
        return about.st_gid == pwd.getpwuid(os.geteuid()).pw_gid
    except KeyError:  # a user without a name, as containers have them
        return about.st_gid == os.getegid()


def _user(uid: int) -> str:
    try:
        return f"{pwd.getpwuid(uid).pw_name} (uid {uid})"
    except KeyError:
        return f"uid {uid}"


def _group(gid: int) -> str:
    try:
        return f"{grp.getgrgid(gid).gr_name} (gid {gid})"
    except KeyError:
        return f"gid {gid}"


def private_folder(folder: Path, *, service: str, trust: Trust | None = None) -> Path:
    """Make a folder private to this user; an existing one is made private.

    Parameters
    ----------
    folder
        The folder; those around it are made too, and are never open to other users' writing.
    service
        The service of errors.
    trust
        Decides which folders are accepted unchanged; default: as ``AGENTNB_TRUST`` says.

    Raises
    ------
    UntrustedPath
        It belongs to another user, or something of another user's lies in it and could have
        been put there.
    ConfigError
        It is shared by all users, such as ``/tmp``.
    OSError
        It cannot be made.
    """
    _make(folder)
    trust = Trust.of() if trust is None else trust
    if trust.covers(folder):
        return folder
    trust.check(folder, service=service, own=True)
    opened = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        about = os.fstat(opened)
        mode = stat.S_IMODE(about.st_mode)
        if about.st_uid != os.geteuid() or not mode & 0o077:
            return folder
        if mode & stat.S_ISVTX or folder.resolve() == Path(folder.resolve().anchor):
            raise ConfigError(
                f"{folder} is shared by all users, and cannot be made private",
                service=service,
                hint="name a folder of your own, such as AGENTNB_HOME=.agentnb",
            )
        os.fchmod(opened, 0o700)
        kept = stat.S_IMODE(os.fstat(opened).st_mode)
    finally:
        os.close(opened)
    if kept & 0o077:
        raise UntrustedPath(
            f"{folder} is not used: its file system leaves it open to other users "
            f"(mode {kept:04o})",
            service=service,
            hint=f"set AGENTNB_HOME to another disk, or accept it: {VARIABLE}={folder}",
        )
    if _writers(about):
        for inner in _tree(folder):
            reason = _owner(inner.lstat())
            if reason:
                raise UntrustedPath(
                    f"{folder} is not used: every user could write it, and {inner} is in it: "
                    f"{reason}",
                    service=service,
                    hint=f"remove what is not yours, or accept it: {VARIABLE}={folder}",
                )
    sys.stderr.write(
        f"agentnb: {folder} was open to other users (mode {mode:04o}); it is private now (0700)\n"
    )
    return folder


def _make(folder: Path) -> None:
    missing = []
    at = folder
    while not at.exists():
        missing.append(at)
        at = at.parent
    for around in reversed(missing[1:]):
        around.mkdir(mode=0o755, exist_ok=True)
    folder.mkdir(mode=0o700, exist_ok=True)


def _tree(folder: Path) -> Iterator[Path]:
    """Yield all that lies in a folder; links are not followed."""
    for around, folders, files in os.walk(folder):
        for name in (*folders, *files):
            yield Path(around, name)
