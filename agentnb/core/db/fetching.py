"""Files of other machines, which the maker of a database downloads for it."""

from __future__ import annotations

import re
from contextlib import contextmanager
from contextvars import ContextVar
from typing import TYPE_CHECKING, Any, Protocol

from agentnb.core.errors import AgentnbError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from contextlib import AbstractContextManager
    from pathlib import Path

    from agentnb.core.db.backend import Watch

    Progress = Callable[[int, int | None], object]

__all__ = ["Fetch", "fetched", "is_url", "progress_to"]

_URL = re.compile(r"https?://", re.IGNORECASE)
_SHORTEST = 0.01
_progress: ContextVar[Progress | None] = ContextVar("agentnb_db_progress", default=None)


class Fetch(Protocol):
    """Downloads files."""

    def shown(self, url: str) -> str:
        """Return a URL as it may be shown and kept."""

    def __call__(
        self, url: str, seconds: float | None, on_progress: Progress
    ) -> AbstractContextManager[Path]:
        """Return a block with the file of a URL, whose name ends in its format."""


def is_url(source: Any) -> bool:
    """Return whether a source is an address of HTTP.

    >>> is_url("https://a.example/t.csv"), is_url("t.csv"), is_url("file:///t.csv")
    (True, False, False)
    """
    return isinstance(source, str) and _URL.match(source) is not None


@contextmanager
def progress_to(show: Progress) -> Iterator[None]:
    """Run a block whose downloads tell a function how far they are: bytes, and of how many."""
    token = _progress.set(show)
    try:
        yield
    finally:
        _progress.reset(token)


@contextmanager
def fetched(fetch: Fetch, url: str, watch: Watch) -> Iterator[Path]:
    """Run a block with the file of a URL, within the time of a watch.

    Errors of the block name the file, and no folder of this machine.
    """
    show = _progress.get()

    def on_progress(done: int, total: int | None) -> None:
        if watch.over:
            raise watch.error()
        if show is not None:
            show(done, total)

    left = watch.deadline.remaining()
    seconds = None if left is None else max(round(left, 2), _SHORTEST)
    with fetch(url, seconds, on_progress) as path:
        try:
            yield path
        except AgentnbError as error:
            error.hide(lambda text: text.replace(f"{path.parent}/", ""))
            raise
