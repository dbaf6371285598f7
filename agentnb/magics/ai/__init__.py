"""The magic ``%ai``."""

from __future__ import annotations

from agentnb.magics.ai.magic import AiMagic

__all__ = ["AiMagic"]
