"""Events: published to subscribers, and kept in a log for those that were cut off."""

from __future__ import annotations

from agentnb.core.events.attachment import Attachment
from agentnb.core.events.bus import EventBus
from agentnb.core.events.dead import DeadLetter
from agentnb.core.events.event import Event
from agentnb.core.events.scripts import PUBLISH_FUNCTION
from agentnb.core.events.subscription import Subscription

__all__ = ["PUBLISH_FUNCTION", "Attachment", "DeadLetter", "Event", "EventBus", "Subscription"]
