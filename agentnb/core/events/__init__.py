"""Events: published to whoever listens, kept in a log so that nobody who was away misses any."""

from __future__ import annotations

from agentnb.core.events.attachment import Attachment
from agentnb.core.events.bus import EventBus
from agentnb.core.events.dead import DeadLetter
from agentnb.core.events.event import Event
from agentnb.core.events.scripts import PUBLISH_FUNCTION
from agentnb.core.events.subscription import Subscription

__all__ = ["PUBLISH_FUNCTION", "Attachment", "DeadLetter", "Event", "EventBus", "Subscription"]
