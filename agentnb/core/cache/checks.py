"""What callers give, checked before anything is done with it."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from agentnb.core.cache.store import Wanted
from agentnb.core.errors import UsageError
from agentnb.core.ranges import amount, seconds, whole

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["check_key", "check_limit", "check_tags", "milliseconds", "wanted"]


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
    if isinstance(tags, str) or not isinstance(tags, Iterable):
        raise UsageError("tags= takes a list of tags", service="cache", hint=f"tags=[{tags!r}]")
    return tuple(check_key(tag) for tag in tags)


def milliseconds(value: float, name: str = "ttl") -> int:
    """Return seconds as the server takes them.

    Raises
    ------
    UsageError
        They are not greater than 0, or too many.
    """
    return max(1, int(seconds(name, value, service="cache") * 1000))


def check_limit(limit: int | None) -> int | None:
    """Return a limit of keys, if it is one, or None for none.

    Raises
    ------
    UsageError
        It is no whole number, or less than 0.
    """
    return None if limit is None else whole("limit", limit, service="cache", least=0)


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
    seconds("ttl", ttl, service="cache")
    if not callable(loader):
        raise UsageError(
            f"a loader is a function that makes the value, not a {type(loader).__name__}",
            service="cache",
            hint="get_or_set(key, lambda: value)",
        )
    amount("jitter", jitter, service="cache", most=1)
    seconds("early", early, service="cache", zero=True)
    seconds("stale", stale, service="cache", zero=True)
    return Wanted(check_key(key), ttl, kind, check_tags(tags), jitter, early, stale, local)
