"""The log of events on the server: one capped stream for all channels of a prefix."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from agentnb.core.events.scripts import END, READ

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from agentnb.core.redis import RedisClient

__all__ = ["Chunk", "Entry", "EventLog", "pairs"]

_STEP = 500


class Entry(NamedTuple):
    """One event of the log."""

    place: str
    id: str
    channel: str
    message: bytes


class Chunk(NamedTuple):
    """The entries that were read, and whether entries before them are missing."""

    gap: bool
    emptied: bool
    entries: list[Entry]


class EventLog:
    """Reads the log.

    Parameters
    ----------
    redis
        The client of the server.
    key
        The stream's key.
    name_of
        Gives a channel's name by its name on the server, None for what is no channel.
    """

    def __init__(self, redis: RedisClient, key: str, name_of: Callable[[str], str | None]) -> None:
        self._redis = redis
        self.key = key
        self._name_of = name_of

    def read(self, after: str, *, most: int = _STEP) -> Chunk:
        """Return the entries after a place, oldest first.

        Raises
        ------
        UnavailableError
            The server is away.
        """
        gap, entries = READ.run(self._redis, [self.key], [after, most])
        return Chunk(gap > 0, gap > 1, [self._entry(*entry) for entry in entries])

    def size(self) -> int:
        """Return the number of events."""
        return int(self._redis.execute_command("XLEN", self.key))

    def end(self) -> str:
        """Return the place of the last entry, ``"0-0"`` where there is none."""
        return str(END.run(self._redis, [self.key], []).decode())

    def backwards(self, *, upto: str = "+", since: str = "-") -> Iterator[Entry]:
        """Yield the entries, newest first."""
        while True:
            found: Any = self._redis.execute_command(
                "XREVRANGE", self.key, upto, since, "COUNT", _STEP
            )
            yield from (self._entry(*entry) for entry in found)
            if len(found) < _STEP:
                return
            upto = f"({found[-1][0].decode()}"

    def last(
        self, matches: Callable[[str], bool], n: int, *, upto: str = "+", since: str = "-"
    ) -> list[Entry]:
        """Return the last entries of channels that match, oldest first, each event once."""
        found: dict[str, Entry] = {}
        for entry in self.backwards(upto=upto, since=since) if n else ():
            if matches(entry.channel):
                # Of an event that a retry has put there twice, the first counts.
                found.pop(entry.id, None)
                found[entry.id] = entry
                if len(found) >= n:
                    break
        return list(reversed(found.values()))

    def ids(self, after: str) -> dict[str, str]:
        """Return the ids of the entries after a place, each with its own place."""
        found: dict[str, str] = {}
        while True:
            chunk = self.read(after)
            for entry in chunk.entries:
                found.setdefault(entry.id, entry.place)
            if len(chunk.entries) < _STEP:
                return found
            after = chunk.entries[-1].place

    def _entry(self, place: bytes, fields: Any) -> Entry:
        values = pairs(fields)
        on_server = values.get(b"c", b"").decode("utf-8", "surrogateescape")
        return Entry(
            place.decode(),
            values.get(b"id", b"").decode("utf-8", "replace"),
            self._name_of(on_server) or "",
            values.get(b"m", b""),
        )


def pairs(fields: Any) -> dict[bytes, bytes]:
    """Return an entry's fields: a script gives them in a row, redis-py has paired them."""
    if isinstance(fields, dict):
        return fields
    return dict(zip(fields[::2], fields[1::2], strict=True))
