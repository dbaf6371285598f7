"""The doorbell: says that there may be something to do. It is never the truth.

Threads of this process are told by a condition; other processes by a list of the server's for each
agent, which is bounded and goes away by itself. A bell that is not heard costs a second, since
workers look by themselves, too.
"""

from __future__ import annotations

import threading
from contextlib import suppress
from secrets import token_hex
from time import monotonic
from typing import TYPE_CHECKING, Any, Protocol

from agentnb.core.errors import AgentnbError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["Bell", "Remote"]

_PAUSE = 2.0


class Remote(Protocol):
    """What carries the bell to other processes."""

    def send(self, ready: Mapping[str, int]) -> None:
        """Ring for some agents, so many times each."""

    def listen(self, agents: Iterable[str], seconds: float) -> bool:
        """Wait until it rings for one of some agents, and return whether it did."""

    def wake(self) -> None:
        """Let the one who listens go at once."""


class Bell:
    """The bell of one orchestrator.

    Parameters
    ----------
    remote
        Carries it to other processes; None for none.
    log
        Told once when it cannot.
    """

    def __init__(self, remote: Remote | None, log: Any) -> None:
        self._remote = remote
        self._log = log
        self._news = threading.Condition()
        self._count = 0
        self._to_send: dict[str, int] = {}
        self._closed = False
        self._sender: threading.Thread | None = None
        self._listener: threading.Thread | None = None
        self._agents: tuple[str, ...] = ()
        self._away = False

    @property
    def count(self) -> int:
        """How often it has rung here; see `wait`."""
        return self._count

    def ring(self, ready: Mapping[str, int] | None = None) -> None:
        """Wake those who wait here, and have those elsewhere woken who serve some agents."""
        with self._news:
            self._count += 1
            self._news.notify_all()
            if self._remote is None or not ready or self._closed:
                return
            for agent, number in ready.items():
                self._to_send[agent] = self._to_send.get(agent, 0) + number
            if self._sender is None:
                self._sender = threading.Thread(target=self._send, name="agentnb-bell", daemon=True)
                self._sender.start()

    def wait(self, seen: int, seconds: float) -> bool:
        """Wait until it has rung since a count, and return whether it has."""
        with self._news:
            return self._news.wait_for(lambda: self._count != seen or self._closed, seconds)

    def listen(self, agents: Iterable[str]) -> None:
        """Hear from now on what is rung elsewhere for some agents."""
        self._agents = tuple(agents)
        if self._remote is None or self._listener is not None:
            return
        self._listener = threading.Thread(target=self._hear, name="agentnb-bell", daemon=True)
        self._listener.start()

    def deafen(self) -> None:
        """Hear nothing more from elsewhere."""
        self._agents = ()
        listener, self._listener = self._listener, None
        if self._remote is None or listener is None or not listener.is_alive():
            return
        if not self._away:
            with suppress(AgentnbError):
                self._remote.wake()
        listener.join(_PAUSE)  # what it uses may be closed after that

    def _send(self) -> None:
        while True:
            with self._news:
                self._news.wait_for(lambda: self._to_send or self._closed)
                if self._closed:
                    return
                ready, self._to_send = self._to_send, {}
            self._try(lambda ready=ready: self._remote.send(ready))  # type: ignore[union-attr]  # there is one

    def _hear(self) -> None:
        me = threading.current_thread()
        while self._listener is me and not self._closed:
            if self._try(lambda: self._remote.listen(self._agents, 1.0)):  # type: ignore[union-attr]  # there is one
                self.ring()

    def _try(self, call: Any) -> Any:
        try:
            found = call()
        except AgentnbError as error:
            if not self._away and not self._closed:
                self._away = True
                self._log.warning("no bell to other processes, which look by themselves: %s", error)
            self._pause()
            return False
        self._away = False
        return found

    def _pause(self) -> None:
        until = monotonic() + _PAUSE
        with self._news:
            while not self._closed and (left := until - monotonic()) > 0:
                self._news.wait(left)

    def close(self) -> None:
        """Let everybody go who waits."""
        with self._news:
            self._closed = True
            self._news.notify_all()
        self.deafen()
        if self._sender is not None:
            self._sender.join(_PAUSE)


class RedisBell:
    """Carries the bell by a list for each agent on Redis.

    Parameters
    ----------
    redis
        A client without spans.
    key
        Given an agent's name, returns the list's key.
    """

    MOST = 64
    SECONDS = 60

    def __init__(self, redis: Any, key: Any) -> None:
        self._redis = redis
        self._key = key
        self._own = key(f".{token_hex(8)}")

    def send(self, ready: Mapping[str, int]) -> None:
        """Ring for some agents; a list that nobody hears is short, and soon gone."""
        pipeline = self._redis.publisher.pipeline(False)  # noqa: FBT003 - redis-py's own
        for agent, number in ready.items():
            key = self._key(agent)
            pipeline.lpush(key, *["1"] * min(number, self.MOST))
            pipeline.ltrim(key, 0, self.MOST - 1)
            pipeline.expire(key, self.SECONDS)
        pipeline.execute()

    def listen(self, agents: Iterable[str], seconds: float) -> bool:
        """Wait until it rings for one of some agents, on a connection of its own."""
        keys = [self._key(agent) for agent in agents]
        if not keys:
            return False
        found = self._redis.blpop([*keys, self._own], seconds)
        return found is not None

    def wake(self) -> None:
        """Ring for the one who listens here."""
        pipeline = self._redis.publisher.pipeline(False)  # noqa: FBT003 - redis-py's own
        pipeline.lpush(self._own, "1")
        pipeline.expire(self._own, self.SECONDS)
        pipeline.execute()
