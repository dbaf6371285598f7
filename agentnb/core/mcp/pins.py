"""The digests of others' tools as they were when they were first used."""

from __future__ import annotations

import fcntl
import json
import os
from contextlib import contextmanager
from hashlib import sha256
from typing import TYPE_CHECKING, Any

import msgspec

from agentnb.core.errors import ConfigError
from agentnb.core.flock import release
from agentnb.core.tokens import write_private
from agentnb.core.trust import private_folder

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

__all__ = ["Pins", "digest_of"]

_FILE, _LOCK = "pins.json", "pins.lock"


def digest_of(tool: Mapping[str, Any]) -> str:
    """Return the digest of the description and the schemas of a tool.

    >>> digest_of({"name": "pay"}) == digest_of({"name": "pay"})
    True
    >>> digest_of({"name": "pay"}) == digest_of({"name": "pay", "description": "Pay twice."})
    False
    """
    return sha256(msgspec.json.encode(tool, order="sorted")).hexdigest()[:16]


class Pins:
    """The digests of the tools of servers, in a file of the home.

    Parameters
    ----------
    folder
        The folder in the home; it is made with the first digest.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def add(self, server: str, found: Mapping[str, str]) -> dict[str, str]:
        """Keep the digests of tools that are new, and return those that are kept.

        Parameters
        ----------
        server
            The server.
        found
            The digests of its tools, by their names.
        """
        with self._open() as kept:
            tools = kept.setdefault(server, {})
            for name, digest in found.items():
                tools.setdefault(name, digest)
            return dict(tools)

    def replace(self, server: str, name: str, digest: str) -> None:
        """Keep another digest of a tool."""
        with self._open() as kept:
            kept.setdefault(server, {})[name] = digest

    @contextmanager
    def _open(self) -> Iterator[dict[str, dict[str, str]]]:
        """Yield what is kept, and keep what it has become; one process at a time."""
        path = self._folder / _FILE
        try:
            private_folder(self._folder, service="mcp")
            lock = os.open(self._folder / _LOCK, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                fcntl.flock(lock, fcntl.LOCK_EX)
                try:
                    before = path.read_text(encoding="utf-8")
                except FileNotFoundError:
                    before = "{}"
                kept = json.loads(before)
                yield kept
                after = json.dumps(kept, indent=1, sort_keys=True)
                if after != before:
                    write_private(path, after)
            finally:
                release(lock)
        except (OSError, ValueError) as error:
            raise ConfigError(
                f"the digests of tools cannot be kept: {error}",
                service="mcp",
                hint=f"they are in {path}: mend or remove it, and check the tools again",
            ) from error
