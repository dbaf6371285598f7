"""Check the arguments of a cache's methods."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from agentnb.core.cache.store import LoadRequest
from agentnb.core.errors import UsageError
from agentnb.core.ranges import amount, seconds, texts, whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from agentnb.core.trace.spans import Span

__all__ = ["check_key", "check_limit", "check_tags", "load_request", "milliseconds"]


def check_key(key: str) -> str:
    r"""Return a key, checked to be valid Unicode text.

    Raises
    ------
    UsageError
        The key is not text, or cannot be encoded.

    Examples
    --------
    >>> check_key("line\nline 🦀") == "line\nline 🦀"
    True
    """
    if not isinstance(key, str):
        raise UsageError(
            f"key must be text, got {type(key).__name__}",
            service="cache",
            hint='such as "user:7"; str(key) makes text of a number',
        )
    if not key.isascii():
        try:
            key.encode()
        except UnicodeEncodeError as error:
            raise UsageError(
                f"key must be valid Unicode, got {key!r:.60}",
                service="cache",
                hint="use another key, such as repr(key)",
            ) from error
    return key


def check_tags(tags: Iterable[str]) -> tuple[str, ...]:
    """Return tags, checked to be a list of texts.

    Raises
    ------
    UsageError
        They are not a list of texts. A single text is refused: each letter would be a tag.
    """
    if type(tags) is tuple and not tags:
        return tags
    return tuple(check_key(tag) for tag in texts("tags", tags, service="cache"))


def milliseconds(value: float, name: str = "ttl") -> int:
    """Return seconds in milliseconds, 1 at least.

    Raises
    ------
    UsageError
        They are not greater than 0, or too many.
    """
    return max(1, int(seconds(name, value, service="cache") * 1000))


def check_limit(limit: int | None) -> int | None:
    """Return a checked limit of keys, None for no limit.

    Raises
    ------
    UsageError
        It is not a whole number, or less than 0.
    """
    return None if limit is None else whole("limit", limit, service="cache", least=0)


def load_request(
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
    span: Span | None = None,
) -> LoadRequest:
    """Return the checked arguments of a call of `get_or_set`.

    Raises
    ------
    UsageError
        An argument is out of its range.
    """
    seconds("ttl", ttl, service="cache")
    if not callable(loader):
        raise UsageError(
            f"loader must be a function, got {type(loader).__name__}",
            service="cache",
            hint="get_or_set(key, lambda: value)",
        )
    amount("jitter", jitter, service="cache", most=1)
    seconds("early", early, service="cache", zero=True)
    seconds("stale", stale, service="cache", zero=True)
    checked = check_tags(tags)
    return LoadRequest(check_key(key), ttl, kind, checked, jitter, early, stale, local, span)
