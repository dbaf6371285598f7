"""Deliver events to inboxes: from this process, from the server, and from the log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.errors import UsageError
from agentnb.core.events.event import Event, place_number
from agentnb.core.events.glob import is_pattern
from agentnb.core.events.listener import Listener
from agentnb.core.events.wire import Malformed
from agentnb.core.forking import new_lock, new_rlock

if TYPE_CHECKING:
    import logging

    from agentnb.core.errors import AgentnbError
    from agentnb.core.events.dead import DeadLetter, DeadLetters
    from agentnb.core.events.delivery import Delivery
    from agentnb.core.events.inbox import Inbox
    from agentnb.core.events.log import Entry, EventLog
    from agentnb.core.events.subscription import Subscription
    from agentnb.core.events.wire import Wire
    from agentnb.core.redis import Keys, RedisClient

__all__ = ["Receiver"]


class Memory:
    """Remembers the latest ids, each with a value."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._known: dict[str, Any] = {}
        self._lock = new_lock()

    def first(self, key: str, value: Any = None) -> Any:
        """Return the value that an id was first remembered with, which may be this one."""
        with self._lock:
            known = self._known.setdefault(key, value)
            if len(self._known) > self._most:
                del self._known[next(iter(self._known))]
            return known

    def new(self, key: str) -> bool:
        """Return whether an id was not known, and remember it."""
        with self._lock:
            before = len(self._known)
            self._known[key] = None
            new = len(self._known) > before
            if len(self._known) > self._most:
                del self._known[next(iter(self._known))]
            return new

    def __contains__(self, key: str) -> bool:
        return key in self._known


