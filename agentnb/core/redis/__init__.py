"""Redis or Valkey: the client, and the embedded server that comes with the package."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentnb.core.redis.client import RedisClient
    from agentnb.core.redis.errors import Changed, NoScript
    from agentnb.core.redis.keys import Keys
    from agentnb.core.redis.script import Script
    from agentnb.core.redis.server import EmbeddedServer

__all__ = ["Changed", "EmbeddedServer", "Keys", "NoScript", "RedisClient", "Script"]

_MODULES = {
    "Changed": "errors",
    "EmbeddedServer": "server",
    "Keys": "keys",
    "NoScript": "errors",
    "RedisClient": "client",
    "Script": "script",
}


if not TYPE_CHECKING:  # else a checker would find no name that is misspelt

    def __getattr__(name: str) -> Any:
        # Imported on first use: redis-py takes a fifth of a second, and names of keys need none.
        if name not in _MODULES:
            raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
        from importlib import import_module

        value = globals()[name] = getattr(import_module(f"{__name__}.{_MODULES[name]}"), name)
        return value
