"""``%db`` and ``%%db``."""

from __future__ import annotations

from agentnb.magics.db.magic import DbMagic

__all__ = ["DbMagic"]
