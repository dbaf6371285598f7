"""``%events`` and ``%%events``."""

from __future__ import annotations

from agentnb.magics.events.magic import EventsMagic

__all__ = ["EventsMagic"]
