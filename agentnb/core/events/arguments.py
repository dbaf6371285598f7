"""The keyword arguments of subscriptions, for type checkers and for editors."""

from __future__ import annotations

from typing import Literal, TypeAlias, TypedDict

__all__ = ["Overflow", "StreamOptions", "SubscribeOptions"]

Overflow: TypeAlias = Literal["drop_oldest", "drop_newest", "reread"]
"""The policy for events beyond those that may wait."""


class StreamOptions(TypedDict, total=False):
    """The keyword arguments of `EventBus.stream`, but for its ``schema``."""

    replay: int
    queue: int
    overflow: Overflow


class SubscribeOptions(StreamOptions, total=False):
    """The keyword arguments of `EventBus.subscribe`, but for its ``schema``."""

    name: str | None
