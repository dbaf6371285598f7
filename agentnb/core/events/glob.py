"""Patterns of channels, as the server understands them."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["is_pattern", "matcher"]

_SPECIAL = re.compile(r"[*?\[\\]")


def is_pattern(text: str) -> bool:
    """Return whether a text is a pattern, and not simply a channel's name.

    >>> is_pattern("agent.*"), is_pattern("agent.done")
    (True, False)
    """
    return _SPECIAL.search(text) is not None


def matcher(pattern: str) -> Callable[[str], bool]:
    r"""Return what tells whether a channel matches, by the rules of PSUBSCRIBE.

    Source: https://redis.io/docs/latest/commands/psubscribe/ (``*``, ``?``, ``[a-c]``, ``[^a]``,
    ``\`` before a character that is to be itself; bytes, so that ``?`` is one byte).

    >>> done = matcher("agent.*.done")
    >>> done("agent.7.done"), done("agent.done"), matcher("h[^ae]llo")("hallo")
    (True, False, False)
    """
    if not is_pattern(pattern):
        return pattern.__eq__
    found = re.compile(_expression(pattern.encode("utf-8", "surrogateescape")), re.DOTALL).fullmatch

    def matches(channel: str) -> bool:
        return found(channel.encode("utf-8", "surrogateescape")) is not None

    return matches


def _expression(pattern: bytes) -> bytes:
    """Return a regular expression that matches in time proportional to the lengths.

    Between two stars stands text of one fixed length, so its first place is as good as any
    later one: the group is atomic, and no place is tried again.
    """
    first, *rest = _between_stars(pattern)
    if not rest:
        return first
    *middle, last = rest
    found = b"".join(b"(?>.*?" + part + b")" for part in middle if part)
    return first + found + b".*" + last


def _between_stars(pattern: bytes) -> list[bytes]:
    """Return the expressions of what stands before, between and behind the stars."""
    parts: list[bytes] = [b""]
    at = 0
    while at < len(pattern):
        one = pattern[at : at + 1]
        at += 1
        if one == b"*":
            parts.append(b"")
        elif one == b"?":
            parts[-1] += b"."
        elif one == b"[":
            part, at = _set(pattern, at)
            parts[-1] += part
        else:
            if one == b"\\" and at < len(pattern):
                one = pattern[at : at + 1]
                at += 1
            parts[-1] += re.escape(one)
    return parts


def _set(pattern: bytes, at: int) -> tuple[bytes, int]:
    """Return the expression of a set, and where it ends; one that is left open ends the pattern."""
    negated = pattern[at : at + 1] == b"^"
    at += negated
    members: list[bytes] = []
    while at < len(pattern) and pattern[at : at + 1] != b"]":
        if pattern[at : at + 1] == b"\\" and at + 1 < len(pattern):
            members.append(re.escape(pattern[at + 1 : at + 2]))
            at += 2
        elif pattern[at + 1 : at + 2] == b"-" and at + 2 < len(pattern):
            low, high = sorted((pattern[at : at + 1], pattern[at + 2 : at + 3]))
            members.append(re.escape(low) + b"-" + re.escape(high))
            at += 3
        else:
            members.append(re.escape(pattern[at : at + 1]))
            at += 1
    if not members:
        return (b"." if negated else b"(?!)"), at + 1
    return b"[" + (b"^" if negated else b"") + b"".join(members) + b"]", at + 1
