"""The panel over all services: what needs a person, how each service is, what failed."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from agentnb.core.hub import Hub
    from agentnb.panels.base import Panel

__all__ = ["make"]


def make(hub: Hub, **options: Any) -> Panel:
    """Return the panel over all services of a hub.

    Parameters
    ----------
    hub
        The hub; nothing of it is opened.
    **options
        As `agentnb.panels.agentnb.view.AgentnbPanel` takes them.
    """
    from agentnb.panels.agentnb.view import AgentnbPanel

    return AgentnbPanel(hub, **options).panel
