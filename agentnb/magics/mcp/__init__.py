"""``%mcp``."""

from __future__ import annotations

from agentnb.magics.mcp.magic import McpMagic

__all__ = ["McpMagic"]
