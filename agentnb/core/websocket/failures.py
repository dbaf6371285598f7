"""Translate failed connections into errors, and tell whether to try again."""

from __future__ import annotations

import datetime as dt
import errno
import socket
import ssl
from email.utils import parsedate_to_datetime
from typing import NamedTuple

from agentnb.core.errors import (
    AgentnbError,
    ConfigError,
    RejectedError,
    UnavailableError,
    UsageError,
)
from agentnb.core.redact import redact

__all__ = ["ConnectFailure", "HeadersFailed", "retry_after"]

_WRONG, _UNAUTHORISED, _FORBIDDEN, _TOO_MANY, _SERVER, _BUSY = 400, 401, 403, 429, 500, 503
_NORMAL, _GOING_AWAY, _UNSAID, _ABNORMAL = 1000, 1001, 1005, 1006
_TOO_BIG, _INTERNAL = 1009, 1011
_LONGEST_PAUSE = 300.0


class HeadersFailed(Exception):  # noqa: N818 - never leaves the package
    """The function that returns the headers failed; its error is the cause."""


class ConnectFailure(NamedTuple):
    """A failed connection: its error, and whether and when to try again.

    Attributes
    ----------
    error
        The error that handlers of ``"error"`` receive.
    final
        Whether another attempt is useless, unless the server has accepted the client before.
    pause
        Seconds that the server asks to wait, None if it does not say.
    busy
        Whether the server says that there are too many calls.
    """

    error: AgentnbError
    final: bool = False
    pause: float | None = None
    busy: bool = False

    @classmethod
    def from_handshake(
        cls, error: Exception, shown: str, proxy: str | None = None
    ) -> ConnectFailure:
        """Return the failure of an attempt to connect.

        Parameters
        ----------
        error
            The library's error.
        shown
            The URL, without secrets.
        proxy
            The proxy on the way, without secrets; None for none.
        """
        from websockets.exceptions import InvalidHandshake, InvalidProxy, InvalidStatus, ProxyError

        if isinstance(error, HeadersFailed):
            return _headers_failed(error.__cause__ or error, shown)
        if isinstance(error, InvalidStatus):
            failure = _status(
                error.response.status_code, error.response.headers.get("Retry-After"), shown
            )
        elif isinstance(error, ssl.SSLCertVerificationError):
            message = f"the certificate of {shown} is not trusted: {error.verify_message}"
            hint = "name the authority's certificate by the variable SSL_CERT_FILE"
            failure = cls(ConfigError(message, service="websocket", hint=hint), final=True)
        elif isinstance(error, ProxyError | InvalidProxy | ImportError):
            message = f"cannot connect to {shown}, since the proxy {proxy} cannot be used ({error})"
            failure = cls(UnavailableError(message, service="websocket", hint=_proxy_hint(error)))
        elif isinstance(error, InvalidHandshake):
            message = f"{shown} does not answer as a WebSocket: {error}"
            hint = "look at port and path"
            failure = cls(UnavailableError(message, service="websocket", hint=hint))
        elif isinstance(error, ssl.SSLError):
            message = f"{shown} does not speak TLS as it should: {error.reason or 'TLS failed'}"
            hint = "ws:// is without TLS, wss:// with it"
            failure = cls(UnavailableError(message, service="websocket", hint=hint))
        else:
            way = f" by way of the proxy {proxy}" if proxy else ""
            message = f"cannot connect to {shown}{way} ({_why(error)})"
            hint = "start the server; the client goes on trying"
            if proxy:
                hint = f"start the proxy; {_proxy_hint(error)}"
            failure = cls(UnavailableError(message, service="websocket", hint=hint))
        failure.error.__cause__ = error
        return failure

    @staticmethod
    def from_close(error: Exception, shown: str, limit: int) -> tuple[str, AgentnbError | None]:
        """Return the reason why a connection ended, and its error if it is one.

        A server that stops, or a network that fails, is not an error: the client reconnects.

        Parameters
        ----------
        error
            The library's error.
        shown
            The URL, without secrets.
        limit
            Maximum size of a message in bytes.
        """
        sent, got = getattr(error, "sent", None), getattr(error, "rcvd", None)
        sent_first = sent is not None and not getattr(error, "rcvd_then_sent", True)
        frame = sent if sent_first or got is None else got
        code = _ABNORMAL if frame is None else frame.code
        reason = "" if frame is None else frame.reason
        if not hasattr(error, "rcvd"):  # not of a connection that was closed
            made: AgentnbError = UnavailableError(
                f"{shown} failed: {error}", service="websocket", hint="the client connects again"
            )
            why = str(error)
        elif code == _TOO_BIG and sent_first:
            why = f"a message of more than {limit:,} bytes came"
            hint = "ask for less at once, or raise max_size= (bytes)"
            made = RejectedError(f"{why} from {shown}", service="websocket", hint=hint)
        elif code == _TOO_BIG:
            why = "a message was larger than the server takes"
            message = f"{why}, by {shown}"
            made = RejectedError(message, service="websocket", hint="send less at once")
        elif code == _INTERNAL and sent_first:
            why = "it no longer answers to pings"
            made = UnavailableError(
                f"{shown} no longer answers to pings",
                service="websocket",
                hint="the client connects again",
            )
        elif code in {_NORMAL, _GOING_AWAY, _UNSAID, _ABNORMAL}:
            why = {_NORMAL: "closed", _GOING_AWAY: "the server goes away"}.get(code, "cut off")
            return redact(reason) or why, None
        else:
            why = redact(f"closed with {code}{': ' + reason if reason else ''}")
            made = RejectedError(
                f"{shown} {why}",
                service="websocket",
                hint="see the server's log; the client connects again",
            )
        made.__cause__ = error
        return why, made


