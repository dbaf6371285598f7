"""What callers give, checked before anything is done with it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.cache.store import Wanted
from agentnb.core.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

__all__ = ["check_key", "check_tags", "milliseconds", "wanted"]

_LONGEST = 10**10


def check_key(key: str) -> str:
    r"""Return a key, if it is text that can be sent.

    Raises
    ------
    UsageError
        It is not.

    Examples
    --------
    >>> check_key("line\nline 🦀") == "line\nline 🦀"
    True
    """
    if not isinstance(key, str):
        raise UsageError(
            f"a key is text, not a value of type {type(key).__name__}", service="cache"
        )
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError as error:
            raise UsageError(f"the key is not text: {error}", service="cache") from error
    return key


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags, if they are a list of texts.

    Raises
    ------
    UsageError
        They are not; a single text is none, since it would be a tag for each letter.
    """
    if isinstance(tags, str):
        raise UsageError("tags= takes a list of tags", service="cache", hint=f"tags=[{tags!r}]")
    return tuple(check_key(tag) for tag in tags)


def milliseconds(seconds: float) -> int:
    """Return seconds as the server takes them.

    Raises
    ------
    UsageError
        They are not more than 0, or more than three centuries.
    """
    if not isinstance(seconds, int | float) or not 0 < seconds < _LONGEST:
        raise UsageError(
            f"a value cannot be kept for {seconds!r} s",
            service="cache",
            hint=f"a time to live is a number above 0 and below {_LONGEST:,}",
        )
    return max(1, int(seconds * 1000))


def wanted(
    key: str,
    loader: Callable[[], Any],
    ttl: float,
    kind: Any,
    tags: Iterable[str],
    jitter: float,
    *,
    early: float,
    stale: float,
    local: bool,
) -> Wanted:
    """Return what a caller of `get_or_set` wants.

    Raises
    ------
    UsageError
        It cannot be had.
    """
    milliseconds(ttl)
    if not callable(loader):
        raise UsageError(
            f"a loader is a function that makes the value, not a {type(loader).__name__}",
            service="cache",
            hint="get_or_set(key, lambda: value)",
        )
    if not 0 <= jitter <= 1 or not 0 <= early < _LONGEST or not 0 <= stale < _LONGEST:
        raise UsageError("jitter is a share, 0 to 1; early and stale are seconds", service="cache")
    return Wanted(check_key(key), ttl, kind, check_tags(tags), jitter, early, stale, local)