class Receiver:
    """Gives each subscription its events, each once.

    Parameters
    ----------
    redis
        The client of the server.
    keys, wire
        Make and read names and messages.
    event_log, dead
        The log, and the dead letters of messages that cannot be decoded.
    source
        The identity of the bus.
    size
        Number of ids to remember, so that no event is delivered twice: more than the log has.
    log
        Logger of the connection.
    """

    def __init__(
        self,
        redis: RedisClient,
        keys: Keys,
        wire: Wire,
        event_log: EventLog,
        dead: DeadLetters,
        *,
        source: str,
        size: int,
        log: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._keys = keys
        self._wire = wire
        self._dead = dead
        self._source = source
        self._log = log
        self._lock = new_rlock()
        self._by_name: dict[bytes, list[Delivery]] = {}
        self._all: list[Delivery] = []
        self._routes: dict[str, list[Delivery]] = {}
        self._mine = Memory(2 * size)
        self._places = Memory(2 * size)
        self._ids = new_lock()
        self._coming = ""
        self._marked: tuple[bytes, Event, set[bytes]] | None = None
        self._marker = keys.internal("events-values").encode()
        self._listener = Listener(
            redis,
            event_log.key,
            heard=self._heard,
            stands=self._stands,
            lost=self._lost,
            log=log,
        )

    # Subscriptions

    @property
    def listens(self) -> bool:
        """Whether there are subscriptions."""
        return bool(self._all)

    @property
    def connected(self) -> bool:
        """Whether the connection is open."""
        return self._listener.connected

    @property
    def error(self) -> AgentnbError | None:
        """The error that ended the connection, None while it is open."""
        return self._listener.error

    def deliveries(self) -> list[Delivery]:
        """Return all, oldest first."""
        with self._lock:
            return list(self._all)

    def add(self, one: Delivery) -> None:
        """Subscribe on the server for a delivery."""
        name = self._server_name(one.pattern)
        with self._lock:
            self._all.append(one)
            self._by_name.setdefault(name.encode("utf-8", "surrogateescape"), []).append(one)
            self._routes = {}
            if len(self._all) == 1 and not self._keys.prefix:
                self._listener.add(self._marker.decode())
            # Also if the name is known: the answer says from where on this one stands.
            self._listener.add(name)

    def remove(self, which: str | Subscription) -> list[Delivery]:
        """Remove deliveries, and return them."""
        with self._lock:
            removed = [one for one in self._all if which in (one.subscription, one.pattern)]
            for one in removed:
                self._all.remove(one)
                name = self._server_name(one.pattern)
                raw = name.encode("utf-8", "surrogateescape")
                self._by_name[raw].remove(one)
                if not self._by_name[raw]:
                    del self._by_name[raw]
                    self._listener.remove(name)
            self._routes = {}
            return removed

    def close(self, seconds: float) -> None:
        """Close the connection."""
        if not self._listener.close(seconds):
            self._log.warning("the thread that listens for events has not ended")

    def _server_name(self, pattern: str) -> str:
        make = self._keys.channel_pattern if is_pattern(pattern) else self._keys.channel
        return make(pattern)

    # What this process publishes

    def deliver(self, event: Event, *, durable: bool = True) -> None:
        """Hand an event of this process to its subscribers, unless they have it."""
        live = self._route(event.channel) if self._all else []
        if not live:
            return
        with self._ids:
            # Another bus may have published this id before.
            new = event.id not in self._places and self._mine.new(event.id)
        if new:
            for one in live:
                if not (durable and one.inbox.rereads):
                    one.inbox.offer(event.copy())

    def _route(self, channel: str) -> list[Delivery]:
        routes = self._routes
        found = routes.get(channel)
        if found is None:
            with self._lock:
                found = [one for one in self._all if one.inbox.matches(channel)]
            if len(routes) < 10_000:  # noqa: PLR2004 - as many as need not be made anew
                routes[channel] = found
        return found

    # What the server says; called by the thread that listens

    def _lost(self) -> None:
        for one in self.deliveries():
            one.inbox.cut()

    def _stands(self, place: str, new: frozenset[str], missed: bool) -> None:  # noqa: FBT001 - as the listener calls it
        names = {name.encode("utf-8", "surrogateescape") for name in new}
        with self._lock:
            fresh = [one for name in names for one in self._by_name.get(name, ())]
            standing = [one for one in self._all if one.inbox.ready.is_set()]
        for one in standing:
            one.inbox.advance(place, missed=missed)
        for one in fresh:
            if not one.inbox.ready.is_set():
                one.inbox.begin(place, one.replay)
        if missed:
            self._dead.flush()

    def _heard(self, name: bytes, on_server: bytes, message: bytes) -> None:
        if on_server == self._marker:
            self._mark(message)
            return
        channel = self._keys.channel_name(on_server.decode("utf-8", "surrogateescape"))
        if channel is None or on_server.startswith(b"__"):
            return  # internal channels of agentnb and of the server
        event = self._marked_event(name, on_server, message)
        if event is None:
            event = self._read(channel, message)
        if event is not None:
            self._offer(name, event)

    def _offer(self, name: bytes, event: Event) -> None:
        number = place_number(event.place) if event.place else 0
        if event.id and not number and not self._places.new(f"{event.id} {name!r}"):
            return  # not in the log, and sent a second time
        with self._ids:
            if number and self._places.first(event.id, number) < number:
                return  # a retry has put the same event into the log a second time
            if event.source == self._source:
                again = not self._unseen(event.id)
            else:
                again = event.id in self._mine  # this bus has published the same id
        for one in self._by_name.get(name, ()):
            inbox = one.inbox
            if again and not (inbox.rereads and number):
                continue
            if inbox.ready.is_set():
                inbox.offer(event.copy(), number)

    def _unseen(self, own: str) -> bool:
        """Return whether an own event that the server sends was not delivered yet."""
        # It comes once for each name that is subscribed to, and at once.
        if own != self._coming and self._mine.new(own):
            self._coming = own
        return own == self._coming

    def _read(self, channel: str, message: bytes) -> Event | None:
        try:
            return self._wire.decode(channel, message)
        except Malformed as error:
            self._dead.add(channel, message, event_id="", handler="", error=error)
            return None

    def _mark(self, message: bytes) -> None:
        """Keep the envelope of the value that follows."""
        import msgspec

        envelope = msgspec.json.decode(message)["_agentnb"]
        event = self._wire.decode(envelope["channel"], message)
        on_server = event.channel.encode("utf-8", "surrogateescape")
        self._marked = (on_server, event, set())

    def _marked_event(self, name: bytes, on_server: bytes, message: bytes) -> Event | None:
        if self._marked is None:
            return None
        channel, event, names = self._marked
        if channel != on_server or event.raw != message or name in names:
            self._marked = None
            return None
        names.add(name)
        return event

    # What the log has

    def event(self, entry: Entry) -> Event | None:
        """Return the event of an entry, or None if it cannot be decoded."""
        try:
            return self._wire.decode(entry.channel, entry.message, entry.place)
        except Malformed:
            return None  # not written by agentnb

    def read(self, inbox: Inbox, entry: Entry) -> Event | None:
        """Return the event of an entry, or None if the inbox has received it."""
        event = self.event(entry)
        if event is None:
            return None
        number = place_number(entry.place)
        if self._places.first(event.id, number) < number:
            return None
        if event.source == self._source and not inbox.rereads and event.id in self._mine:
            return None
        return event

    def letter(self, letter: DeadLetter) -> Event:
        """Return the event of a dead letter.

        Raises
        ------
        UsageError
            The message cannot be decoded.
        """
        try:
            return self._wire.decode(letter.channel, letter.message)
        except Malformed as error:
            raise UsageError(
                f"the message cannot be decoded: {error}",
                service="events",
                hint="discard it: hub.events.discard(letter) (%events dead --discard ID)",
            ) from error
