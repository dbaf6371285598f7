"""The git panel: changes, stage and commit, branches and graph, conflicts."""

from __future__ import annotations

from agentnb.panels.git.panel import GitPanel, make

__all__ = ["GitPanel", "make"]
