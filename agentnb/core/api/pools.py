"""Pools of connections: their certificates and their proxy."""

from __future__ import annotations

import functools
import importlib
import os
from typing import TYPE_CHECKING, TypeVar
from urllib.parse import urlsplit
from urllib.request import getproxies, proxy_bypass

import httpcore
import httpx

from agentnb.core.api.address import shown
from agentnb.core.errors import ConfigError

if TYPE_CHECKING:
    import ssl
    from collections.abc import Callable

__all__ = ["CONNECTIONS", "made", "proxy_of", "raw"]

P = TypeVar("P")

# At once, and kept while nothing is asked, for so many seconds. All of them are: where a pool
# closes those beyond a number, it may close one that another thread has just begun to use.
CONNECTIONS, _KEPT_SECONDS = 100, 5.0


def made(kind: Callable[..., P], proxy: str | None) -> P:
    """Return a pool.

    Raises
    ------
    ConfigError
        The proxy of the environment cannot be used.
    """
    try:
        return kind(
            ssl_context=_tls(*map(os.environ.get, _CERTIFICATES)),
            proxy=None if proxy is None else _by_way_of(proxy),
            max_connections=CONNECTIONS,
            keepalive_expiry=_KEPT_SECONDS,
        )
    except ImportError as error:
        raise ConfigError(
            f"the proxy {shown(proxy or '')} speaks SOCKS, for which a package is missing",
            service="api",
            hint="pip install 'httpx[socks]', or name another by HTTP_PROXY and ALL_PROXY",
        ) from error
    except (ValueError, httpx.InvalidURL) as error:
        raise ConfigError(
            f"the proxy {shown(proxy or '')} cannot be used: {type(error).__name__}",
            service="api",
            hint="HTTP_PROXY, HTTPS_PROXY and ALL_PROXY name it, as http://HOST:PORT",
        ) from error


@functools.lru_cache(maxsize=4)
def _tls(*_named: str | None) -> ssl.SSLContext:
    """Return the TLS context with the environment's certificates, which takes 20 ms to read."""
    return httpx.create_ssl_context()


_CERTIFICATES = ("SSL_CERT_FILE", "SSL_CERT_DIR")


def raw(url: httpx.URL) -> httpcore.URL:
    """Return a URL as a pool takes it."""
    return httpcore.URL(
        scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
    )


def _by_way_of(proxy: str) -> httpcore.Proxy:
    if proxy.startswith("socks"):
        importlib.import_module("socksio")  # which is not there by default
    found = httpx.Proxy(proxy)
    return httpcore.Proxy(raw(found.url), auth=found.raw_auth)


def proxy_of(url: str) -> str | None:
    """Return the proxy that the environment names for a URL."""
    proxies = getproxies()
    if not proxies:
        return None
    parts = urlsplit(url)
    proxy = proxies.get(parts.scheme) or proxies.get("all")
    if not proxy or proxy_bypass(parts.netloc.rpartition("@")[2]):
        return None
    return proxy if "://" in proxy else f"http://{proxy}"
