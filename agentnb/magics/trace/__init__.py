"""``%trace``."""

from __future__ import annotations

from agentnb.magics.trace.magic import TraceMagic

__all__ = ["TraceMagic"]
