"""Wake-ups between processes, on Redis: never the truth, a lost one costs half a second."""

from __future__ import annotations

from secrets import token_hex
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

__all__ = ["RedisWakeup"]


class RedisWakeup:
    """Wakes workers of other processes by a list for each agent on Redis.

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
        self._redis, self._publisher = redis, redis.publisher.untraced
        self._key = key
        self._own = key(f".{token_hex(8)}")

    def send(self, ready: Mapping[str, int]) -> None:
        """Wake workers of some agents; a list that nobody reads is short, and soon gone."""
        pipeline = self._publisher.pipeline(False)  # noqa: FBT003 - redis-py's own
        for agent, number in ready.items():
            key = self._key(agent)
            pipeline.lpush(key, *["1"] * min(number, self.MOST))
            pipeline.ltrim(key, 0, self.MOST - 1)
            pipeline.expire(key, self.SECONDS)
        pipeline.execute()

    def listen(self, topics: Iterable[str], seconds: float) -> bool:
        """Wait for a wake-up for one of some agents, on a connection of its own."""
        keys = [self._key(agent) for agent in topics]
        if not keys:
            return False
        found = self._redis.blpop([*keys, self._own], seconds)
        return found is not None

    def wake(self) -> None:
        """Let the thread that listens here return."""
        pipeline = self._publisher.pipeline(False)  # noqa: FBT003 - redis-py's own
        pipeline.lpush(self._own, "1")
        pipeline.expire(self._own, self.SECONDS)
        pipeline.execute()
