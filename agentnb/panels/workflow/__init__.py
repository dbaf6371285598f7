"""The workflow panel: workflows as graphs that move, their tasks, and what people decide."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentnb.core.hub import Hub
    from agentnb.panels.base import Panel

__all__ = ["make"]


def make(hub: Hub, **options: Any) -> Panel:
    """Return the workflow panel of a hub.

    Parameters
    ----------
    hub
        Whose workflows it shows.
    **options
        As `agentnb.panels.workflow.view.WorkflowPanel` takes them.
    """
    from agentnb.panels.workflow.view import WorkflowPanel

    return WorkflowPanel(hub, **options).panel
