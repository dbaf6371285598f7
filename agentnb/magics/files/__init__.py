"""``%files``: the workspace at the prompt, and ``%%files write``."""

from __future__ import annotations

from agentnb.magics.files.magic import FilesMagic

__all__ = ["FilesMagic"]