def _headers_failed(error: BaseException, shown: str) -> ConnectFailure:
    if isinstance(error, UsageError):  # it did not return headers
        return ConnectFailure(error, final=True)
    late = isinstance(error, TimeoutError)
    why = "it took too long" if late else f"{type(error).__name__}: {error}"
    made = UnavailableError(
        f"the function that returns the headers for {shown} failed: {why}",
        service="websocket",
        hint="the client asks it again",
    )
    made.__cause__ = error
    return ConnectFailure(made, busy=True)


def _proxy_hint(error: Exception) -> str:
    if isinstance(error, ImportError):
        return "pip install python-socks, or name another by HTTPS_PROXY or ALL_PROXY"
    return (
        "HTTP_PROXY, HTTPS_PROXY and ALL_PROXY name the proxy, with its login if it wants one; "
        "NO_PROXY=HOST leaves a host out"
    )


def _why(error: Exception) -> str:
    if isinstance(error, TimeoutError):
        return "it did not answer in time"
    if isinstance(error, socket.gaierror | UnicodeError):
        return "the host is unknown"
    text = str(error)
    if f"[Errno {errno.ECONNREFUSED}]" in text:  # a name of two addresses gives several in one
        return "nothing listens there"
    return text or type(error).__name__


def _status(status: int, after: str | None, shown: str) -> ConnectFailure:
    message = f"{shown} answers {status} in place of a WebSocket"
    if status in {_UNAUTHORISED, _FORBIDDEN}:
        who = "who you are" if status == _UNAUTHORISED else "that you may"
        hint = (
            f"show {who}: headers=, or a token in the URL (%ws connect URL --env VARIABLE, or "
            "without a URL for the agentnb serve of this home)"
        )
        return ConnectFailure(RejectedError(message, service="websocket", hint=hint), final=True)
    if status in {_TOO_MANY, _BUSY}:
        hint = "the client waits, and tries again"
        error = UnavailableError(message, service="websocket", hint=hint)
        return ConnectFailure(error, pause=retry_after(after), busy=status == _TOO_MANY)
    if status >= _SERVER:
        return ConnectFailure(
            UnavailableError(message, service="websocket", hint="look at its log")
        )
    hint = "look at port and path"
    if status < _WRONG:
        hint = "it is not followed: give the URL that it leads to"
    return ConnectFailure(RejectedError(message, service="websocket", hint=hint))


def retry_after(text: str | None, now: dt.datetime | None = None) -> float | None:
    """Return the seconds of a ``Retry-After``, which are seconds or a date; 300 at most.

    Source: https://www.rfc-editor.org/rfc/rfc9110#field.retry-after

    >>> retry_after("7"), retry_after("soon"), retry_after("100000")
    (7.0, None, 300.0)
    """
    if text is None:
        return None
    text = text.strip()
    if text.isdecimal():
        return min(float(text[:9]), _LONGEST_PAUSE)
    try:
        at = parsedate_to_datetime(text)
    except ValueError:
        return None
    at = at if at.tzinfo else at.replace(tzinfo=dt.UTC)
    left = (at - (now or dt.datetime.now(dt.UTC))).total_seconds()
    return min(max(left, 0.0), _LONGEST_PAUSE)
