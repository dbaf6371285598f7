"""WebSockets: a client that comes back by itself, and a server of the workspace's events."""

from __future__ import annotations

from agentnb.core.websocket.client import WebSocketClient
from agentnb.core.websocket.registry import WebSockets
from agentnb.core.websocket.server import EventServer

__all__ = ["EventServer", "WebSocketClient", "WebSockets"]
