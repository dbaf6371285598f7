"""Headers and subprotocols of a handshake, checked; headers may be asked for each time."""

from __future__ import annotations

import asyncio
import inspect
import re
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any, TypeAlias

from agentnb.core.background import run_in_thread
from agentnb.core.errors import UsageError
from agentnb.core.headers import check_mapping, header_text

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    Given: TypeAlias = (
        "Mapping[str, str] | Callable[[], Mapping[str, str] | Awaitable[Mapping[str, str]]] | None"
    )

__all__ = ["Handshake", "check_subprotocols"]

_PROTOCOL = "sec-websocket-protocol"
# What a handshake says by itself; said twice it is no handshake.
_OWN = re.compile(r"sec-websocket-.*|upgrade|connection", re.IGNORECASE)
# Source: https://www.rfc-editor.org/rfc/rfc6455#section-4.1 (a token of HTTP, each once).
_TOKEN = re.compile(r"[!#$%&'*+.^_`|~0-9A-Za-z-]+")


class Handshake:
    """The headers and subprotocols that a client sends when it connects.

    Parameters
    ----------
    headers
        A mapping, or a function, ``def`` or ``async def``, that returns one for each handshake.
    subprotocols
        Those that the client speaks, the preferred one first.

    Raises
    ------
    UsageError
        A header or a subprotocol cannot be sent.

    Attributes
    ----------
    headers
        Those of the last handshake, or of the next one where they are always the same.

    Examples
    --------
    >>> Handshake({"X-Tenant": "acme"}).headers
    {'X-Tenant': 'acme'}
    """

    def __init__(self, headers: Given, subprotocols: Iterable[str] = ()) -> None:
        self._function = headers if callable(headers) else None
        self.headers = {} if callable(headers) else _checked(headers)
        self.subprotocols: Sequence[Any] = check_subprotocols(subprotocols)

    async def ask(self) -> dict[str, str]:
        """Return the headers of the handshake that is about to be made.

        A plain function is called in a thread, since it may wait for a token.

        Raises
        ------
        UsageError
            The function returned what is no headers.
        Exception
            The error of the function.
        """
        if self._function is not None:
            function: Any = self._function
            if inspect.iscoroutinefunction(function):
                found = await function()
            else:
                found = await asyncio.wrap_future(run_in_thread(function, name="headers"))
                if inspect.isawaitable(found):
                    found = await found
            self.headers = _checked(found)
        return self.headers


def _checked(headers: Any) -> dict[str, str]:
    check_mapping(headers, "headers=", "websocket")
    found = {n: header_text(n, v, "websocket") for n, v in (headers or {}).items()}
    if any(name.lower() == _PROTOCOL for name in found):
        raise UsageError(
            "headers must not have Sec-WebSocket-Protocol",
            service="websocket",
            hint='subprotocols=["graphql-transport-ws"]',
        )
    own = next(filter(_OWN.fullmatch, found), None)
    if own is not None:
        raise UsageError(
            f"headers must not have {own}, which the handshake sets",
            service="websocket",
            hint="leave it out",
        )
    return found


def check_subprotocols(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names of subprotocols, if they can be sent.

    >>> check_subprotocols(["mqtt", "graphql-transport-ws"])
    ('mqtt', 'graphql-transport-ws')

    Raises
    ------
    UsageError
        One cannot, or comes twice.
    """
    single = isinstance(names, str) or not isinstance(names, Iterable)
    found = () if single else tuple(names)
    good = all(isinstance(name, str) and _TOKEN.fullmatch(name) for name in found)
    if single or not good or len(set(found)) < len(found):
        raise UsageError(
            f"subprotocols must be a list of names, each once, got {names!r:.80}",
            service="websocket",
            hint='subprotocols=["graphql-transport-ws"]',
        )
    return found
