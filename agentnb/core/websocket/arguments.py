"""The keyword arguments of WebSocket clients, for type checkers and for editors."""

from __future__ import annotations

from typing import TYPE_CHECKING, Literal, TypeAlias, TypedDict

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.websocket.handshake import Given

__all__ = ["Kind", "WebSocketOptions"]

Kind: TypeAlias = Literal["connected", "message", "disconnected", "error"]
"""The kinds of events that a client calls handlers at."""


class WebSocketOptions(TypedDict, total=False):
    """The keyword arguments of `Hub.websocket`, each as `WebSocketClient` takes it."""

    reconnect: float
    headers: Given
    subprotocols: Iterable[str]
    queue: int
    max_size: int
    ping: float
    timeout: float
    json: bool
