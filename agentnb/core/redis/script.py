"""Lua that the server runs in one piece."""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

from agentnb.core.redis.errors import NoScript

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agentnb.core.redis.client import RedisClient

__all__ = ["Script"]


class Script:
    """A script that is sent once, and named after that.

    Parameters
    ----------
    text
        Lua.

    Examples
    --------
    >>> Script("return 1").sha
    'e0e1f9fabfc9d4800c877a703b823ac0578ff8db'
    """

    __slots__ = ("sha", "text")

    def __init__(self, text: str) -> None:
        self.text = text
        # The server's own name for it, which keeps nothing safe.
        self.sha = hashlib.sha1(text.encode(), usedforsecurity=False).hexdigest()

    def run(self, redis: RedisClient, keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run it; a server that was started since does not know it, and is told."""
        return redis._run_script(self, keys, args)  # noqa: SLF001 - the two are one mechanism

    def run_by(self, send: Callable[..., Any], keys: Sequence[str], args: Sequence[Any]) -> Any:
        """Run it by a function that sends a command; as `run`."""
        try:
            return send("EVALSHA", self.sha, len(keys), *keys, *args)
        except NoScript:
            return send("EVAL", self.text, len(keys), *keys, *args)

    def __repr__(self) -> str:
        return f"Script({self.sha})"
