"""The words of a model in the events of pydantic-ai."""

from __future__ import annotations

from typing import TYPE_CHECKING

from pydantic_ai.messages import PartDeltaEvent, PartStartEvent, TextPart, TextPartDelta

if TYPE_CHECKING:
    from pydantic_ai.messages import AgentStreamEvent

__all__ = ["words_of_event"]


def words_of_event(event: AgentStreamEvent) -> tuple[str, int]:
    """Return the text of an event, and the size of what it has beside that.

    >>> words_of_event(PartDeltaEvent(index=0, delta=TextPartDelta(content_delta="two")))
    ('two', 0)
    """
    if isinstance(event, PartStartEvent):
        if isinstance(event.part, TextPart):
            return event.part.content, 0
        return "", len(repr(event.part))
    if isinstance(event, PartDeltaEvent):
        if isinstance(event.delta, TextPartDelta):
            return event.delta.content_delta, 0
        return "", len(repr(event.delta))
    return "", 0
