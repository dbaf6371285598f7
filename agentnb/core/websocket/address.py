"""Where a client connects to, and how that is shown without its secrets."""

from __future__ import annotations

from typing import NamedTuple
from urllib.parse import parse_qsl, unquote, urlsplit

from agentnb.core.errors import UsageError
from agentnb.core.redact import MASK

__all__ = ["Address", "address"]

_LOOPBACK = {"localhost", "127.0.0.1", "::1"}


class Address(NamedTuple):
    """A URL taken apart.

    Attributes
    ----------
    url
        As it was given, secrets included.
    shown
        Without the password and the values of its query, any of which may be a token.
    loopback
        Whether the host is this machine, which is reached without a proxy.
    secrets
        The password, and the values of the query.
    """

    url: str
    shown: str
    loopback: bool
    secrets: tuple[str, ...]

    def proxy(self) -> str | None:
        """Return the proxy that the environment names for it, without a login; None for none."""
        from websockets.exceptions import InvalidURI
        from websockets.proxy import get_proxy
        from websockets.uri import parse_uri

        try:
            found = None if self.loopback else get_proxy(parse_uri(self.url))
        except InvalidURI:  # the attempt itself has said so
            return None
        if found is None:
            return None
        scheme, _, rest = found.partition("://")
        return f"{scheme}://{rest.rpartition('@')[2]}"


def address(url: str) -> Address:
    """Take a URL apart.

    Raises
    ------
    UsageError
        It is not one of a WebSocket.

    Examples
    --------
    >>> address("ws://ada:s3cret@localhost:3000/ws?token=t&room=1").shown
    'ws://ada:••••••@localhost:3000/ws?token=••••••&room=••••••'
    """
    try:
        parts = urlsplit(url)
        host, port = parts.hostname, parts.port
    except (ValueError, TypeError, AttributeError):
        host, port, parts = None, None, urlsplit("")
    plain = isinstance(url, str) and url.isprintable() and " " not in url
    if parts.scheme not in {"ws", "wss"} or not host or port == 0 or parts.fragment or not plain:
        other = parts.scheme and parts.scheme not in {"ws", "wss"}
        raise UsageError(
            "this is not the URL of a WebSocket" + (f": {parts.scheme}://" if other else ""),
            service="websocket",
            hint="such as ws://localhost:3000/ws or wss://example.com/ws, without a #fragment",
        )
    name = f"[{host}]" if ":" in host else host
    user = f"{parts.username}{':' + MASK if parts.password else ''}@" if parts.username else ""
    query = "&".join(_masked(pair) for pair in parts.query.split("&")) if parts.query else ""
    shown = (
        f"{parts.scheme}://{user}{name}{f':{port}' if port else ''}{parts.path}"
        f"{'?' + query if query else ''}"
    )
    values = [one for pair in parse_qsl(parts.query) for one in pair[1:]]
    secrets = tuple(filter(None, [unquote(parts.password or ""), *values]))
    return Address(url, shown, host in _LOOPBACK, secrets)


def _masked(pair: str) -> str:
    name, equals, _ = pair.partition("=")
    return f"{name}={MASK}" if equals else MASK
