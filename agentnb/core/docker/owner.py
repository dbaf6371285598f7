"""Ownership of containers and images: labels, and locks that show whether a process lives."""

from __future__ import annotations

import fcntl
import os
import secrets
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

from agentnb.core.errors import ConfigError
from agentnb.core.flock import release
from agentnb.core.forking import ForkGuard
from agentnb.core.trust import private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

__all__ = ["IMAGE", "KEEP", "NAME", "OWNER", "POLICY", "SESSION", "Owner", "is_ours", "tag_is_ours"]

OWNER = "agentnb.container.owner"
NAME = "agentnb.container.name"
SESSION = "agentnb.container.session"
KEEP = "agentnb.container.keep"
POLICY = "agentnb.container.policy"
IMAGE = "agentnb.image"

_MODE = 0o600


class Owner:
    """The owner of containers: a home, and within it the session of one process.

    A home's id is in its folder, so that all of its kernels see the same containers, and nobody
    else's. A session holds a lock on a file of its name, which the system drops even when the
    process is killed.

    Parameters
    ----------
    home
        The home's folder; None for one that this user's processes without a home share.

    Raises
    ------
    ConfigError
        The folder cannot be written to.
    """

    def __init__(self, home: Path | None) -> None:
        shared = Path(tempfile.gettempdir()) / f"agentnb-docker-{os.getuid()}"
        self._folder = shared if home is None else home / "docker"
        self.session = secrets.token_hex(8)
        self.fork = ForkGuard()
        try:
            private_folder(self._folder, service="docker")
            self.id = _id_in(self._folder)
            self._lock = os.open(self._file(self.session), os.O_RDWR | os.O_CREAT, _MODE)
            fcntl.flock(self._lock, fcntl.LOCK_EX)
        except OSError as error:
            raise ConfigError(
                f"there is no place to note down which containers are whose: {error}",
                service="docker",
                hint="AGENTNB_HOME is a folder that can be written to",
            ) from error

    def _file(self, session: str) -> Path:
        return self._folder / f"{session}.session"

    @property
    def filters(self) -> dict[str, list[str]]:
        """The engine's filter for this home's containers and networks."""
        return {"label": [f"{OWNER}={self.id}"]}

    def labels(self, name: str, policy: str, *, keep: bool) -> dict[str, str]:
        """Return a container's labels: all of them, since others are inherited from the image."""
        return {
            OWNER: self.id,
            NAME: name,
            POLICY: policy,
            SESSION: "" if keep else self.session,
            KEEP: "true" if keep else "",
        }

    def image_labels(self, tag: str) -> dict[str, str]:
        """Return an image's label."""
        return {IMAGE: f"{self.id}/{tag}"}

    def is_dead(self, session: str) -> bool:
        """Return whether the process of a session has ended; its file is removed then."""
        if session == self.session or not session.isalnum():
            return False
        try:
            descriptor = os.open(self._file(session), os.O_RDWR)
        except FileNotFoundError:
            return True
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
            self._file(session).unlink(missing_ok=True)
        except BlockingIOError:
            return False
        finally:
            release(descriptor)
        return True

    @contextmanager
    def alone(self, name: str) -> Iterator[None]:
        """Keep the home's other processes and threads out of a block of the same name."""
        lock = os.open(self._folder / f"{name}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, _MODE)
        try:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield
        finally:
            release(lock)

    def close(self) -> None:
        """Release the session."""
        if not self.fork.forked:
            self._file(self.session).unlink(missing_ok=True)
        os.close(self._lock)


def is_ours(labels: Mapping[str, str] | None, name: str, owner: str) -> bool:
    """Return whether a container or a network belongs to an owner.

    An image's labels are those of every container made of it, by whomever. None can know the
    container's name, so that has to be right, too; one that was renamed has been taken over.
    """
    found = labels or {}
    return found.get(OWNER) == owner and found.get(NAME) == name.lstrip("/")


def tag_is_ours(image: Mapping[str, Any], owner: str) -> bool:
    """Return whether an image was built by an owner, under a tag that it still has.

    One that others have built upon it inherits the label, yet not the tag.
    """
    label = (image.get("Labels") or {}).get(IMAGE, "")
    return any(label == f"{owner}/{tag}" for tag in image.get("RepoTags") or ())


def _id_in(folder: Path) -> str:
    """Return the folder's id, which the first who asks gives to it."""
    path = folder / "owner"
    made = secrets.token_hex(8)
    fresh = folder / f"owner.{made}"
    if not path.exists():
        fresh.touch(mode=0o600)
        fresh.write_text(made, encoding="ascii")
        try:
            os.link(fresh, path)  # fails where somebody was quicker
        except FileExistsError:
            pass
        finally:
            fresh.unlink()
    return path.read_text(encoding="ascii").strip()
