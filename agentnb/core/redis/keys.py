"""Names of keys and channels: whose they are, and that they share a cluster's slot."""

from __future__ import annotations

import re
from urllib.parse import quote

from agentnb.core.errors import UsageError

__all__ = ["Keys"]

_INTERNAL = "agentnb"
# What means something in a pattern, in a hash tag or to a terminal.
_SPECIAL = re.compile(r"[{}*?\[\]\\\s\x00-\x1f\x7f]")
_PATTERN = re.compile(r"([*?\[\]\\^])")


class Keys:
    """Makes and recognises the keys of one prefix.

    All keys of a prefix have it in braces, so that a cluster keeps them in one slot. With an
    empty prefix, cache keys and channels are the bare names, which services that know nothing
    of agentnb share; all else then stays under ``{agentnb}:``, where no pattern reaches it.

    Parameters
    ----------
    prefix
        Separates those who share a server. Characters that mean something in a pattern are
        percent-encoded.

    Examples
    --------
    >>> keys = Keys("agentnb")
    >>> keys.cache("rates"), keys.channel("agent.done"), keys.internal("queue", "mail", "wait")
    ('{agentnb}:cache:rates', '{agentnb}:channel:agent.done', '{agentnb}:queue:mail:wait')
    >>> keys.cache_name("{agentnb}:cache:rates")
    'rates'
    >>> Keys("").cache("rates"), Keys("").internal("lock", "rates")
    ('rates', '{agentnb}:lock:rates')
    """

    __slots__ = ("_cache", "_channel", "_internal", "prefix", "tag")

    def __init__(self, prefix: str = _INTERNAL) -> None:
        self.prefix = _SPECIAL.sub(lambda found: quote(found[0], safe=""), prefix)
        self.tag = self.prefix or _INTERNAL
        self._internal = f"{{{self.tag}}}:"
        self._cache = f"{self._internal}cache:" if prefix else ""
        self._channel = f"{self._internal}channel:" if prefix else ""

    @property
    def rights(self) -> str:
        """Return what the server's ACL has to allow a user of these keys.

        Channels are all allowed: a pattern of PSUBSCRIBE has to be one of the ACL's, word by word.
        INFO, whose statistics the cache shows, counts as dangerous.

        >>> Keys("agentnb").rights
        '~{agentnb}:* &* +@all -@admin -@dangerous +info'
        >>> Keys("").rights
        '~* &* +@all -@admin -@dangerous +info'
        """
        names = f"~{escape(self._internal)}*" if self._cache else "~*"
        return f"{names} &* +@all -@admin -@dangerous +info"

    def cache(self, name: str) -> str:
        """Return the key of a cached value.

        Raises
        ------
        UsageError
            The prefix is empty and the name is one of an internal key.
        """
        return self._cache + name if self._cache else self._bare(name)

    def channel(self, name: str) -> str:
        """Return the name of a channel on the server.

        Raises
        ------
        UsageError
            As `cache`.
        """
        return self._channel + name if self._channel else self._bare(name)

    def internal(self, *parts: str) -> str:
        """Return the key of something that only agentnb reads: locks, queues, logs of events."""
        return self._internal + ":".join(parts)

    def cache_pattern(self, pattern: str = "*") -> str:
        """Return the pattern (as of SCAN) of cached values; `cache_name` drops what is not one."""
        return escape(self._cache) + pattern

    def channel_pattern(self, pattern: str = "*") -> str:
        """Return the pattern (as of PSUBSCRIBE) of channels."""
        return escape(self._channel) + pattern

    def cache_name(self, key: str) -> str | None:
        """Return the name of a cached value by its key, or None for any other key."""
        return self._name(key, self._cache)

    def channel_name(self, channel: str) -> str | None:
        """Return a channel's name by its name on the server, or None for any other."""
        return self._name(channel, self._channel)

    def is_internal(self, key: str) -> bool:
        """Return whether a key is one that only agentnb reads.

        >>> Keys("").is_internal("{agentnb}:lock:rates"), Keys("").is_internal("rates")
        (True, False)
        """
        return key.startswith(self._internal) and self._name(key, self._cache) is None

    def _name(self, key: str, start: str) -> str | None:
        if start:
            return key[len(start) :] if key.startswith(start) else None
        return None if key.startswith(self._internal) else key

    def _bare(self, name: str) -> str:
        if name.startswith(self._internal):
            raise UsageError(
                f"names that start with {self._internal} are agentnb's own",
                service="redis",
                hint="choose another name, or set AGENTNB_KEY_PREFIX",
            )
        return name

    def __repr__(self) -> str:
        return f"Keys({self.prefix!r})"


def escape(text: str) -> str:
    r"""Return a pattern that matches exactly this text.

    >>> escape("a*b")
    'a\\*b'
    """
    return _PATTERN.sub(r"\\\1", text)
