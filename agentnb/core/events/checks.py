"""Check the arguments of an event bus's methods."""

from __future__ import annotations

import datetime as dt

from agentnb.core.errors import UsageError
from agentnb.core.events.dead import DeadLetter
from agentnb.core.ranges import LONGEST, amount, text

__all__ = ["check_channel", "place_of", "since_position"]


def place_of(letter: DeadLetter | str) -> str:
    """Return the position of a dead letter, checked to be text."""
    place = letter.place if isinstance(letter, DeadLetter) else letter
    return text("letter", place, service="events", hint="hub.events.dead_letters()")


def since_position(since: dt.datetime | float | str | None) -> str:
    """Return a time or a position in the log as XRANGE takes it."""
    if since is None:
        return "-"
    if isinstance(since, str):
        return f"({text('since', since, service='events')}"
    moment = since.timestamp() if isinstance(since, dt.datetime) else since
    moment = max(0.0, amount("since", moment, service="events", least=-LONGEST, most=10 * LONGEST))
    return f"{int(moment * 1000)}-0"


def check_channel(channel: str) -> None:
    """Check that a channel or pattern is text.

    Raises
    ------
    UsageError
        It is not text, is empty, or cannot be encoded.
    """
    if not isinstance(channel, str) or not channel:
        raise UsageError(
            f"channel must be text, got {channel!r:.60}",
            service="events",
            hint="such as agent.done",
        )
    try:
        channel.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"channel must be valid Unicode, got {channel!r:.60}",
            service="events",
            hint="such as agent.done",
        ) from error
