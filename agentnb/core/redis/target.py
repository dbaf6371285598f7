"""REDIS_URL, understood."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any
from urllib.parse import unquote, urlsplit

from agentnb.core.errors import ConfigError, did_you_mean
from agentnb.core.userinfo import split_userinfo

__all__ = ["Target", "Watched", "parse"]

_SENTINEL = "+sentinel"
_SCHEMES = ("redis", "rediss", "unix", "redis+sentinel", "rediss+sentinel")
_SENTINEL_PORT = 26379
_SENTINEL_URL = "REDIS_URL=redis+sentinel://host1:26379,host2:26379/mymaster/0"
_DATABASES = "a number from 0, as in redis://host:6379/0"
# Of redis-py's connections; time-outs, retries and pools are ours.
_OPTIONS = {"db", "username", "password", "client_name", "protocol", "socket_keepalive"}
_SENTINEL_OPTIONS = frozenset({"sentinel_username", "sentinel_password"})
_OURS = {
    *("socket_timeout", "socket_connect_timeout", "timeout", "retry_on_timeout", "max_connections"),
    *("retry_on_error", "health_check_interval", "decode_responses", "socket_read_size"),
    "family",  # of ioredis, with which services share their REDIS_URL
}


@dataclass(frozen=True, slots=True)
class Watched:
    """A primary that Sentinels watch.

    Parameters
    ----------
    name
        Its name there.
    sentinels
        The hosts and ports of the Sentinels.
    options
        Keywords for redis-py's connections to them.
    """

    name: str
    sentinels: tuple[tuple[str, int], ...]
    options: dict[str, Any] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Target:
    """A server, without its password where it can be seen.

    Parameters
    ----------
    name
        How messages call it.
    hint
        The hint of an error when the server cannot be reached.
    options
        Keywords for redis-py's connections.
    scheme
        ``"redis"``, ``"rediss"`` or ``"unix"``.
    watched
        The primary that Sentinels watch; None for a server that the options name.
    rights
        The rules that the server's ACL needs for the user.
    """

    name: str
    hint: str
    options: dict[str, Any] = field(repr=False)
    scheme: str = "unix"
    watched: Watched | None = None
    rights: str = ""

    @property
    def user(self) -> str:
        """Return the name of the user on the server."""
        return self.options.get("username") or "default"

    def __str__(self) -> str:
        return self.name


def parse(url: str) -> Target:
    """Understand a URL.

    Parameters
    ----------
    url
        ``redis://``, ``rediss://`` (with TLS) or ``unix://``, with redis-py's options as a query;
        ``redis+sentinel://host:26379,host:26379/name/0`` for the primary that Sentinels watch.

    Raises
    ------
    ConfigError
        It cannot be understood; its password is not in the message.

    Examples
    --------
    >>> target = parse("redis://:hunter22@cache.example.com:6380/2")
    >>> str(target), target.options["db"]
    ('redis://cache.example.com:6380/2', 2)
    """
    scheme, separator, _ = url.strip().partition("://")
    if scheme not in _SCHEMES:
        # Not the text itself: what was meant for a password may be in it.
        start = f"it starts with {scheme}://" if separator else "there is no :// in it"
        near = did_you_mean(scheme, _SCHEMES) if separator else None
        raise ConfigError(
            f"REDIS_URL is not a Redis URL: {start}",
            service="redis",
            hint=near
            or "such as redis://host:6379/0, rediss://host:6379/0 (TLS), unix:///path or "
            "redis+sentinel://host:26379/mymaster/0",
        )
    if scheme.endswith(_SENTINEL):
        return _parse_watched(url.strip())
    text = url.strip() if scheme == "unix" else split_userinfo(url.strip(), "redis").encoded()
    try:
        parts = urlsplit(text)
        options = _options_of(text)
        name = _name(scheme, parts.hostname, parts.port, parts.path)
    except ValueError as error:
        raise ConfigError(
            f"REDIS_URL cannot be understood: {_without_value(error)}",
            service="redis",
            hint="special characters in a password are percent-encoded: @ is %40, / is %2F",
        ) from None
    if scheme != "unix":
        _check_database(parts.path)
    _check_options(options)
    if scheme == "unix" and not options.get("path"):
        raise ConfigError(
            "REDIS_URL names no socket", service="redis", hint="unix:///path/to/redis.sock"
        )
    return Target(name, f"is it running? REDIS_URL says {name}", options, scheme)


def _options_of(url: str) -> dict[str, Any]:
    from redis.connection import parse_url

    return dict(parse_url(url))


def _parse_watched(url: str) -> Target:
    """Understand ``redis+sentinel://user:password@host:port,host:port/name/0?options``.

    User and password are those of the primary; the Sentinels have ``sentinel_password``.
    """
    parts = split_userinfo(url, "redis")
    scheme = parts.scheme.removesuffix(_SENTINEL)
    places, _, after = parts.rest.partition("/")
    path, _, query = after.partition("?")
    name, _, database = (unquote(word) for word in path.partition("/"))
    try:
        sentinels = tuple(_sentinel(place) for place in places.split(",") if place)
        first = f"localhost/{database.strip('/')}" + (f"?{query}" if query else "")
        options = _options_of(replace(parts, scheme=scheme, rest=first).encoded())
    except ValueError as error:
        raise ConfigError(
            f"REDIS_URL cannot be understood: {_without_value(error)}",
            service="redis",
            hint=_SENTINEL_URL,
        ) from None
    if not sentinels or not name or name.isdigit():
        missing = "no Sentinel" if not sentinels else "no primary that the Sentinels watch"
        raise ConfigError(f"REDIS_URL names {missing}", service="redis", hint=_SENTINEL_URL)
    _check_database(database)
    del options["host"]
    own = {word: options.pop(word, None) for word in _SENTINEL_OPTIONS}
    _check_options(options, _SENTINEL_OPTIONS)
    theirs = {key: value for key, value in options.items() if key.startswith("ssl_")}
    theirs |= {key.removeprefix("sentinel_"): value for key, value in own.items() if value}
    if scheme == "rediss":
        theirs["ssl"] = True
    shown = f"{parts.scheme}://{','.join(_join(*one) for one in sentinels)}/{name}"
    shown += f"/{database}" if database else ""
    hint = f"do the Sentinels and the primary run? REDIS_URL says {shown}"
    return Target(shown, hint, options, scheme, Watched(name, sentinels, theirs))


def _sentinel(place: str) -> tuple[str, int]:
    parts = urlsplit(f"//{place}")
    if not parts.hostname:
        raise ValueError("a Sentinel has no host")
    return parts.hostname, parts.port or _SENTINEL_PORT


def _join(host: str, port: int) -> str:
    return f"[{host}]:{port}" if ":" in host else f"{host}:{port}"


def _name(scheme: str, host: str | None, port: int | None, path: str) -> str:
    if scheme == "unix":
        return f"unix://{unquote(path)}"
    shown = f"[{host}]" if host and ":" in host else host or "localhost"
    return f"{scheme}://{shown}:{port or 6379}{path.rstrip('/')}"


def _check_database(path: str) -> None:
    database = unquote(path).strip("/")
    if database and not database.isdigit():
        raise ConfigError(
            # Not which: half of a password that has a slash in it may stand there.
            "REDIS_URL names no database by its number",
            service="redis",
            hint=f"{_DATABASES}; a / in a password is %2F",
        )


def _check_options(options: dict[str, Any], more: frozenset[str] = frozenset()) -> None:
    options.pop("connection_class", None)
    for name in list(options):
        if name in _OURS:
            del options[name]
        elif name not in {*_OPTIONS, "host", "port", "path"} and not name.startswith("ssl_"):
            known = {*_OPTIONS, *more}
            raise ConfigError(
                f"REDIS_URL has an option that means nothing: {name}",
                service="redis",
                hint=did_you_mean(name, {*known, "ssl_cert_reqs", "ssl_ca_certs"})
                or f"options: {', '.join(sorted(known))}, and redis-py's ssl_*; sentinel_username "
                "and sentinel_password are of redis+sentinel://",
            )


def _without_value(error: ValueError) -> str:
    # urllib quotes what it cannot understand, which may be half of a password.
    text = str(error)
    if "port" in text.lower():
        return "its port is not a number from 0 to 65535"
    return text if text.startswith("Invalid value for") else "it is malformed"
