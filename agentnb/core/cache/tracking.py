"""The connection on which the server reports changed keys."""

from __future__ import annotations

import contextlib
import select
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.background import BackgroundThread

if TYPE_CHECKING:
    import logging
    import threading
    from collections.abc import Callable

    from agentnb.core.redis import RedisClient

__all__ = ["Tracking"]

_CHUNK = 65536
_BEAT = 1.0
# Without a sign of life for this long, what the server would say may be lost.
_SILENCE = 3.0


class Tracking:
    """One connection with ``CLIENT TRACKING``, and the thread that reads it.

    Every change of a key that begins with the prefix is reported, by any client. Once the
    connection has ended it stays so: a new one takes a new `Tracking`.

    Parameters
    ----------
    redis
        The client of the server.
    prefix
        The start of the keys.
    lock
        Held while what was heard is told, and to be held by callers of `hears_all`.
    changed
        Told the keys that have changed, None for all.
    idle
        Asked now and then; the connection ends when it returns True.
    log
        Where its end is said, if nobody wanted it.
    """

    def __init__(
        self,
        redis: RedisClient,
        prefix: str,
        *,
        lock: threading.Lock,
        changed: Callable[[list[str] | None], None],
        idle: Callable[[], bool],
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        import hiredis

        self._pool = redis.subscriber.connection_pool
        self._prefix = prefix
        self._lock = lock
        self._changed = changed
        self._idle = idle
        self._log = log
        self._push = hiredis.PushNotification
        self._nothing = object()
        self._reader = hiredis.Reader(notEnoughData=self._nothing)
        self._socket: Any = None
        self._unread: Callable[[int], Any] | None = None
        self._heard = 0.0
        self._on = self._ended = False
        self.thread = BackgroundThread(self._run, name="cache-local", log=log, linger=0.0)
        self.thread.wake()

    def hears_all(self) -> bool:
        """Return whether everything that the server has said so far has been told."""
        return (
            self._on
            and self._unread is not None
            and not self._unread(0)
            and monotonic() - self._heard < _SILENCE
        )

    @property
    def on(self) -> bool:
        """Return whether changes are heard from now on."""
        return self._on

    def close(self) -> None:
        """End the connection, and wait until its thread has noticed."""
        with self._lock:
            self._ended = True
            if self._socket is not None:
                with contextlib.suppress(OSError):  # it has just ended by itself
                    self._socket.shutdown(2)
        self.thread.stop(_SILENCE)

    def _run(self) -> None:
        options = self._pool.connection_kwargs | {"protocol": 3}
        connection = self._pool.connection_class(**options)
        try:
            connection.connect()
            self._begin(connection)
            self._listen(connection)
        except Exception as error:  # noqa: BLE001 - without the connection no copies are served
            if not self._ended:
                self._log.info("copies in this process are not kept for now: %s", error)
        finally:
            with self._lock:
                self._on = False
                self._ended = True
                self._changed(None)
            connection.disconnect()

    def _begin(self, connection: Any) -> None:
        link = connection._sock  # noqa: SLF001 - from here on it is read by ourselves
        link.settimeout(0)
        poller = select.poll()
        poller.register(link, select.POLLIN)
        with self._lock:
            if self._ended:
                raise OSError("closed")
            self._socket, self._unread = link, poller.poll
        prefix = ("PREFIX", self._prefix) if self._prefix else ()
        self._say(connection, "CLIENT", "TRACKING", "ON", "BCAST", *prefix)

    def _say(self, connection: Any, *words: str) -> None:
        for data in connection.pack_command(*words):
            self._socket.sendall(data)

    def _listen(self, connection: Any) -> None:
        # A poll of its own: one object is not for two threads.
        poller = select.poll()
        poller.register(self._socket, select.POLLIN)
        said = monotonic()
        while not self._ended and not self._idle():
            if poller.poll(_BEAT * 1000):
                # While it waits for the lock, what is unread can be seen to be so.
                with self._lock:
                    self._read()
            now = monotonic()
            if now - said >= _BEAT:
                said = now
                self._say(connection, "PING")

    def _read(self) -> None:
        import ssl

        while True:
            try:
                data = self._socket.recv(_CHUNK)
            except (BlockingIOError, ssl.SSLWantReadError):
                break
            if not data:
                raise OSError("the server ended the connection")
            self._reader.feed(data)
        while (said := self._reader.gets()) is not self._nothing:
            self._take(said)
        self._heard = monotonic()
        if self._reader.has_data():
            self._changed(None)  # half of something: it is not known of which key

    def _take(self, said: Any) -> None:
        if isinstance(said, Exception):
            raise said
        if not isinstance(said, self._push):
            self._on = True  # the answer to the first command, or to a PING
        elif said[0] == b"invalidate":
            keys = said[1]
            self._changed(
                None if keys is None else [key.decode("utf-8", "surrogateescape") for key in keys]
            )
