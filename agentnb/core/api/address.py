"""URLs: how they are put together, whom they belong to, and how they are shown."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote, urlencode, urljoin, urlsplit, urlunsplit

from agentnb.core.api.forms import pairs_of
from agentnb.core.errors import UsageError
from agentnb.core.redact import MASK, redact
from agentnb.core.table import text_of

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from urllib.parse import SplitResult

__all__ = ["base_of", "joined", "missing", "origin_of", "redirected", "shown"]

_PORTS = {"http": 80, "https": 443}
# Beyond what is masked everywhere: names that only a query has.
_SECRET = re.compile(
    r"^code$|(?:^|[_.-])(?:key|sig|signature|auth|session|sid|jwt|hmac|otp|appid)$",
    re.IGNORECASE,
)


def base_of(url: str) -> tuple[str, tuple[str, str] | None]:
    """Return a base URL without a slash at its end, and the login that it held.

    >>> base_of("https://ada:s3cret@api.example/v1/")
    ('https://api.example/v1', ('ada', 's3cret'))

    Raises
    ------
    UsageError
        It is no address of a service over HTTP.
    """
    parts = _split(url)
    if parts.query or parts.fragment:
        raise UsageError(
            "a base URL has neither a query nor a fragment",
            service="api",
            hint="params= of the client goes with each call",
        )
    login, at, host = parts.netloc.rpartition("@")
    base = urlunsplit((parts.scheme.lower(), host, parts.path.rstrip("/"), "", ""))
    if not at:
        return base, None
    user, _, password = login.partition(":")
    return base, (unquote(user), unquote(password))


def joined(base: str, url: str, params: Mapping[str, Any] | None = None) -> str:
    """Return the URL of a call: a path under the base, or a whole URL as it is.

    >>> joined("https://api.example/v1", "/users", {"page": 2, "tag": ["a", "b"], "all": True})
    'https://api.example/v1/users?page=2&tag=a&tag=b&all=true'

    Raises
    ------
    UsageError
        It is no URL, or holds a login.
    """
    if not isinstance(url, str):
        raise UsageError(
            f"url must be text, got {type(url).__name__}", service="api", hint="api.get('/path')"
        )
    if re.match(r"[A-Za-z][A-Za-z0-9+.-]*://|//|\\", url):
        parts = _split(url)
        if "@" in parts.netloc:
            raise UsageError("the URL holds a login", service="api", hint="give auth= in its place")
    else:
        slash = "/" if url and not url.startswith(("/", "?")) else ""
        parts = _split(f"{base}{slash}{url}")
        if _leaves(urlsplit(base).path, parts.path):
            raise UsageError(
                f"{text_of(shown(url))} leads out of {text_of(shown(base))}",
                service="api",
                hint="give the whole URL if that is meant",
            )
    query = parts.query
    if params:
        try:
            more = urlencode(pairs_of(params, "params"))
        except UnicodeEncodeError as error:
            raise UsageError(
                f"a parameter cannot be encoded: {error}",
                service="api",
                hint="params={'NAME': 'VALUE'}, without lone surrogates",
            ) from error
        query = f"{query}&{more}" if query and more else query or more
    return urlunsplit((parts.scheme, parts.netloc, parts.path, query, ""))


def missing(url: str, params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the fields that the query of a URL does not name yet.

    >>> missing("/users?page=2", {"page": 1, "key": "k"})
    {'key': 'k'}
    """
    named = {name for name, _ in parse_qsl(urlsplit(url).query, keep_blank_values=True)}
    return {name: value for name, value in params.items() if name not in named}


def _leaves(base: str, path: str) -> bool:
    """Return whether a path, once its dots are resolved, is not below the base's path.

    A server may resolve what is percent-encoded, or take a backslash for a slash.
    """
    if not base.strip("/"):
        return False
    found: list[str] = []
    for name in unquote(path).replace("\\", "/").split("/"):
        if name == "..":
            del found[-1:]
        elif name not in {"", "."}:
            found.append(name)
    below = [name for name in unquote(base).split("/") if name]
    return found[: len(below)] != below


def _split(url: str) -> SplitResult:
    try:
        parts = urlsplit(url)
        _ = parts.port
        plain = url.isprintable() and not re.search(r"[\s\\]", parts.netloc)
    except (ValueError, TypeError, AttributeError):
        parts = None
    if parts is None:  # not from the original, which quotes the port: it may be a password
        raise UsageError(
            "the URL cannot be understood",
            service="api",
            hint="https://HOST/PATH; a / in a login is written %2F",
        )
    if parts.scheme.lower() not in _PORTS or not parts.hostname or not plain:
        raise UsageError(
            f"{text_of(shown(url))} is not the URL of an API",
            service="api",
            hint="https://HOST/PATH",
        )
    return parts


@lru_cache(maxsize=256)
def origin_of(url: str) -> str:
    """Return scheme, host and port, to which credentials and breakers belong.

    >>> origin_of("HTTPS://API.example:443/v1"), origin_of("http://[::1]:8000/")
    ('https://api.example', 'http://[::1]:8000')
    """
    parts = _split(url)
    scheme, host = parts.scheme.lower(), (parts.hostname or "").lower()
    name = f"[{host}]" if ":" in host else host
    port = parts.port
    return f"{scheme}://{name}" + (f":{port}" if port and port != _PORTS.get(scheme) else "")


def redirected(url: str, location: str) -> str | None:
    """Return where a reply leads, or None where no client should follow.

    >>> redirected("https://a.example/x/y", "../z"), redirected("https://a.example", "http://b")
    ('https://a.example/z', None)
    """
    try:
        target = urljoin(url, location)
        parts = _split(target)
    except (UsageError, ValueError):
        return None
    if "@" in parts.netloc or (url.lower().startswith("https:") and parts.scheme == "http"):
        return None
    return urlunsplit((parts.scheme, parts.netloc, parts.path, parts.query, ""))


def shown(url: str, redactor: Callable[[str], str] = redact) -> str:
    """Return a URL as it may be shown: no login, no secret in its query, no fragment.

    >>> shown("https://ada:s3cret@api.example/x?page=2&sig=abc&token=def#top")
    'https://api.example/x?page=2&sig=••••••&token=••••••'
    """
    if not isinstance(url, str):
        return redactor(repr(url))
    head, mark, query = url.partition("#")[0].partition("?")
    scheme, slashes, rest = head.partition("://")
    if not slashes:  # no URL, yet it may have been meant as one that has a login
        scheme, rest = "", head
    if "@" in rest.partition("/")[0]:
        rest = rest.partition("@")[2] if rest.count("@") == 1 else rest.rpartition("@")[2]
        head = f"{scheme}{slashes}{rest}"
    if not mark:
        return redactor(head)
    pairs = []
    for pair in query.split("&"):
        name, equals, _ = pair.partition("=")
        secret = equals and _SECRET.search(unquote(name))
        pairs.append(f"{name}={MASK}" if secret else pair)
    return redactor(f"{head}?{'&'.join(pairs)}")
