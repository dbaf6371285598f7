"""``%git``."""

from __future__ import annotations

from agentnb.magics.git.magic import GitMagic

__all__ = ["GitMagic"]
