"""HTTP APIs: one client a base URL, with a deadline, retries, a breaker and checked replies."""

from __future__ import annotations

from agentnb.core.api.client import APIClient
from agentnb.core.api.github import GitHub
from agentnb.core.api.lines import Event
from agentnb.core.api.request import Reply, Request
from agentnb.core.api.stream import AsyncStreamReply, StreamReply

__all__ = [
    "APIClient",
    "AsyncStreamReply",
    "Event",
    "GitHub",
    "Reply",
    "Request",
    "StreamReply",
]
