"""Attempts without a reply: errors of the network, translated."""

from __future__ import annotations

import socket
import ssl
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

import httpcore
import httpx

from agentnb.core.api.address import shown
from agentnb.core.api.breakers import PoolTimeout
from agentnb.core.api.pools import CONNECTIONS
from agentnb.core.api.request import TransportFailure
from agentnb.core.api.status import AGAIN, LOOK
from agentnb.core.errors import DeadlineExceeded, UnavailableError, UsageError

if TYPE_CHECKING:
    from collections.abc import Iterable

    from agentnb.core.api.request import Outgoing

__all__ = ["FAILURES", "transport_failure"]

_WRONG = (httpx.InvalidURL, httpcore.UnsupportedProtocol, httpcore.LocalProtocolError)
FAILURES = (
    *_WRONG,
    UnicodeError,  # a host whose name no host can have
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.ProxyError,
)
"""What the network raises; an awaited read also raises TimeoutError."""


def transport_failure(
    error: Exception, out: Outgoing, proxy: str | None, *, within: bool = False
) -> TransportFailure:
    """Return the failure of an attempt, from the error of the network.

    Parameters
    ----------
    error
        One of `FAILURES`, or TimeoutError.
    out
        The request.
    proxy
        The proxy on the way, if there is one.
    within
        Whether the reply had begun.
    """
    doing = f"{out.method} {shown(out.url)}"
    way = f" by way of the proxy {shown(proxy)}" if proxy else ""
    if isinstance(error, httpcore.PoolTimeout):
        timeout = PoolTimeout(
            f"{doing} got no connection: {CONNECTIONS} calls were under way all the time",
            service="api",
            hint="make fewer calls at once, close streams that are read no more, or give them more "
            "time by timeout=, or of a stream by idle=",
        )
        return TransportFailure(timeout, again=False)
    if isinstance(error, TimeoutError | httpcore.TimeoutException):
        ended = out.deadline.expired or isinstance(error, TimeoutError)
        return _late(doing, out, way, ended=ended, within=within)
    if isinstance(error, httpcore.ProxyError):
        refused = UnavailableError(
            f"{doing} cannot be sent, since the proxy {shown(proxy or '')} refuses ({error})",
            service="api",
            hint=_HINT_PROXY,
        )
        return TransportFailure(refused, again=False)
    if isinstance(error, httpcore.ConnectError | UnicodeError):
        return _unconnected(error, doing, out, proxy)
    if isinstance(error, _WRONG):
        # Without their text, which may hold a header's value.
        wrong = UsageError(
            f"{doing} cannot be sent: {type(error).__name__}",
            service="api",
            hint="look for a header or a URL that HTTP cannot carry",
        )
        return TransportFailure(wrong, again=False)
    text = f"{doing} broke off{way} ({type(error).__name__})"
    return TransportFailure(_unavailable(text, out), again=True)


_HINT_PROXY = (
    "HTTP_PROXY, HTTPS_PROXY and ALL_PROXY name the proxy, with its login if it wants one; "
    "NO_PROXY=HOST leaves a host out"
)


def _late(doing: str, out: Outgoing, way: str, *, ended: bool, within: bool) -> TransportFailure:
    if ended:
        late = DeadlineExceeded(
            f"{doing} took longer than {round(out.deadline.seconds or 0, 3):g} s{way}",
            service="api",
            hint="give it more by timeout=, or ask for less",
        )
        return TransportFailure(late, again=False)
    if within:
        silent = UnavailableError(
            f"{doing} sent nothing for {out.silence:.3g} s{way}",
            service="api",
            hint="give it more by idle=, or ask again",
        )
        return TransportFailure(silent, again=False)
    text = f"{doing} had no answer within {out.silence:.3g} s{way}"
    return TransportFailure(_unavailable(text, out), again=True)


def _unavailable(text: str, out: Outgoing) -> UnavailableError:
    hint = AGAIN if out.method in {"GET", "HEAD"} else LOOK
    return UnavailableError(text, service="api", hint=hint)


def _unconnected(
    error: Exception, doing: str, out: Outgoing, proxy: str | None
) -> TransportFailure:
    host = urlsplit(out.url).netloc.rpartition("@")[2]
    causes = list(_causes(error))
    tls = next((one for one in causes if isinstance(one, ssl.SSLError)), None)
    if tls is not None:
        why = getattr(tls, "verify_message", "") or tls.reason or "TLS failed"
        text, again = f"{doing} found no trusted connection to {host}: {why}", False
        hint = "look at the address; SSL_CERT_FILE names certificates to trust"
    elif any(isinstance(one, socket.gaierror | UnicodeError) for one in causes):
        what = f"the host {host}" if proxy is None else f"the host of the proxy {shown(proxy)}"
        text, again = f"{doing} cannot be sent: {what} is unknown", False
        hint = "look at the address, and whether there is a network"
    else:
        what = host if proxy is None else f"the proxy {shown(proxy)}"
        text, again = f"{doing} cannot be sent: {what} does not take connections", True
        hint = "start the service, or try again later"
    if proxy is not None and tls is None:
        hint = f"start the proxy, or name another: {_HINT_PROXY}"
    return TransportFailure(UnavailableError(text, service="api", hint=hint), again=again)


def _causes(error: BaseException | None) -> Iterable[BaseException]:
    while error is not None:
        yield error
        error = error.__cause__ or error.__context__
