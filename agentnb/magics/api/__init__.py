"""``%api`` and ``%%api``."""

from __future__ import annotations

from agentnb.magics.api.magic import ApiMagic

__all__ = ["ApiMagic"]
