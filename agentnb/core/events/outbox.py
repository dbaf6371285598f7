"""Keep events while the server is away, in order and bounded, and send each once."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from time import monotonic
from typing import TYPE_CHECKING, Any

from agentnb.core.background import BackgroundThread
from agentnb.core.errors import AgentnbError, RejectedError, UnavailableError
from agentnb.core.events.event import place_number
from agentnb.core.events.scripts import PLAIN, PUBLISH
from agentnb.core.forking import new_event, new_lock

if TYPE_CHECKING:
    import logging

    from agentnb.core.events.event import Event
    from agentnb.core.events.log import EventLog
    from agentnb.core.redis import RedisClient

__all__ = ["Letter", "Outbox"]

_BATCH = 100
_FIRST_PAUSE, _LONGEST_PAUSE = 0.05, 1.0
# Seconds that `check` waits for the first batch.
_FIRST_WAIT = 0.3


@dataclass(slots=True)
class Letter:
    """An event on its way to the server.

    Parameters
    ----------
    event
        The event.
    arguments
        The arguments of the script that publishes it.
    durable
        Keep the event in the log.
    after
        A position in the log behind which it stands, if it may have been sent already.
    """

    event: Event
    arguments: list[Any]
    durable: bool
    after: str | None = None


class Outbox:
    """Keeps letters while the server is away, and sends them in order once it is back.

    A letter that may have arrived is looked up in the log first, so that it is not sent twice.

    Parameters
    ----------
    redis
        The client to send with.
    log
        The log.
    limit
        Maximum number of letters.
    logger
        Logger of outages.
    """

    def __init__(
        self,
        redis: RedisClient,
        log: EventLog,
        *,
        limit: int,
        logger: logging.LoggerAdapter[logging.Logger],
    ) -> None:
        self._redis = redis
        self._log = log
        self.limit = limit
        self._logger = logger
        self._lock = new_lock()
        self._letters: deque[Letter] = deque()
        self._empty = new_event()
        self._empty.set()
        self._flows: bool | None = False  # None: not known yet
        self._began: float | None = None  # while letters wait
        self._total = 0
        self._pause = _FIRST_PAUSE
        self._thread = BackgroundThread(self._flush, name="events-outbox", log=logger, linger=0.0)

    def __len__(self) -> int:
        return len(self._letters)

    def check(self) -> bool:
        """Return whether letters wait, so that another one has to queue behind them.

        While letters are being sent it waits for them, so that a fast publisher does not fill
        the outbox of a server that is up.

        Raises
        ------
        UnavailableError
            The outbox is full.
        """
        until = monotonic() + _FIRST_WAIT
        while self._letters and (self._flows or (self._flows is None and monotonic() < until)):
            self._empty.wait(0.02)
        if len(self._letters) >= self.limit:
            raise UnavailableError(
                f"the outbox is full: {self.limit:,} events wait for {self._redis.target}; "
                "this event was not published",
                service="events",
                hint="publish again once the server is back; AGENTNB_EVENTS_OUTBOX sets the limit",
            )
        return bool(self._letters)

    def add(self, letter: Letter) -> None:
        """Keep a letter, and send it as soon as the server is back."""
        letter.event.pending = True
        with self._lock:
            self._letters.append(letter)
            self._empty.clear()
            begins = self._began is None
            if begins:
                self._began, self._total, self._pause = monotonic(), 0, _FIRST_PAUSE
                self._flows = None
        if begins:
            self._logger.warning("events wait for %s in the outbox", self._redis.target)
            self._thread.wake()

    def wait(self, seconds: float) -> bool:
        """Wait until the outbox is empty; return whether it is within the seconds given."""
        return self._empty.wait(seconds)

    def close(self, seconds: float) -> int:
        """Send letters for the seconds given, and return the number left."""
        self._empty.wait(seconds if self._letters else 0)
        self._thread.stop(0.0)
        return len(self._letters)

    def _flush(self) -> float | None:
        """Send a batch, and return the seconds until the next one; None once all are sent."""
        with self._lock:
            batch = [self._letters[n] for n in range(min(_BATCH, len(self._letters)))]
            began, total = self._began, self._total
            if not batch:
                self._flows, self._began = False, None
        if not batch:
            seconds = monotonic() - (began or monotonic())
            self._logger.info("%d events that waited were sent, after %.1f s", total, seconds)
            with self._lock:
                if not self._letters:  # after its line, for those who wait for it
                    self._empty.set()
            return None
        try:
            self._total += self._send(batch)
        except AgentnbError as error:
            self._flows = False
            self._logger.debug("events still wait: %s", error)
            pause, self._pause = self._pause, min(self._pause * 2, _LONGEST_PAUSE)
            return pause
        self._flows = True
        self._pause = _FIRST_PAUSE
        return 0.0

    def _send(self, batch: list[Letter]) -> int:
        """Send a batch, and return its size; an error marks the letters that may have arrived."""
        left = self._not_arrived(batch)
        last = self._log.end()
        try:
            replies = self._post(left)
            for letter, reply in zip(left, replies, strict=True):
                if isinstance(reply, Exception):
                    raise RejectedError(
                        str(reply),
                        service="events",
                        hint="the event waits in the outbox until the server accepts it",
                    ) from reply
                self._sent(letter, reply.decode() if letter.durable else None)
        except AgentnbError:
            # Later letters of the batch may have arrived, too: the next attempt looks them up.
            for letter in left:
                if letter.event.pending:
                    letter.after = letter.after or last
            raise
        return len(batch)

    def _not_arrived(self, batch: list[Letter]) -> list[Letter]:
        doubtful = [letter for letter in batch if letter.after is not None and letter.durable]
        if doubtful:
            there = self._log.ids(
                min((letter.after or "0-0" for letter in doubtful), key=place_number)
            )
            for letter in doubtful:
                if letter.event.id in there:
                    self._sent(letter, there[letter.event.id])
        return [letter for letter in batch if letter.event.pending]

    def _post(self, batch: list[Letter]) -> list[Any]:
        if not batch:
            return []
        with self._redis.pipeline(transaction=False) as pipe:
            for letter in batch:
                script, keys = (PUBLISH, 1) if letter.durable else (PLAIN, 0)
                pipe.execute_command("EVAL", script.text, keys, *letter.arguments)
            return list(pipe.execute(raise_on_error=False))

    def _sent(self, letter: Letter, place: str | None) -> None:
        letter.event.place = place
        letter.event.pending = False
        with self._lock:
            if self._letters and self._letters[0] is letter:
                self._letters.popleft()
            else:
                self._letters.remove(letter)
