"""``%ws`` and ``%%ws``."""

from __future__ import annotations

from agentnb.magics.ws.magic import WsMagic

__all__ = ["WsMagic"]
