"""The cookies of a client that keeps them."""

from __future__ import annotations

from email.message import Message
from http.cookiejar import CookieJar
from typing import TYPE_CHECKING, Any
from urllib.request import Request

if TYPE_CHECKING:
    from collections.abc import Iterable

__all__ = ["Cookies"]

_MOST = 300


class Cookies:
    """Keeps cookies, and returns those to send to a URL. Thread-safe.

    Domains, paths, ``Secure`` and the time of a cookie are minded as `http.cookiejar` does. There
    are 300 of them at most; the oldest ones make room.

    Examples
    --------
    >>> cookies = Cookies()
    >>> cookies.take("https://api.example/login", ["sid=abc; Path=/; HttpOnly"])
    >>> cookies.header("https://api.example/users"), cookies.header("https://other.example/")
    ('sid=abc', None)
    """

    def __init__(self) -> None:
        self._jar = CookieJar()

    def take(self, url: str, values: Iterable[str]) -> None:
        """Keep the cookies of a reply: the values of its ``Set-Cookie`` headers."""
        message = Message()
        for value in values:
            message["Set-Cookie"] = value
        self._jar.extract_cookies(_Response(message), Request(url))  # type: ignore[arg-type]  # noqa: S310 - nothing is opened
        for old in list(self._jar)[:-_MOST]:
            self._jar.clear(old.domain, old.path, old.name)

    def header(self, url: str) -> str | None:
        """Return the ``Cookie`` header of a call; None where there is no cookie for it."""
        request = Request(url)  # noqa: S310 - as above
        self._jar.add_cookie_header(request)
        return request.get_header("Cookie")

    def clear(self) -> None:
        """Forget all."""
        self._jar.clear()

    def __len__(self) -> int:
        return len(self._jar)


class _Response:
    """The part of a reply that the jar reads."""

    def __init__(self, message: Message) -> None:
        self._message = message

    def info(self) -> Any:
        return self._message
