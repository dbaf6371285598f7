"""``%workflow``, ``%%workflow`` and ``%%agent``."""

from __future__ import annotations

from agentnb.magics.workflow.agent import AgentMagic
from agentnb.magics.workflow.magic import WorkflowMagic

__all__ = ["AgentMagic", "WorkflowMagic"]
