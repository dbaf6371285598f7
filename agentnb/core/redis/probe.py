"""A look at a server through its socket, without a client."""

from __future__ import annotations

import re
import socket
from typing import TYPE_CHECKING

from agentnb.core.redis.binary import Version

if TYPE_CHECKING:
    from pathlib import Path

__all__ = ["ask_version", "is_up"]


def is_up(path: Path, timeout: float | None) -> bool:
    """Return whether a server answers at a socket.

    Parameters
    ----------
    path
        The socket.
    timeout
        Seconds to wait for an answer; None for no limit.

    Returns
    -------
    bool
        False when nobody listens there, or it is still loading its data.

    Raises
    ------
    TimeoutError
        Somebody listens, and does not answer.
    OSError
        The socket cannot be used.
    """
    if timeout is not None and timeout <= 0:
        raise TimeoutError
    try:
        reply = _ask(path, b"PING\r\n", timeout)
    except (FileNotFoundError, ConnectionError):
        return False
    except BlockingIOError as error:  # somebody listens, to too many
        raise TimeoutError from error
    return reply.startswith(b"+PONG")


def ask_version(path: Path, timeout: float | None) -> Version | None:
    """Return which server answers at a socket, None if it does not say."""
    try:
        reply = _ask(path, b"INFO server\r\n", timeout).decode(errors="replace")
    except OSError:
        return None
    for kind in ("valkey", "redis"):
        if found := re.search(rf"{kind}_version:(\S+)", reply):
            return Version(kind.capitalize(), found[1])
    return None


def _ask(path: Path, command: bytes, timeout: float | None) -> bytes:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout)
        link.connect(str(path))
        link.sendall(command)
        reply = link.recv(65536)
        while reply.startswith(b"$") and not reply.endswith(b"\r\n"):
            more = link.recv(65536)
            if not more:
                break
            reply += more
        return reply
