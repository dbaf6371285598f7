"""The events that wait for one handler: bounded, in order, completed from the log."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Any

from agentnb.core.events.event import Event, place_number
from agentnb.core.forking import new_event, new_lock
from agentnb.core.ranges import choice, whole

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.events.log import Entry, EventLog

__all__ = ["OVERFLOWS", "Inbox"]

OVERFLOWS = ("drop_oldest", "drop_newest", "reread")
_CHUNK = 200


class Inbox:
    """The events that one subscription has not handled yet.

    It knows the position of the log up to which it is complete. Events that it missed, while
    the connection was lost or since it was full and must not drop, it reads from the log.
    Meanwhile it is *behind*: it ignores logged events from the connection, and continues in
    order once it has caught up.

    Parameters
    ----------
    pattern, matches
        The pattern, and the function that matches channels.
    limit
        Maximum number of waiting events.
    overflow
        ``"drop_oldest"``, ``"drop_newest"`` or ``"reread"``.
    log
        The log.
    read
        Returns the event of an entry of the log, None for one that was received.

    Attributes
    ----------
    wake, on_ready
        Called, with the lock held, when an event waits, and once the server has confirmed the
        subscription.
    """

    def __init__(
        self,
        pattern: str,
        matches: Callable[[str], bool],
        *,
        limit: int,
        overflow: str,
        log: EventLog,
        read: Callable[[Inbox, Entry], Event | None],
    ) -> None:
        choice("overflow", overflow, OVERFLOWS, service="events")
        limit = whole("queue", limit, service="events")
        self.pattern = pattern
        self.matches = matches
        self.rereads = overflow == "reread"
        self.lock = new_lock()
        self.dropped = self.gaps = 0
        self.closed = False
        self.ready = new_event()
        self.behind = False
        self._limit = limit
        self._newest = overflow == "drop_newest"
        self._log = log
        self._event = read
        self.wake: Callable[[], None] = _nothing
        self.on_ready: Callable[[], None] = _nothing
        self._queue: deque[Event] = deque()
        self._later: deque[Event] = deque()
        self._place = 0
        self._place_text = "0-0"
        self._target = 0
        self._replay = 0
        self._cut = False

    def __len__(self) -> int:
        return len(self._queue) + len(self._later)

    def begin(self, place: str, replay: int) -> None:
        """Start at a position of the log, after replaying earlier events."""
        with self.lock:
            self._move(place)
            self._replay = replay
            self.behind = replay > 0
            self._target = self._place
            self.ready.set()
            self.on_ready()
            if self.behind:
                self.wake()

    def cut(self) -> None:
        """Record that the connection was lost, so that the next one may have a gap before it."""
        with self.lock:
            self._cut = True

    def advance(self, place: str, *, missed: bool) -> None:
        """Record the log's position, and whether events before it were missed."""
        with self.lock:
            number = place_number(place)
            if missed:
                self._cut = False
            if self.closed or (number == self._place and self._target <= number):
                return
            if missed or self.behind:
                self.behind = True
                self._target = max(self._target, number)
                if missed:
                    self.wake()
            else:
                self._move(place)

    def offer(self, event: Event, number: int = 0) -> None:
        """Add an event.

        Parameters
        ----------
        number
            Its position in the log as a number, if it came from the server and is logged.
        """
        with self.lock:
            if self.closed:
                return
            queue = self._later if self.behind or self._later else self._queue
            if number:
                if number <= self._place:
                    return
                if self.behind or self._cut:
                    self._target = max(self._target, number)
                    return
                if self.rereads and len(queue) >= self._limit:
                    self.behind, self._target = True, number
                    return
                self._place, self._place_text = number, event.place or "0-0"
            if len(queue) >= self._limit:
                self.dropped += 1
                if self._newest:
                    return
                queue.popleft()
            queue.append(event)
            self.wake()

    def put(self, event: Event) -> None:
        """Add an event although the inbox is full: a dead letter that is replayed."""
        with self.lock:
            if not self.closed:
                self._queue.append(event)
                self.wake()

    def waiting(self) -> bool:
        """Return whether an event waits; call it with the lock held."""
        return bool(self._queue or self.behind or self._later)

    def take(self) -> Event | None:
        """Return the next event, or None if there is none now.

        Raises
        ------
        AgentnbError
            The event has to be read from the log, and the server is away.
        """
        while not self.closed:
            with self.lock:
                if self._queue:
                    return self._queue.popleft()
                if not self.behind:
                    if not self._later:
                        return None
                    self._queue, self._later = self._later, self._queue
                    continue
                replay, after, target = self._replay, self._place_text, self._target
            if replay:
                self._repeat(replay, after)
            else:
                self._catch_up(after, target)
        return None

    def _repeat(self, replay: int, upto: str) -> None:
        found = self._log.last(self.matches, replay, upto=upto) if upto != "0-0" else []
        events = self._read(found)
        with self.lock:
            self._replay = 0
            self._queue.extend(events)
            self.behind = self._target > self._place

    def _catch_up(self, after: str, target: int) -> None:
        """Read some of the log; what it says of the part before the target is complete."""
        chunk = self._log.read(after, most=_CHUNK)
        events: list[Event] = []
        if chunk.gap:
            first = chunk.entries[0].place if chunk.entries else None
            events.append(_gap(self.pattern, after, first))
        events += self._read(chunk.entries)
        with self.lock:
            self.gaps += chunk.gap
            if chunk.emptied:
                # Positions may start again, so earlier ones are meaningless.
                self._place, self._place_text = 0, "0-0"
                self._target = target = 0
            if chunk.entries:
                self._move(chunk.entries[-1].place)
            self._queue.extend(events)
            if len(chunk.entries) < _CHUNK and self._place < target:
                self._place = target
                self._place_text = f"{target >> 64}-{target & (2**64 - 1)}"
            more = chunk.emptied or len(chunk.entries) == _CHUNK
            self.behind = more or self._place < self._target

    def _read(self, entries: list[Entry]) -> list[Event]:
        mine = [entry for entry in entries if self.matches(entry.channel)]
        return [event for entry in mine if (event := self._event(self, entry)) is not None]

    def _move(self, place: str) -> None:
        self._place, self._place_text = place_number(place), place

    def close(self) -> None:
        """Close the inbox and drop waiting events."""
        with self.lock:
            self.closed = True
            self._queue.clear()
            self._later.clear()
            self.behind = False
            self.ready.set()
            self.on_ready()
            self.wake()


def _nothing() -> None:
    """Stand in for `Inbox.wake` and `Inbox.on_ready`."""


def _gap(pattern: str, after: str, before: str | None) -> Event:
    import msgspec

    data: dict[str, Any] = {"after": after, "before": before}
    event = Event("", pattern, msgspec.json.encode(data))
    event.gap = True
    return event
