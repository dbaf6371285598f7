"""The embedded server: one per home, shared by every process, gone when nobody needs it."""

from __future__ import annotations

import os
import sys
import time
import weakref
from contextlib import contextmanager
from typing import TYPE_CHECKING

from agentnb.core.errors import ConfigError, DeadlineExceeded, UnavailableError
from agentnb.core.forking import new_lock
from agentnb.core.redis.binary import find_binary, write_record
from agentnb.core.redis.locks import is_free, lock, locked
from agentnb.core.redis.probe import ask_version, is_up
from agentnb.core.redis.server_paths import find_server_paths
from agentnb.core.redis.starting import explain, start, wait
from agentnb.core.trace.servicelog import ServiceLog

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agentnb.core.resilience import Deadline

__all__ = ["EmbeddedServer"]

_PAUSE = 0.003
_servers: weakref.WeakSet[EmbeddedServer] = weakref.WeakSet()


class EmbeddedServer:
    """One user's end of the server of a home.

    The first user starts it, with its data in ``home/redis``; it is stopped a moment after
    the last user has left, also when that was killed. It listens on a unix socket only.

    Parameters
    ----------
    home
        The home folder.
    grace
        Seconds that it goes on for after the last user has left.
    log
        Where starts are logged; default: the logger ``agentnb.redis``.

    Raises
    ------
    ConfigError
        The system is one for which there is no server, such as Windows.
    """

    def __init__(self, home: Path, *, grace: float = 1.0, log: ServiceLog | None = None) -> None:
        if sys.platform == "win32":
            raise ConfigError(
                "there is no embedded server on Windows",
                service="redis",
                hint="set REDIS_URL to a Redis or Valkey that runs elsewhere",
            )
        self.home = home
        self.paths = find_server_paths(home)
        self._grace = grace
        self._log = log or ServiceLog("redis")
        self._users: int | None = None
        self._seen_up = False
        self._guard = new_lock()
        _servers.add(self)

    @property
    def joined(self) -> bool:
        """Return whether the server is kept for this user."""
        return self._users is not None

    @property
    def seen_up(self) -> bool:
        """Return whether it has answered since this user joined: it may be connected to."""
        return self._seen_up

    def ensure(self, deadline: Deadline) -> bool:
        """Be a user of the server, and start it if it is not there; return whether it was not.

        Raises
        ------
        ConfigError
            There is no program, no place for the data, or the data cannot be read.
        UnavailableError
            It did not start, or does not answer, in time.
        """
        with self._alone(deadline):
            self._join(deadline)
            try:
                started = not is_up(self.paths.socket, deadline.remaining())
                if started:
                    self._bring_up(deadline)
                self._seen_up = True
            except DeadlineExceeded:
                raise
            except TimeoutError as error:
                raise DeadlineExceeded(
                    "the embedded server does not answer",
                    service="redis",
                    hint="it may be busy with a long command, or be stopped; try again",
                ) from error
            except OSError as error:
                raise ConfigError(
                    f"the embedded server cannot be used: {error}",
                    service="redis",
                    hint="set AGENTNB_HOME to a folder that you may write to, or REDIS_URL",
                ) from error
        return started

    def leave(self) -> None:
        """Need the server no longer; the next `ensure` needs it again."""
        self._seen_up = False
        users, self._users = self._users, None
        if users is not None:
            os.close(users)

    def _join(self, deadline: Deadline) -> None:
        path = self.paths.locks / "users.lock"
        if self._users is not None and not _same_file(self._users, path):
            self.leave()  # the home was deleted: what is held there keeps nothing alive
        if self._users is None:
            self.paths.make()
            self._users = lock(path, deadline, shared=True)

    def _bring_up(self, deadline: Deadline) -> None:
        paths = self.paths
        with locked(paths.locks / "start.lock", deadline):
            while deadline.expired or not is_up(paths.socket, deadline.remaining()):
                # A server that has the data open is starting or stopping: it decides by itself.
                if is_free(paths.locks / "data.lock"):
                    self._start(deadline)
                    return
                if deadline.expired:
                    raise UnavailableError(
                        f"the embedded server of {self.home} is not up yet, or another one has "
                        "its data open",
                        service="redis",
                        hint=f"see {paths.data / 'running'} and {paths.data / 'server.log'}",
                    )
                time.sleep(_PAUSE)

    def _start(self, deadline: Deadline) -> None:
        program = find_binary()
        begun = time.perf_counter()
        failure = wait(start(self.paths, program, self._grace), self.paths.socket, deadline)
        if failure is not None:
            raise explain(failure, program, self.paths)
        version = ask_version(self.paths.socket, deadline.remaining())
        if version is not None:
            write_record(self.paths.data, version)
        ms = (time.perf_counter() - begun) * 1000
        self._log.info("embedded server started in %.0f ms: %s", ms, version)

    @contextmanager
    def _alone(self, deadline: Deadline) -> Iterator[None]:
        guard = self._guard
        left = deadline.remaining()
        if not guard.acquire(timeout=-1 if left is None else left):
            deadline.check("redis", "starting the embedded server")
        try:
            yield
        finally:
            guard.release()

    def _forked(self) -> None:
        # Another thread of the parent's may have held it; the users' lock is inherited and good.
        self._guard = new_lock()

    def __repr__(self) -> str:
        return f"EmbeddedServer({str(self.home)!r})"


def _same_file(descriptor: int, path: Path) -> bool:
    try:
        return os.path.samestat(os.fstat(descriptor), path.stat())
    except OSError:
        return False


def _reset_inherited() -> None:
    for server in list(_servers):
        server._forked()  # noqa: SLF001 - its own module's class


if hasattr(os, "register_at_fork"):  # not on Windows, which has no fork
    os.register_at_fork(after_in_child=_reset_inherited)
