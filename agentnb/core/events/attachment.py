"""An event that another script publishes, inside what it does anyway."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from agentnb.core.events.event import Event

__all__ = ["Attachment"]


class Attachment:
    """An event ready to be published durably by a Lua script of somebody else's.

    Made by `EventBus.attachment`. The script begins with `PUBLISH_FUNCTION` and calls
    ``agentnb_publish(log, channel, id, before, after, most, marker, bare)``: the log is
    ``keys[0]``, the other seven are ``args`` in their order. It returns the event's place in
    the log, bytes such as ``b"1700000000000-0"``, which is handed to `delivered`. Whether the
    script publishes is its own choice; `delivered` is called only if it did.

    If `delivered` is never called, because the process was interrupted, this process gets the
    event from the server as all others do: it is never lost, nor seen twice.

    Attributes
    ----------
    keys
        One key, the log's; in the same slot of a cluster as all others of the prefix.
    args
        Seven arguments, ``len(args) == Attachment.ARGS``.
    event
        The event; ``place`` is set by `delivered`.
    """

    ARGS = 7

    __slots__ = ("_deliver", "args", "event", "keys")

    def __init__(
        self,
        event: Event,
        keys: list[str],
        args: list[bytes | str | int],
        deliver: Callable[[Event], None],
    ) -> None:
        self.event = event
        self.keys = keys
        self.args = args
        self._deliver = deliver

    def delivered(self, place: bytes | str) -> None:
        """Hand the event, now published, to the subscribers in this process."""
        self.event.place = place.decode() if isinstance(place, bytes) else place
        self._deliver(self.event)
