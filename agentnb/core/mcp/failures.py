"""Errors of others' servers of tools: their words, their status of HTTP, and what to do."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus

from agentnb.core.mcp.session import ToolSaysNo

__all__ = ["AWAY", "hint_of", "is_answer", "phrase", "text_of"]

AWAY = frozenset({401, 403, 407, 429, *range(500, 600)})
"""Statuses of HTTP that are no answer of a tool: the server cannot be used."""


def is_answer(error: Exception) -> bool:
    """Return whether an error is the server's own answer, and its connection is well."""
    if isinstance(error, ToolSaysNo):
        return True
    from mcp.shared.exceptions import MCPError

    return isinstance(error, MCPError) and error.message != "Connection closed"


def phrase(status: int) -> str:
    """Return a status of HTTP with its words.

    >>> phrase(401), phrase(599)
    ('401 Unauthorized', '599')
    """
    with suppress(ValueError):
        return f"{status} {HTTPStatus(status).phrase}"
    return str(status)


def hint_of(status: int) -> str:
    """Return what to do about a server with a URL that cannot be used."""
    match status:
        case 401 | 403:
            return "give it a token that it accepts, in headers= (%mcp tools URL --env VARIABLE)"
        case 404 | 405:
            return "check the path of the URL, which is often /mcp"
        case 0:
            return "check the URL, and the token in headers=; the next call connects again"
        case _:
            return "the server's own log says why; the next call connects again"


def text_of(error: BaseException) -> str:
    """Return the message of an error, or of the first in a group."""
    while isinstance(error, BaseExceptionGroup):
        error = error.exceptions[0]
    message = getattr(error, "message", None)
    return str(message or error) or type(error).__name__
