"""``%queue`` and ``%%queue``."""

from __future__ import annotations

from agentnb.magics.queue.magic import QueueMagic

__all__ = ["QueueMagic"]
