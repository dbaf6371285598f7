"""How often something slow is done: so that it takes a share of the time and no more."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable

__all__ = ["Paced"]

T = TypeVar("T")


class Paced(Generic[T]):
    """An answer that is asked for again once its cost is paid.

    Asking what takes 0.1 s, with a share of 0.2, is done every 0.5 s at most; what takes no time
    is asked every time.

    Parameters
    ----------
    share
        Part of the time that asking may take.

    Examples
    --------
    >>> images = Paced(share=0.1)
    >>> images.get(lambda: ["app"])
    ['app']
    """

    def __init__(self, share: float) -> None:
        self._share = share
        self._next = 0.0
        self._turn = 0
        self._known: list[T] = []

    def get(self, ask: Callable[[], T]) -> T:
        """Return the answer: the one before, or, where it is time again, a new one."""
        if not self._known or time.monotonic() >= self._next:
            begun, turn = time.monotonic(), self._turn
            answer = ask()
            if turn != self._turn:  # out of date before it came
                return answer
            ended = time.monotonic()
            self._known = [answer]
            self._next = ended + (ended - begun) * (1 / self._share - 1)
        return self._known[0]

    def reset(self) -> None:
        """Ask the next time, however soon that is. An answer on its way is not kept."""
        self._turn += 1
        self._next = 0.0
