"""``%cache`` and ``%%cache``."""

from __future__ import annotations

from agentnb.magics.cache.magic import CacheMagic

__all__ = ["CacheMagic"]
