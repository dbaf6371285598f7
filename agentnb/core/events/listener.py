"""The connection that events arrive on, and the thread that reads it."""

from __future__ import annotations

import contextlib
import selectors
from collections import deque
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.background import BackgroundThread
from agentnb.core.errors import AgentnbError
from agentnb.core.events.glob import is_pattern
from agentnb.core.events.scripts import END
from agentnb.core.forking import new_rlock
from agentnb.core.redis.connection import Parser
from agentnb.core.redis.errors import translate

if TYPE_CHECKING:
    import logging
    from collections.abc import Callable

    from agentnb.core.redis import RedisClient

__all__ = ["Listener"]

_CHUNK = 65536
# Seconds after which the server is asked where the log ends, and after which a connection on
# which nothing is heard is taken for dead.
_BEAT = 2.0
_SILENCE = 6.0
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 2.0


class Listener:
    """Keeps channels subscribed, and reconnects whenever the connection is lost.

    After each subscription, each new connection and every two seconds it asks the server where
    the log ends. Since answers come in order with messages, all that stands in the log up to
    there has been heard by then, or was published before.

    Parameters
    ----------
    redis
        The client of the server.
    log_key
        The key of the log.
    heard
        Told each message: the name on the server that was subscribed to, the channel's name
        there, the message.
    stands
        Told where the log ended, the names that are subscribed to for the first time, and
        whether the connection is a new one.
    lost
        Told that the connection is gone.
    log
        Logger of the connection.
    """

    def __init__(
        self,
        redis: RedisClient,
        log_key: str,
        *,
        heard: Callable[[bytes, bytes, bytes], None],
        stands: Callable[[str, frozenset[str], bool], None],
        lost: Callable[[], None],
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._redis = redis
        self._pool = redis.subscriber.connection_pool
        self._log_key = log_key
        self._heard_message = heard
        self._stands = stands
        self._lost = lost
        self._log = log
        self._lock = new_rlock()
        self._names: list[str] = []
        self._asked: deque[tuple[frozenset[str], bool]] = deque()
        self._connection: Any = None
        self._thread = BackgroundThread(self._serve, name="events", log=log)
        self._failures = 0
        self._missed = False
        self._last_heard = self._last_asked = 0.0
        self.error: AgentnbError | None = None
        """Why there is no connection, while there is none."""

    @property
    def connected(self) -> bool:
        """Return whether there is a connection."""
        return self._connection is not None

    def add(self, name: str) -> None:
        """Subscribe to a channel, or to a pattern of channels."""
        with self._lock:
            if name not in self._names:
                self._names.append(name)
            if not self._thread.alive:
                self._thread.wake()
            elif self._connection is not None:
                self._try_to_say(name, _verb(name), frozenset({name}))

    def remove(self, name: str) -> None:
        """End a subscription."""
        with self._lock:
            if name in self._names:
                self._names.remove(name)
                if self._connection is not None:
                    self._try_to_say(name, "P" * is_pattern(name) + "UNSUBSCRIBE", None)

    def _try_to_say(self, name: str, verb: str, new: frozenset[str] | None) -> None:
        try:
            self._say(verb, _raw(name))
            if new is not None:
                self._ask(new, missed=False)
        except Exception as error:  # noqa: BLE001 - the thread notices, and connects anew
            self._log.debug("the connection ended while it was spoken on: %s", error)
            self._abort()

    def _say(self, *words: str | bytes) -> None:
        for data in self._connection.pack_command(*words):
            self._connection._sock.sendall(data)  # noqa: SLF001 - it is read by ourselves, too

    def _ask(self, new: frozenset[str], *, missed: bool) -> None:
        self._asked.append((new, missed))
        self._last_asked = monotonic()
        self._say("EVAL", END.text, "1", self._log_key)

    def _serve(self) -> float:
        """Listen on one connection until it ends; return the seconds until the next one."""
        try:
            self._connect(missed=self._missed)
            self._missed, self._failures = True, 0
            self._listen()
        except Exception as error:  # noqa: BLE001 - every end is followed by another connection
            if not self._thread.stopping:
                self._failures += 1
                self._say_why(error, self._failures)
        finally:
            self._disconnect()
        return min(self._failures * _FIRST_PAUSE, _LONGEST_PAUSE)

    def _say_why(self, error: Exception, failures: int) -> None:
        ours = translate(error, self._redis.target, self._redis.timeout)
        self.error = ours if isinstance(ours, AgentnbError) else None
        level = self._log.warning if failures == 1 else self._log.debug
        level("events: the connection is gone, and made again: %s", ours or error)

    def _connect(self, *, missed: bool) -> None:
        options = self._pool.connection_kwargs | {"protocol": 3}
        connection = self._pool.connection_class(**options)
        connection.connect()
        connection._sock.settimeout(_BEAT)  # noqa: SLF001 - from here on it is read by ourselves
        with self._lock:
            if self._thread.stopping:
                connection.disconnect()
                return
            self._asked.clear()
            self._connection = connection
            self._last_heard = monotonic()
            for name in self._names:
                self._say(_verb(name), _raw(name))
            self._ask(frozenset(self._names), missed=missed)
            self.error = None
        if missed:
            self._log.info("events: connected again")

    def _listen(self) -> None:
        import hiredis

        nothing = object()
        push = hiredis.PushNotification
        reader = hiredis.Reader(notEnoughData=nothing)
        connection = self._connection
        link = None if connection is None else connection._sock  # noqa: SLF001 - as above
        if link is None:
            return
        with selectors.DefaultSelector() as selector:
            selector.register(link, selectors.EVENT_READ)
            while not self._thread.stopping:
                if not selector.select(_BEAT):
                    self._beat()
                    continue
                reader.feed(self._received(link))
                while (said := reader.gets()) is not nothing:
                    if not isinstance(said, push):
                        self._answered(said)
                    elif said[0] == b"message":
                        self._heard_message(said[1], said[1], said[2])
                    elif said[0] == b"pmessage":
                        self._heard_message(said[1], said[2], said[3])
                if self._last_heard - self._last_asked > _BEAT:
                    self._beat()

    def _received(self, link: Any) -> bytes:
        # Under the lock, since TLS is not for two threads at once.
        with self._lock:
            data: bytes = link.recv(_CHUNK)
            while data and hasattr(link, "pending") and link.pending():
                data += link.recv(_CHUNK)
        if not data:
            raise ConnectionResetError("the server ended the connection")
        self._last_heard = monotonic()
        return data

    def _answered(self, said: Any) -> None:
        new, missed = self._asked.popleft()
        if isinstance(said, Exception):
            raise Parser.parse_error(str(said))  # type: ignore[no-untyped-call]  # redis-py's own
        self._stands(said.decode(), new, missed)

    def _beat(self) -> None:
        if self._asked and monotonic() - self._last_heard > _SILENCE:
            raise TimeoutError("nothing is heard of the server")
        with self._lock:
            if self._connection is not None and not self._asked:
                self._ask(frozenset(), missed=False)

    def _abort(self) -> None:
        with self._lock:
            if self._connection is not None and self._connection._sock is not None:  # noqa: SLF001 - as above
                with contextlib.suppress(OSError):  # it has just ended by itself
                    self._connection._sock.shutdown(2)  # noqa: SLF001 - as above

    def _disconnect(self) -> None:
        with self._lock:
            connection, self._connection = self._connection, None
        if connection is not None:
            connection.disconnect()
            self._lost()

    def close(self, seconds: float) -> bool:
        """Close the connection, and return whether the thread has ended in time."""
        self._thread.stop(0.0)
        self._abort()
        return self._thread.stop(seconds)


def _verb(name: str) -> str:
    return "PSUBSCRIBE" if is_pattern(name) else "SUBSCRIBE"


def _raw(name: str) -> bytes:
    return name.encode("utf-8", "surrogateescape")
