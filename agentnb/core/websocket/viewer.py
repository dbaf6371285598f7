"""One client of the server: what it wants, and what waits for it."""

from __future__ import annotations

import asyncio
from collections import deque
from typing import TYPE_CHECKING, Any

from agentnb.core.websocket.channels import patterns

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Viewer"]

_CHANNELS = 100
_LONGEST_NAME = 200


class Viewer:
    """A client of the server, from its handshake to its end.

    Parameters
    ----------
    connection
        The connection of websockets.
    matcher
        Returns a function that tells whether a channel matches a pattern.
    limit
        Maximum number of waiting events; the oldest are dropped.
    send_timeout
        Seconds after which a client that receives nothing is cut off.
    """

    def __init__(
        self,
        connection: Any,
        matcher: Callable[[str], Callable[[str], bool]],
        *,
        limit: int,
        send_timeout: float,
    ) -> None:
        self._connection = connection
        self._matcher = matcher
        self._limit, self._send_timeout = limit, send_timeout
        self._subscribed: dict[str, list[Callable[[str], bool]]] = {}
        self._events: deque[bytes] = deque()
        self._answers: deque[bytes] = deque()
        self._dropped = 0
        self._something = asyncio.Event()

    def wants(self, channel: str) -> bool:
        """Return whether the client has subscribed to a channel."""
        return any(fits(channel) for each in self._subscribed.values() for fits in each)

    def put(self, text: bytes) -> None:
        """Queue an event for the client."""
        if len(self._events) >= self._limit:
            self._events.popleft()
            self._dropped += 1
        self._events.append(text)
        self._something.set()

    def cut(self) -> None:
        """Cut the connection."""
        self._connection.transport.abort()

    async def run(self) -> None:
        """Answer the client and send its events, until it disconnects."""
        from websockets.exceptions import ConnectionClosed

        sending = asyncio.create_task(self._send())
        try:
            async for message in self._connection:
                self._answer(self._understood(message))
        except ConnectionClosed:
            pass
        finally:
            sending.cancel()
            await asyncio.wait({sending})

    def _answer(self, answer: dict[str, Any]) -> None:
        import msgspec

        self._answers.append(msgspec.json.encode(answer))
        self._something.set()
        if len(self._answers) > _CHANNELS:
            self.cut()  # it sends requests without reading answers

    def _understood(self, message: str | bytes) -> dict[str, Any]:
        """Execute a client's request, and return the answer."""
        import msgspec

        try:
            asked = msgspec.json.decode(message)
        except (ValueError, RecursionError) as error:
            return _error(f"this is not JSON: {error}")
        kind = asked.get("type") if isinstance(asked, dict) else None
        if kind not in {"subscribe", "unsubscribe"}:
            return _error('say {"type": "subscribe", "channels": [...]}, or "unsubscribe"')
        channels = asked.get("channels")
        if not isinstance(channels, list) or not all(map(_is_name, channels)):
            return _error(f"channels is a list of names of 1 to {_LONGEST_NAME} characters")
        if kind == "unsubscribe":
            for name in channels:
                self._subscribed.pop(name, None)
        elif len({*self._subscribed, *channels}) > _CHANNELS:
            return _error(f"a client may have {_CHANNELS} channels")
        else:
            for name in channels:
                self._subscribed[name] = [self._matcher(one) for one in patterns(name)]
        return {"type": f"{kind}d", "channels": list(self._subscribed)}

    async def _send(self) -> None:
        while True:
            await self._something.wait()
            self._something.clear()
            while text := self._next():
                try:
                    async with asyncio.timeout(self._send_timeout):
                        await self._connection.send(text, text=True)
                except Exception:  # noqa: BLE001 - gone or deaf: either way there is nobody to send to
                    self.cut()
                    return

    def _next(self) -> bytes | None:
        import msgspec

        if self._answers:
            return self._answers.popleft()
        if self._dropped:
            count, self._dropped = self._dropped, 0
            return msgspec.json.encode({"type": "dropped", "count": count})
        return self._events.popleft() if self._events else None


def _is_name(name: object) -> bool:
    return isinstance(name, str) and 0 < len(name) <= _LONGEST_NAME


def _error(message: str) -> dict[str, Any]:
    return {"type": "error", "message": message}
