"""Admit clients to the server, by path, origin and token."""

from __future__ import annotations

import hmac
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qs, urlsplit

from agentnb.core.ranges import texts

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Access", "is_loopback"]

PATH = "/ws"
_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


def is_loopback(host: str) -> bool:
    """Return whether a host's name or address is this machine, and nobody else's.

    >>> is_loopback("127.0.0.1"), is_loopback("::1"), is_loopback("0.0.0.0")
    (True, True, False)
    """
    return host in _LOOPBACK


class Access:
    """Says who may connect.

    Parameters
    ----------
    token
        Asked for as ``Authorization: Bearer TOKEN`` or ``?token=TOKEN``; empty for none.
    host
        The host that the server listens on.
    origins
        Origins of pages that may connect, besides those of this machine where the server is on
        loopback; such as ``https://app.example.com``.
    """

    def __init__(self, token: str, host: str, origins: Iterable[str] = ()) -> None:
        self._token = token.encode()
        self._local = is_loopback(host)
        self._origins = {
            origin.rstrip("/").lower() for origin in texts("origins", origins, service="websocket")
        }

    def refusal(self, path: str, headers: Any) -> tuple[int, str] | None:
        """Return status and text for a request that is refused, or None.

        Parameters
        ----------
        path
            With its query.
        headers
            The request's; ``headers.get_all(name)`` gives all of a name.
        """
        parts = urlsplit(path)
        if parts.path != PATH:
            return 404, f"There is a WebSocket at {PATH}.\n"
        origins = headers.get_all("Origin")
        # A browser always names the page's; what is no browser names none.
        if len(origins) > 1 or not all(map(self._may, origins)):
            return 403, "This page may not connect: agentnb serve --origin ORIGIN\n"
        if self._token and not self._knows(parts.query, headers):
            return 401, "A token is wanted: Authorization: Bearer TOKEN, or ?token=TOKEN\n"
        return None

    def _may(self, origin: str) -> bool:
        if origin.lower() in self._origins:
            return True
        try:
            host = urlsplit(origin).hostname or ""
        except ValueError:
            return False
        return self._local and is_loopback(host)

    def _knows(self, query: str, headers: Any) -> bool:
        said = [value.partition(" ") for value in headers.get_all("Authorization")]
        tokens = [token for kind, _, token in said if kind.lower() == "bearer"]
        tokens += parse_qs(query).get("token", [])
        # Compared in a time that says nothing of how much of it was right.
        return any(hmac.compare_digest(one.strip().encode(), self._token) for one in tokens)
