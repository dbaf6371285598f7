"""Encode events as messages, and decode them.

An object travels as itself, with one key more, ``_agentnb``, that holds the envelope; whatever
else there is travels in the envelope. So a program that knows nothing of envelopes reads what
was published, and what it publishes is taken as data.
"""

from __future__ import annotations

import datetime as dt
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.codec import FORMS, NotJson, to_json
from agentnb.core.errors import UsageError
from agentnb.core.events.event import Event

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["ENVELOPE", "Malformed", "Wire", "traceparent_of"]

ENVELOPE = "_agentnb"


class Malformed(Exception):  # noqa: N818 - what the message is
    """A message that cannot be read."""


class _Envelope(msgspec.Struct, omit_defaults=True):
    id: str
    channel: str
    source: str = ""
    time: dt.datetime | None = None
    traceparent: str | None = None
    correlationid: str | None = None
    data: msgspec.Raw | msgspec.UnsetType = msgspec.UNSET
    place: str = ""


class _Message(msgspec.Struct):
    envelope: _Envelope | None = msgspec.field(default=None, name=ENVELOPE)


_decode_message = msgspec.json.Decoder(_Message).decode


def traceparent_of(message: bytes) -> str | None:
    """Return the ``traceparent`` of a message; None where it has none or cannot be read."""
    try:
        envelope = _decode_message(message).envelope
    except (msgspec.MsgspecError, UnicodeDecodeError, RecursionError):
        return None
    return None if envelope is None else envelope.traceparent


class Wire:
    """Encodes and decodes events.

    Parameters
    ----------
    limit
        Bytes that an event's data may have.
    """

    def __init__(self, limit: int) -> None:
        self.limit = limit
        self._encode: Callable[[Any], bytes] = msgspec.json.Encoder().encode
        self._decode = msgspec.json.Decoder().decode
        self._message = msgspec.json.Decoder(_Message).decode

    def encode(self, event: Event, data: Any) -> tuple[bytes, bytes]:
        """Give an event its data, and return the message before and after its place.

        Raises
        ------
        UsageError
            The data has no JSON form, or is too large.
        """
        event._raw = self._json(data)  # noqa: SLF001 - it is made here
        return self._around(event)

    def message(self, event: Event) -> bytes:
        """Return an event as one message."""
        if not event.id or event._decode == self._data:  # noqa: SLF001 - the two are one mechanism
            return event.raw
        before, after = self._around(event)
        return before + (event.place or "").encode() + after

    def _around(self, event: Event) -> tuple[bytes, bytes]:
        raw = event.raw
        envelope = _Envelope(
            event.id,
            event.channel,
            event.source,
            event.time,
            event.traceparent,
            event.correlation_id,
        )
        head = self._encode(envelope)[:-1]
        if raw[:1] != b"{":
            return b'{"_agentnb":' + head + b',"data":' + raw + b',"place":"', b'"}}'
        joint = b'"_agentnb":' if raw == b"{}" else b',"_agentnb":'
        return raw[:-1] + joint + head + b',"place":"', b'"}}'

    def _json(self, data: Any) -> bytes:
        try:
            raw = to_json(data)
        except NotJson as error:
            raise UsageError(
                f"the event's data cannot be published: {error.named('data')}",
                service="events",
                hint=error.hint or FORMS,
            ) from error
        if len(raw) > self.limit:
            raise UsageError(
                f"the event's data takes {len(raw):,} bytes; {self.limit:,} are allowed",
                service="events",
                hint="publish a path or a key to it; or raise AGENTNB_EVENTS_PAYLOAD (bytes)",
            )
        if b'"_agentnb"' in raw and raw[:1] == b"{" and ENVELOPE in self._decode(raw):
            raise UsageError(
                f"the key {ENVELOPE} is reserved for the envelope",
                service="events",
                hint="give the key another name",
            )
        return raw

    def decode(self, channel: str, message: bytes, place: str | None = None) -> Event:
        """Return the event of a message.

        Parameters
        ----------
        channel
            The channel that it was received on.
        message
            As it was received, or as it stands in the log.
        place
            Its place, where it stands in the log.

        Raises
        ------
        Malformed
            It is no JSON.
        """
        try:
            envelope = self._message(message).envelope
        except msgspec.ValidationError:  # not an object, or with a key that looks like ours
            envelope = None
            self._checked(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(str(error)) from error
        if envelope is None or envelope.channel != channel:
            # A stranger's; or what a stranger was sent elsewhere and has passed on.
            self._checked(message)
            return Event("", channel, message, decode=self._data, time=dt.datetime.now(dt.UTC))
        within = envelope.data
        event = Event(
            envelope.id,
            channel,
            message if isinstance(within, msgspec.UnsetType) else bytes(within),
            time=envelope.time,
            source=envelope.source,
            traceparent=envelope.traceparent,
            correlation_id=envelope.correlationid,
            decode=self._data if isinstance(within, msgspec.UnsetType) else self._decode,
        )
        event.place = place or envelope.place or None
        return event

    def _checked(self, message: bytes) -> None:
        try:
            self._decode(message)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise Malformed(str(error)) from error

    def _data(self, message: bytes) -> Any:
        data = self._decode(message)
        if isinstance(data, dict):
            data.pop(ENVELOPE, None)
        return data
