"""Events on a tape."""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.events.event import Event
from agentnb.core.tape.values import dump

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["EVENT"]


class _Form:
    """The form of an event that was published."""

    def hold(self, answer: Event) -> tuple[Any, int]:
        """Return the event with data of its own, and its size."""
        return answer.copy(), len(answer.raw)

    def dump(self, held: Event, redactor: Callable[[str], str]) -> dict[str, Any]:
        """Return the plain value of an event."""
        found = held.envelope()
        return {**found, "data": dump(found["data"], redactor)}

    def load(self, data: dict[str, Any]) -> Event:
        """Return the event of a plain value."""
        made: Event = Event(
            data["id"],
            data["channel"],
            msgspec.json.encode(data["data"]),
            time=dt.datetime.fromisoformat(data["time"]),
            source=data["source"],
            traceparent=data["traceparent"],
            correlation_id=data["correlation_id"],
        )
        made.place, made.pending = data["place"], bool(data.get("pending"))
        return made


EVENT = _Form()
