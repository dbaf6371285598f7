"""REDIS_URL, understood."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote, urlsplit

from agentnb.core.errors import ConfigError, did_you_mean
from agentnb.core.userinfo import split_userinfo

__all__ = ["Target", "parse"]

_SCHEMES = ("redis", "rediss", "unix")
_DATABASES = "a number from 0, as in redis://host:6379/0"
# Of redis-py's connections; time-outs, retries and pools are ours.
_OPTIONS = {"db", "username", "password", "client_name", "protocol", "socket_keepalive"}
_OURS = {
    *("socket_timeout", "socket_connect_timeout", "timeout", "retry_on_timeout", "max_connections"),
    *("retry_on_error", "health_check_interval", "decode_responses", "socket_read_size"),
    "family",  # of ioredis, with which services share their REDIS_URL
}


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
    """

    name: str
    hint: str
    options: dict[str, Any] = field(repr=False)
    scheme: str = "unix"

    def __str__(self) -> str:
        return self.name


def parse(url: str) -> Target:
    """Understand a URL.

    Parameters
    ----------
    url
        ``redis://``, ``rediss://`` (with TLS) or ``unix://``, with redis-py's options as a query.

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
            hint=near or "such as redis://host:6379/0, rediss://host:6379/0 (TLS) or unix:///path",
        )
    from redis.connection import parse_url

    text = url.strip() if scheme == "unix" else split_userinfo(url.strip(), "redis").encoded()
    try:
        parts = urlsplit(text)
        options: dict[str, Any] = dict(parse_url(text))
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


def _check_options(options: dict[str, Any]) -> None:
    options.pop("connection_class", None)
    for name in list(options):
        if name in _OURS:
            del options[name]
        elif name not in {*_OPTIONS, "host", "port", "path"} and not name.startswith("ssl_"):
            raise ConfigError(
                f"REDIS_URL has an option that means nothing: {name}",
                service="redis",
                hint=did_you_mean(name, {*_OPTIONS, "ssl_cert_reqs", "ssl_ca_certs"})
                or f"options: {', '.join(sorted(_OPTIONS))}, and redis-py's ssl_*",
            )


def _without_value(error: ValueError) -> str:
    # urllib quotes what it cannot understand, which may be half of a password.
    text = str(error)
    if "port" in text.lower():
        return "its port is not a number from 0 to 65535"
    return text if text.startswith("Invalid value for") else "it is malformed"
